# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures and attestations of files, in files that ``cosign verify-blob`` and ``verify-blob-attestation`` read."""

from __future__ import annotations

import base64
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils._oci import sha256_digest
from ..module_utils._signature import PROVENANCE, SPDX, PublicKey, attestation, encoded, envelope, statement
from ._bundle_common import write_atomically
from ._cosign import Cosign

_SIGNATURE = "sig"
_ATTESTATIONS = {SPDX: "spdx.intoto.json", PROVENANCE: "provenance.intoto.json"}


@dataclass(frozen=True)
class FileSignatures:
    """A directory with what vouches for files; names are relative paths and the same as those of the files."""

    directory: Path
    cosign: Cosign

    def signed(self, name: str, path: Path, key: PublicKey | None) -> bool:
        """Tell whether the key has signed a file as it is."""
        try:
            signature = base64.b64decode(self._path(name, _SIGNATURE).read_text(encoding="ascii"))
            return key is not None and key.verifies(signature, path.read_bytes())
        except (OSError, ValueError):
            return False

    def attested(self, name: str, digest: str, key: PublicKey | None) -> dict[str, Any]:
        """Return what the key has attested about the file with the digest: type -> predicate."""
        predicates = {}
        for predicate_type, suffix in _ATTESTATIONS.items():
            try:
                content = self._path(name, suffix).read_bytes()
            except OSError:
                continue
            found = attestation(content, digest, [key] if key else [], {})
            if found.verified_by and found.predicate_type == predicate_type:
                predicates[predicate_type] = found.predicate
        return predicates

    def sign(self, name: str, content: bytes) -> None:
        """Sign the content of a file."""
        self._write(name, _SIGNATURE, base64.b64encode(self.cosign.sign(content)).decode() + "\n")

    def attest(self, name: str, content: bytes, predicate_type: str, predicate: Any) -> None:
        """Sign a statement about the content of a file."""
        body = statement(name, sha256_digest(content), predicate_type, predicate)
        self._write(name, _ATTESTATIONS[predicate_type], envelope(body, self.cosign.sign(encoded(body))).decode())

    def keep_only(self, directory: str, names: Collection[str]) -> None:
        """Remove what vouches for other files of a directory."""
        kept = {self._path(name, suffix) for name in names for suffix in (_SIGNATURE, *_ATTESTATIONS.values())}
        for path in (self.directory / directory).glob("*"):
            if path not in kept:
                path.unlink()

    def _path(self, name: str, suffix: str) -> Path:
        return self.directory / f"{name}.{suffix}"

    def _write(self, name: str, suffix: str, text: str) -> None:
        path = self._path(name, suffix)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_atomically(path, text)
