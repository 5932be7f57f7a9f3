# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for scripts/documentation/build."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GALAXY = yaml.safe_load((Path(__file__).parents[2] / "galaxy.yml").read_text(encoding="utf-8"))

project = "onprem.platform"
author = GALAXY["authors"][0].split(" (")[0]
copyright = f"2026, {author}"  # noqa: A001 - Sphinx calls it so
version = release = GALAXY["version"]

extensions = ["myst_parser", "sphinx.ext.graphviz", "sphinx_antsibull_ext"]
root_doc = "docs/index"
pygments_style = "default"
highlight_language = "yaml+jinja"
# Messages and options are quoted as they are.
smartquotes = False
# Headings down to this level can be linked to.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"onprem.platform {version}"
html_static_path = ["static"]
html_css_files = ["platform.css"]
html_extra_path = ["root"]
html_copy_source = False
html_show_sphinx = False

graphviz_output_format = "svg"
graphviz_dot_args = [
    "-Gbgcolor=white",
    "-Gfontname=Helvetica,Arial,sans-serif",
    "-Gfontsize=12",
    "-Gpad=0.2",
    "-Glabeljust=l",
    "-Nshape=box",
    "-Nstyle=rounded,filled",
    "-Nfillcolor=#eef3fb",
    "-Ncolor=#3b5b8c",
    "-Nfontname=Helvetica,Arial,sans-serif",
    "-Nfontsize=11",
    "-Ecolor=#555555",
    "-Efontname=Helvetica,Arial,sans-serif",
    "-Efontsize=10",
]

# Pages that list others: what a section lists is what the menu shows below its heading.
LISTS = {"docs/index", "docs/runbooks/README"}
ITEM = re.compile(r"^[-*] \[([^]]+)\]\(([^)#]+?)(?:\.md)?\)", re.MULTILINE)


# The theme shows a page's contents beside it.
CONTENTS = re.compile(r"^\.\. contents::\n(?: +:.*\n)*", re.MULTILINE)
# Dashes of headings and lists; what is indented may be an example.
DASH = re.compile(r"^(\S.*?) -- ", re.MULTILINE)
# Where no line begins with a prompt, all lines are commands; the lexer would take them for output.
COMMANDS = re.compile(r"^```console\n(?!\$ )", re.MULTILINE)
# Files that are no pages are looked at where the project is.
FILES = re.compile(r"\]\((?:\.\./)*((?:molecule|playbooks|roles|tests)/[^)]+)\)")
REPOSITORY = f"{GALAXY['repository']}/blob/main"


def tidy(app: Sphinx, page: str, source: list[str]) -> None:
    """Take off a page what this theme shows otherwise, and let it lead to files that are not rendered."""
    if page.startswith("reference/"):
        source[0] = DASH.sub("\\1 \N{EN DASH} ", CONTENTS.sub("", source[0]))
    else:
        source[0] = FILES.sub(rf"]({REPOSITORY}/\1)", COMMANDS.sub("```sh\n", source[0]))


def shorten_title(app: Sphinx, document: nodes.document) -> None:
    """Name a plugin in menus by its name alone."""
    page = app.env.docname
    if short := re.match(rf"{re.escape(project)}\.(\w+ \w+)", app.env.titles[page].astext()):
        app.env.titles[page] = nodes.title("", short[1])
        # Menus take the first line of the page's own list of contents.
        entry = next(app.env.tocs[page].findall(nodes.reference))
        entry.children = [nodes.Text(short[1])]


def add_menu(app: Sphinx, page: str, source: list[str]) -> None:
    """Append a hidden table of contents for each section of a page that lists others."""
    if page not in LISTS:
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        caption, text = section.split("\n", 1)
        entries = "".join(f"{title} <{target}>\n" for title, target in ITEM.findall(text) if "://" not in target)
        if entries:
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}```\n"


# Pages of Ansible's own documentation that the reference links to. Sphinx would fetch a list of them.
ANSIBLE = "https://docs.ansible.com/projects/ansible-core/devel"
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "callback_plugins": "plugins/callback.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
COLLECTIONS = "https://docs.ansible.com/projects/ansible/latest/collections"
PLUGIN = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)")


def link_to_ansible(
    app: Sphinx, environment: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Return the link to a page of Ansible or of another collection, None for what is not theirs."""
    target = node["reftarget"]
    plugin = PLUGIN.fullmatch(target)
    if plugin and target.split(".")[1:3] != project.split("."):
        address = f"{COLLECTIONS}/{'/'.join(plugin.groups())}.html"
    elif target in PAGES:
        address = f"{ANSIBLE}/{PAGES[target]}"
    else:
        return None
    return nodes.reference("", "", content, internal=False, refuri=address)


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("source-read", add_menu)
    app.connect("source-read", tidy)
    # After Sphinx has collected the titles.
    app.connect("doctree-read", shorten_title, priority=900)
    app.connect("missing-reference", link_to_ansible)
