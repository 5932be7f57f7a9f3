# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's collections out of the locked Python package that carries them, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "crosscheck.txt"
COLLECTIONS = ("community/hashi_vault", "kubernetes/core")


def other_collections() -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH that holds community.hashi_vault and kubernetes.core alone.

    The package is downloaded once, its checksum is verified by pip, and only these collections are unpacked.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "onprem-platform" / "crosscheck"
    prefixes = tuple(f"ansible_collections/{name}/" for name in COLLECTIONS)
    directory = cache / hashlib.sha256(REQUIREMENTS.read_bytes() + repr(prefixes).encode()).hexdigest()[:16]
    if directory.is_dir():
        return directory
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--dest", temporary]
        subprocess.run(command, check=True)
        unpacked = Path(temporary) / "unpacked"
        for package in Path(temporary).glob("*.whl"):
            with zipfile.ZipFile(package) as archive:
                archive.extractall(unpacked, [name for name in archive.namelist() if name.startswith(prefixes)])
        for prefix in prefixes:
            assert (unpacked / prefix / "MANIFEST.json").is_file(), f"{REQUIREMENTS.name} carries no {prefix}"
        try:
            unpacked.rename(directory)
        except OSError:  # another run was faster
            assert directory.is_dir()
    return directory
