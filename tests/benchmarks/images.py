# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of docs/images.md: the application's images beside one image for everything (requirements R11 and R12).

    make benchmark-images

Resolves the monolith's packages by apt, fetches them (about 250 MB, kept in the bundle's cache) and assembles it with
the same tool, without trimming. Compression is compared like with like: both as the bundle does it, and both by gzip.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import page
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".build" / "collections"))

from ansible_collections.onprem.platform.plugins.action.bundle import default_cache_directory
from ansible_collections.onprem.platform.plugins.action.image_vulnerability_info import examine
from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import human_size
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_debian import DebianPackages, configured_mirrors
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_image import ImageAssembler
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import load_lock
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout

HERE = Path(__file__).resolve().parent
FILES = HERE.parents[1] / "roles/bundle/files"
APPLICATION = ("laravel-demo", "laravel-demo-nginx")
COMPRESSIONS = ("zstd", "gzip")


def monolith_packages(work: Path) -> DebianPackages:
    """Return the monolith's packages, resolved now; its pins are written into the work directory."""
    directory = work / "debian"
    directory.mkdir()
    shutil.copy(HERE / "monolith/selections.yml", directory)
    packages = DebianPackages(directory, default_cache_directory() / "debian", configured_mirrors())
    packages.refresh()
    return packages


def compressed(layout: OciLayout, reference: str) -> int:
    """Return the bytes of an image's layers as a registry keeps them."""
    return sum(part["size"] for part in json.loads(Layout(layout.directory).manifest(reference).content)["layers"])


def build(work: Path) -> dict[str, dict[str, int]]:
    """Build all images in both compressions; return compression -> image -> compressed size in bytes."""
    lock = load_lock(FILES / "lock.yml")
    newest = {a.name: a for a in lock.artefacts if a.kind == "image" and a.name in APPLICATION}
    own = ImageAssembler(
        FILES / "images", DebianPackages(FILES / "debian", default_cache_directory() / "debian", configured_mirrors())
    )
    recipes: dict[str, tuple[ImageAssembler, Any]] = {
        name: (own, dict(artefact.source)) for name, artefact in newest.items()
    }
    monolith = yaml.safe_load((HERE / "monolith/recipe.yml").read_text(encoding="utf-8"))
    recipes["monolith"] = ImageAssembler(FILES / "images", monolith_packages(work)), monolith
    sizes: dict[str, dict[str, int]] = {}
    for compression in COMPRESSIONS:
        layout = OciLayout(work / compression)
        sizes[compression] = {}
        for name, (assembler, recipe) in recipes.items():
            print(f"building {name} ({compression})", flush=True)
            assembler.build({**recipe, "compression": compression}, Path, layout, work, reference=f"{name}:1")
            sizes[compression][name] = compressed(layout, f"{name}:1")
    return sizes


def table(sizes: dict[str, dict[str, int]], images: dict[str, dict[str, Any]]) -> str:
    """Return sizes and contents as Markdown."""
    lines = [["", "app", "nginx", "together", "monolith", "difference"]]
    for compression, of in sizes.items():
        together = sum(of[name] for name in APPLICATION)
        columns = [*(of[name] for name in APPLICATION), together, of["monolith"]]
        lines.append(
            [f"compressed by {compression}", *map(human_size, columns), f"{together / of['monolith'] - 1:+.1%}"]
        )
    for title, key in {
        "Debian packages": "debian_packages",
        "repairs in Debian's archive that are not applied": "outstanding_updates",
        "known vulnerabilities": "vulnerabilities",
    }.items():
        *own, monolith = (images[name][key] for name in (*APPLICATION, "monolith"))
        both = sum(own) if all(isinstance(value, int) for value in own) else "unknown"
        lines.append([title, *map(str, (*own, both, monolith)), ""])
    return page.rows(*lines)


def main() -> None:
    """Build, compare and print; the figures are also written as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(".build/benchmark/images.json"))
    parser.add_argument("--tracker", help="data of Debian's security tracker, for the number of vulnerabilities")
    page.add_option(parser)
    arguments = parser.parse_args()
    conditions = page.conditions()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="images-", dir=os.environ.get("TMPDIR")) as directory:
        work = Path(directory)
        sizes = build(work)
        known = examine(
            {
                "layout": str(work / COMPRESSIONS[0]), "images": [], "tracker": arguments.tracker, "archive": True,
                "mirrors": None, "reports": [], "accepted": [],
            }
        )  # fmt: skip
    images = {image["name"].partition(":")[0]: image for image in known["images"]}
    reduction = {name: 1 - sum(of[one] for one in APPLICATION) / of["monolith"] for name, of in sizes.items()}
    print("", shown := table(sizes, images), sep="\n")
    result = {"compressed": sizes, "reduction": reduction, "images": images}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.publish:
        page.publish("images", conditions, shown)


if __name__ == "__main__":
    main()
