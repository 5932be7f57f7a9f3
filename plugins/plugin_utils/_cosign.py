# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing with cosign's keys: a key pair in a file, or a key of a key management system (``hashivault://name``)."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ._bundle_common import BundleError, run_tool, write_atomically

# Nothing is sent anywhere: no transparency log, no time stamp, and the plain signature that policy-controller verifies.
_OFFLINE = ("--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "--yes")


@dataclass(frozen=True)
class Cosign:
    """The program with one key.

    :ivar key: path of the private key, or address of a key management system's key.
    :ivar public_key_file: its public key in PEM.
    :ivar password: of the key file; the program gets it by its environment.
    """

    program: Path
    key: str
    public_key_file: Path
    password: str = field(default="", repr=False)

    @property
    def managed(self) -> bool:
        """Tell whether the key is in a key management system."""
        return "://" in self.key

    def public_key(self) -> str | None:
        """Return the public key in PEM; None when there is none yet."""
        try:
            return self.public_key_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BundleError(f"{self.public_key_file} cannot be read: {error}") from error

    def fetch_public_key(self) -> str:
        """Write the public key of an existing private key to its file and return it.

        :raises BundleError: no such key, or a wrong password.
        """
        pem = self._run("public-key", f"--key={self.key}")
        write_atomically(self.public_key_file, pem)
        return pem

    def create(self) -> str:
        """Make the key pair and return the public key; an existing private key is never overwritten."""
        if self.managed:
            with tempfile.TemporaryDirectory() as scratch:
                # It writes the public key to where it runs.
                self._run("generate-key-pair", f"--kms={self.key}", directory=Path(scratch))
            return self.fetch_public_key()
        path = Path(self.key)
        if path.exists():
            return self.fetch_public_key()
        if not self.password:
            raise BundleError("A new key needs a password. Set COSIGN_PASSWORD, and keep it apart from the key.")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            self._run("generate-key-pair", f"--output-key-prefix={scratch}/made")
            made = Path(scratch) / "made.key"
            made.chmod(0o600)
            pem = (Path(scratch) / "made.pub").read_text(encoding="utf-8")
            # The private key last: a pair without it is made anew, a key without its public part never comes to be.
            write_atomically(self.public_key_file, pem)
            made.replace(path)
        return pem

    def sign(self, content: bytes) -> bytes:
        """Return the signature (over SHA-256) of some content.

        :raises BundleError: the program refuses the key or the password.
        """
        with tempfile.TemporaryDirectory() as scratch:
            blob, signature = Path(scratch) / "blob", Path(scratch) / "signature"
            blob.write_bytes(content)
            self._run("sign-blob", f"--key={self.key}", *_OFFLINE, f"--output-signature={signature}", str(blob))
            return base64.b64decode(signature.read_text(encoding="ascii"))

    def _run(self, *arguments: str, directory: Path | None = None) -> str:
        environment = {**os.environ, "COSIGN_PASSWORD": self.password}
        try:
            return run_tool([str(self.program), *arguments], environment=environment, directory=directory)
        except BundleError as error:
            raise BundleError(f"cosign cannot use the key {self.key}. {error}") from error
