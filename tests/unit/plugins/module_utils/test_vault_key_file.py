# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file for unseal keys."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _vault_key_file
from ansible_collections.onprem.platform.plugins.module_utils._vault_errors import VaultConfigurationError
from ansible_collections.onprem.platform.plugins.module_utils._vault_key_file import KeyFile

KEYS = {"keys_base64": ["a"], "root_token": "b"}


def test_store_and_read(tmp_path):
    file = KeyFile(str(tmp_path / "private" / "keys.json"))
    assert file.read() is None
    file.prepare()
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    prepared = next(file.path.parent.iterdir())
    assert prepared.stat().st_size == 65536 and stat.S_IMODE(prepared.stat().st_mode) == 0o600
    file.store(KEYS)
    file.discard()
    assert file.read() == KEYS and stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.store({"root_token": "c"})
    assert file.read() == {"root_token": "c"} and len(list(file.path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "no valid JSON"), (b"[]", "no key file"), (b"\xff", "cannot be read")]
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "keys.json").write_bytes(content)
    with pytest.raises(VaultConfigurationError, match=message):
        KeyFile(str(tmp_path / "keys.json")).read()


def test_an_empty_file_holds_nothing(tmp_path):
    (tmp_path / "keys.json").write_text("\n")
    assert KeyFile(str(tmp_path / "keys.json")).read() is None


def test_a_full_disk_is_found_before_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    file = KeyFile(str(tmp_path / "keys.json"))
    monkeypatch.setattr(_vault_key_file.os, "fsync", full)
    with pytest.raises(VaultConfigurationError, match=r"No space left.*Nothing was sent"):
        file.prepare()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_is_told(tmp_path, monkeypatch):
    def gone(*_paths):
        raise OSError("gone")

    file = KeyFile(str(tmp_path / "keys.json"))
    file.prepare()
    monkeypatch.setattr(_vault_key_file.os, "replace", gone)
    with pytest.raises(VaultConfigurationError, match="gone"):
        file.store(KEYS)
    monkeypatch.undo()
    monkeypatch.setattr(KeyFile, "read", lambda _file: None)
    with pytest.raises(VaultConfigurationError, match="does not hold"):
        file.store(KEYS)
    assert os.path.exists(file.path)
