# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the bundle, unpacked for tests that run their programs without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest


def bundle_directory() -> Path:
    """Return the bundle's directory, which PLATFORM_BUNDLE_DIRECTORY may name."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("PLATFORM_BUNDLE_DIRECTORY", cache / "onprem-platform/bundle"))


class BundledImages:
    """The OCI image layout of a bundle."""

    def __init__(self, directory: Path) -> None:
        self.layout = directory / "images"
        if not (self.layout / "index.json").exists():
            pytest.fail(f"There is no bundle in {directory}: run `make bundle` first.")

    def _json(self, digest: str) -> Any:
        return json.loads(self._blob(digest).read_text())

    def _blob(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")

    def _find(self, reference: str) -> str:
        """Return the digest of ``repository:tag``, or of the only tag of a repository."""
        index = json.loads((self.layout / "index.json").read_text())
        names = {
            entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index["manifests"]
        }
        found = [digest for name, digest in names.items() if reference in (name, name.rpartition(":")[0])]
        if len(found) != 1:
            pytest.fail(f"The bundle has {len(found)} images {reference}: run `make bundle`.")
        return str(found[0])

    def unpack(self, reference: str, place: Path, root: bool = False) -> dict[str, Any]:
        """Write the image's files below the place, and return its configuration (Entrypoint, Cmd, User, ...).

        ``root`` says that the image's user is root, which is an exception.
        """
        manifest = self._json(self._find(reference))
        for layer in manifest["layers"]:
            # zstd passes on what is not compressed
            command = ["zstd", "-dcqf", str(self._blob(layer["digest"]))]
            with (
                subprocess.Popen(command, stdout=subprocess.PIPE) as unpacked,
                tarfile.open(fileobj=unpacked.stdout, mode="r|*") as archive,
            ):
                archive.extractall(place, filter="fully_trusted")  # noqa: S202 - our own image
                # What follows the end of the archive; else its writer may find nobody to read it.
                while unpacked.stdout.read(1 << 20):  # type: ignore[union-attr]
                    pass
            assert unpacked.returncode == 0
        config = dict(self._json(manifest["config"]["digest"])["config"])
        assert (config["User"].split(":")[0] in ("", "0", "root")) == root
        return config
