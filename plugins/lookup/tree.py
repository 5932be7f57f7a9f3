# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render directories of files and templates."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tree
short_description: Render directories of files and templates into one mapping
version_added: 0.1.0
description:
  - Reads every file below the directories. Files that end in C(.j2) are rendered as templates and lose that ending.
  - A file of a later directory replaces the one with the same path of an earlier directory.
  - A template that renders to nothing but white space is left out, and so is what an earlier directory has at its path.
    So a file may depend on a condition, and a later directory can take one away.
  - The result is what M(onprem.platform.oci_artifact) takes as O(onprem.platform.oci_artifact#module:files).
author:
  - onprem.platform contributors (@onprem-platform)
options:
  _terms:
    description: Directories on the controller.
    required: true
    type: list
    elements: path
"""

EXAMPLES = r"""
- name: Publish a rendered tree
  onprem.platform.oci_artifact:
    files: "{{ lookup('onprem.platform.tree', playbook_dir ~ '/tree') }}"
    repository: platform/tree
    tag: main
    registries: ["192.0.2.11:5001"]
"""

RETURN = r"""
_raw:
  description: One mapping of relative path to text.
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase


class Variables(dict[str, Any]):
    """Variables of which a template gets a shallow copy.

    The template lookup makes a deep copy for each file, to add its own names to it. That takes longer than rendering;
    and what a template does to a value it does to Ansible's own copy.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Return the same values in a dict of their own."""
        return dict(self)


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core has no types
    """Lookup ``tree``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return a list with one mapping of relative path to text."""
        self.set_options(var_options=variables, direct=kwargs)
        template = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        shared = Variables(variables or {})
        files: dict[str, str] = {}
        for term in terms:
            directory = Path(term)
            if not directory.is_dir():
                raise AnsibleLookupError(f"{directory} is no directory.")
            for path in sorted(directory.rglob("*")):
                if not path.is_file():
                    continue
                name = path.relative_to(directory).as_posix()
                if name.endswith(".j2"):
                    text = template.run([str(path)], variables=shared)[0]  # None where nothing was rendered
                    name = name[: -len(".j2")]
                    if text and str(text).strip():
                        files[name] = str(text)
                    else:
                        files.pop(name, None)
                else:
                    files[name] = path.read_text(encoding="utf-8")
        return [files]
