# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""community.hashi_vault out of the locked Python package that carries it, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements" / "crosscheck.txt"
COLLECTION = "ansible_collections/community/hashi_vault/"


def community_collections() -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH that holds community.hashi_vault alone.

    The package is downloaded once, its checksum is verified by pip, and only the collection is unpacked.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "onprem-platform" / "crosscheck"
    directory = cache / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if (directory / COLLECTION).is_dir():
        return directory
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--dest", temporary]
        subprocess.run(command, check=True)
        unpacked = Path(temporary) / "unpacked"
        for package in Path(temporary).glob("*.whl"):
            with zipfile.ZipFile(package) as archive:
                archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(COLLECTION)])
        assert (unpacked / COLLECTION / "MANIFEST.json").is_file(), f"{REQUIREMENTS.name} carries no {COLLECTION}"
        try:
            unpacked.rename(directory)
        except OSError:  # another run was faster
            assert (directory / COLLECTION).is_dir()
    return directory
