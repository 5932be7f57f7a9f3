# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds images of the lock from source into an empty directory and prints their digests as JSON.

    python clean_build.py LOCK DIRECTORY IMAGE...

``DIRECTORY/cache/debian`` may exist: packages are pinned by checksum. Everything else is made anew, except compiled
programs where PROGRAMS names a cache that has them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_index import Index
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_kinds import ImageKind, Workshop
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import load_lock
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_upstream import Upstream


def take_programs(known: Cache, workshop: Workshop, names: list[str]) -> None:
    """Copy programs that a recipe names from another cache."""
    for name in names:
        found = known.get(workshop.input_key(name))
        assert found is not None, f"{known.directory} does not have {name}: run `make bundle`"
        with workshop.cache.scratch(name) as scratch:
            shutil.copy(found.content, scratch / "content")
            workshop.cache.put(found.key, scratch / "content", dict(found.meta))


def main() -> None:
    """Build, and print ``{image:tag: {"digest": ..., "layers": [...]}}``."""
    lock, directory, names = load_lock(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
    cache = Cache(directory / "cache")
    assert not (cache.directory / "objects").exists(), "this cache was used before"

    def report(line: str) -> None:
        print(line, file=sys.stderr)

    workshop = Workshop(lock, cache, Upstream(cache, report), "source", report)
    kind, index = ImageKind(workshop), Index(directory / "bundle")
    found = {}
    for artefact in (a for a in lock.artefacts if a.kind == "image" and a.name in names):
        if "PROGRAMS" in os.environ:
            take_programs(Cache(Path(os.environ["PROGRAMS"])), workshop, kind.inputs(artefact))
        [entry] = kind.make(artefact, "source", index)
        name = f"{artefact.repository}:{artefact.tag}"
        parts = json.loads(Layout(index.directory / "images").manifest(name).content)
        found[name] = {"digest": entry["digest"], "layers": [layer["digest"] for layer in parts["layers"]]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
