# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The file that holds unseal keys and root token of a cluster: proved writable first, written in one step."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ._vault_errors import VaultConfigurationError

_PROOF_SIZE = 64 * 1024


def sync_directory(path: Path) -> None:
    """Make sure that the names in a directory survive a power loss."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class KeyFile:
    """A JSON file with mode 0600, replaced atomically.

    Keys: ``keys_base64`` (shares, or PGP messages), ``root_token``, ``encrypted`` and what vault_init adds.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser().absolute()
        self._prepared: Path | None = None

    def read(self) -> dict[str, Any] | None:
        """Return the content, or None when there is no file or it is empty.

        Raises VaultConfigurationError when it cannot be read or is no key file.
        """
        try:
            text = self.path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise VaultConfigurationError(f"The key file {self.path} cannot be read: {error}.") from error
        if not text:
            return None
        try:
            content = json.loads(text)
        except ValueError as error:
            raise VaultConfigurationError(f"The key file {self.path} is no valid JSON.") from error
        if not isinstance(content, dict):
            raise VaultConfigurationError(f"{self.path} is no key file.")
        return content

    def prepare(self) -> Path:
        """Write a file of sufficient size beside the target, sync it and return its path, so that the real write
        cannot fail for want of rights or space.

        Raises VaultConfigurationError with the reason.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            prepared = self._prepared = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(b" " * _PROOF_SIZE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.discard()
            raise VaultConfigurationError(
                f"The key file {self.path} cannot be written: {error}.", hint="Nothing was sent to Vault."
            ) from error
        return prepared

    def store(self, content: dict[str, Any]) -> None:
        """Write the content into the prepared file, move it into place and read it back.

        Raises VaultConfigurationError when the file does not hold the content afterwards.
        """
        prepared = self._prepared or self.prepare()
        try:
            with open(prepared, "r+b") as file:
                file.write(json.dumps(content, indent=2, sort_keys=True).encode() + b"\n")
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            os.replace(prepared, self.path)
            self._prepared = None
            sync_directory(self.path.parent)
        except OSError as error:
            raise VaultConfigurationError(f"The key file {self.path} cannot be written: {error}.") from error
        if self.read() != content:
            raise VaultConfigurationError(f"The key file {self.path} does not hold what was written.")

    def discard(self) -> None:
        """Remove the prepared file, if there is one."""
        if self._prepared is not None:
            self._prepared.unlink(missing_ok=True)
            self._prepared = None
