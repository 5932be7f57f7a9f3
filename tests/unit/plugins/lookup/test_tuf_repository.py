# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup that packs a mirror of keys; policy-controller reads what it makes in tests/integration/k8s."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.onprem.platform.plugins.lookup import tuf_repository


@pytest.fixture
def lookup(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = tuf_repository.LookupModule()
    options: dict[str, Any] = {"targets": "targets", "root": None}
    monkeypatch.setattr(found, "set_options", lambda var_options, direct: options.update(direct))
    monkeypatch.setattr(found, "get_option", options.__getitem__)
    return found


def test_a_mirror_is_packed(lookup: Any, tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    for name in ("root.json", "timestamp.json", "targets/trusted_root.json"):
        (tmp_path / name).write_text(name)
    (found,) = lookup.run([str(tmp_path)])
    assert base64.b64decode(found["root"]) == b"root.json" and found["targets"] == "targets"
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(found["mirrorFS"])), mode="r:gz") as archive:
        files = {item.name for item in archive.getmembers() if item.isfile()}
    assert files == {f"repository/{name}" for name in ("root.json", "timestamp.json", "targets/trusted_root.json")}
    assert lookup.run([str(tmp_path)]) == [found]
    other = tmp_path / "own-root"
    other.write_text("trusted")
    assert base64.b64decode(lookup.run([str(tmp_path)], root=str(other))[0]["root"]) == b"trusted"


def test_what_is_no_mirror_is_said(lookup: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleLookupError, match="no repository with a root"):
        lookup.run([str(tmp_path / "none")])
    (tmp_path / "root.json").write_text("{}")
    with pytest.raises(AnsibleLookupError, match=r"no timestamp\.json"):
        lookup.run([str(tmp_path)])
    (tmp_path / "timestamp.json").write_text("{}")
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "a").write_text("a")
    monkeypatch.setattr(tuf_repository, "LIMIT", 10)
    with pytest.raises(AnsibleLookupError, match="too large for a cluster"):
        lookup.run([str(tmp_path)])
