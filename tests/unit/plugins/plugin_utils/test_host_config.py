# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels to the host, and how."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils import _host_config as subject


def texts(call: subject.Call) -> dict[str, str]:
    return dict(json.loads(zlib.decompress(base64.b64decode(call.arguments["_payload"]))))


def test_text_is_packed_and_leaves_the_visible_arguments() -> None:
    call = subject.prepare({"files": [{"path": "/etc/a", "content": "canary"}], "sysctl": {"a.b": 1}})
    assert texts(call) == {"files:/etc/a": "canary"}
    visible = {key: value for key, value in call.arguments.items() if key != "_payload"}
    assert visible == {"files": [{"path": "/etc/a"}], "sysctl": {"a.b": 1}}


def test_small_text_file_is_sent_as_text_and_binary_by_checksum(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    (tmp_path / "tool").write_bytes(b"\0\1")
    call = subject.prepare(
        {
            "files": [
                {"path": "/etc/ca.crt", "src": str(tmp_path / "ca.crt")},
                {"path": "/bin/tool", "src": str(tmp_path / "tool")},
            ],
            "trust_anchors": [{"name": "ca", "src": str(tmp_path / "ca.crt")}],
        }
    )
    assert texts(call) == {"files:/etc/ca.crt": "PEM", "trust_anchors:ca": "PEM"}
    sha256 = hashlib.sha256(b"\0\1").hexdigest()
    assert call.sources == {sha256: str(tmp_path / "tool")}
    assert call.arguments["files"][1]["size"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"files": [{"path": "/a"}]}, "one of 'content', 'src' and 'bundle'"),
        ({"files": [{"path": "/a", "content": "", "src": "/x"}]}, "one of 'content', 'src' and 'bundle'"),
        ({"files": [{"path": "/a", "content": {"a": 1}}]}, "must be text, not dict"),
        ({"files": [{"path": "/a", "src": "/nonexistent/x"}]}, "is the bundle complete"),
        ({"files": "x"}, "must be a list"),
        ({"files": ["x"]}, "must be a mapping"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(subject.ConfigurationError, match=message):
        subject.prepare(arguments)


def test_wrong_size_and_checksum_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\0\1")
    with pytest.raises(subject.ConfigurationError, match="has 2 bytes instead of 3"):
        subject.prepare({"files": [{"path": "/a", "src": str(tool), "size": 3}]})
    with pytest.raises(subject.ConfigurationError, match="not a sha256"):
        subject.prepare({"files": [{"path": "/a", "src": str(tool), "sha256": "../../etc"}]})


def test_archive_names_are_checksums(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"\0small")
    (tmp_path / "large").write_bytes(b"\0" * subject.ARCHIVE_LIMIT)
    call = subject.prepare(
        {"files": [{"path": f"/{name}", "src": str(tmp_path / name)} for name in ("small", "large")]}
    )
    small, large = subject.split_by_size(call, sorted(call.sources))
    assert [call.sources[name] for name in small] == [str(tmp_path / "small")]
    assert [call.sources[name] for name in large] == [str(tmp_path / "large")]
    subject.write_archive(call, small, str(tmp_path / "out.tar"))
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getnames() == small


def test_files_and_packages_of_the_bundle(tmp_path: Path) -> None:
    for name, data in (("files/tool", b"\0tool"), ("packages/haproxy.deb", b"!<arch>\n\0")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    tool = {"kind": "file", "name": "tool", "version": "v1", "path": "files/tool", "sha256": "a" * 64, "size": 5}
    package = {"kind": "package", "name": "haproxy", "version": "2.6", "path": "packages/haproxy.deb"}
    package.update(sha256="b" * 64, size=9, distribution="debian-12", artefact="package/node-debian-12")
    index = {"schema": 1, "platform": "linux/amd64", "entries": [{**tool, "artefact": "tool"}, package]}
    (tmp_path / "index.json").write_text(json.dumps(index))
    arguments = {
        "bundle_directory": str(tmp_path),
        "bundle_packages": ["node-debian-12"],
        "files": [{"path": "/usr/local/bin/tool", "bundle": "tool"}],
    }
    call = subject.prepare(arguments)
    assert call.sources == {"a" * 64: str(tmp_path / "files/tool"), "b" * 64: str(tmp_path / "packages/haproxy.deb")}
    assert call.arguments["packages"][0]["distribution"] == "debian-12"
    assert "bundle_packages" not in call.arguments
    for wrong in ({"files": [{"path": "/a", "bundle": "absent"}]}, {"bundle_packages": ["absent"]}):
        with pytest.raises(subject.ConfigurationError, match="has no"):
            subject.prepare({"bundle_directory": str(tmp_path), **wrong})
    with pytest.raises(subject.ConfigurationError, match="bundle_directory"):
        subject.prepare({"files": [{"path": "/a", "bundle": "tool"}]})
