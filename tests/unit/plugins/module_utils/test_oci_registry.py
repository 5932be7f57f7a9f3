# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client of registries asks for, and what it makes of answers; a real registry is in tests/integration."""

from __future__ import annotations

import io
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3

from ansible_collections.onprem.platform.plugins.module_utils import _oci
from ansible_collections.onprem.platform.plugins.module_utils._oci import (
    MEDIA_TYPE_MANIFEST,
    Manifest,
    OciError,
    Registry,
    push,
    sha256_digest,
)

BLOB = b"layer"
DIGEST = sha256_digest(BLOB)
MANIFEST = Manifest(b'{"layers":[]}', MEDIA_TYPE_MANIFEST, {DIGEST: (lambda: io.BytesIO(BLOB), len(BLOB))})


@dataclass
class Answer:
    """An answer as urllib3 gives it."""

    status: int
    data: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Store:
    """A registry in memory, in place of the connection pool."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.override: Answer | None = None
        self.broken = ""

    def request(self, method: str, path: str, body: Any = None, headers: Any = None, **_options: Any) -> Answer:
        """Answer as the distribution specification says."""
        self.asked.append(f"{method} {path}")
        if self.broken:
            # The model has no connection pool to name.
            raise urllib3.exceptions.ReadTimeoutError(None, "/", self.broken)  # type: ignore[arg-type]
        if self.override:
            return self.override
        name = path.rpartition("/")[2]
        if path.endswith("/tags/list"):
            tags = [tag for tag in self.manifests if not tag.startswith("sha256:")]
            return Answer(200, json.dumps({"tags": tags or None}).encode()) if self.manifests else Answer(404)
        if "/manifests/" in path:
            return self._manifest(method, name, body)
        if method == "POST":
            return Answer(202, headers={"Location": f"https://registry:5001{path}1?state=s"})
        if method == "PUT":
            digest = path.rpartition("digest=")[2]
            self.blobs[digest] = body.read()
            assert headers["Content-Length"] == str(len(self.blobs[digest])) and "?state=s&digest=" in path
            return Answer(201)
        return (
            Answer(200, self.blobs[name])
            if name in self.blobs
            else Answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
        )

    def _manifest(self, method: str, name: str, body: bytes) -> Answer:
        if method == "PUT":
            self.manifests[name] = body
            return Answer(201)
        if name not in self.manifests:
            return Answer(404)
        content = self.manifests[name]
        return Answer(200, content, {"Docker-Content-Digest": sha256_digest(content)})


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def registry(store: Store) -> Registry:
    client = Registry("registry:5001")
    client._pool = store
    return client


def test_pushed_content_comes_back(registry: Registry, store: Store) -> None:
    assert registry.tags("app") == [] and registry.manifest("app", "1") is None
    assert registry.manifest_digest("app", "1") is None
    push([registry], [("app", "1", MANIFEST)])
    assert registry.tags("app") == ["1"]
    assert registry.manifest("app", "1") == (MANIFEST.digest, MANIFEST.content)
    assert registry.manifest("app", MANIFEST.digest) == (MANIFEST.digest, MANIFEST.content)
    assert registry.manifest_digest("app", "1") == MANIFEST.digest
    assert registry.blob("app", DIGEST) == BLOB
    # The tag comes last: no replica shows what another does not have.
    puts = [line.rpartition("/")[2] for line in store.asked if line.startswith("PUT") and "/manifests/" in line]
    assert puts == [MANIFEST.digest, "1"]


def test_a_blob_is_uploaded_once(registry: Registry, store: Store) -> None:
    assert registry.push_blob("app", DIGEST, *MANIFEST.blobs[DIGEST])
    asked = len(store.asked)
    assert not registry.push_blob("app", DIGEST, *MANIFEST.blobs[DIGEST])
    assert len(store.asked) == asked + 1


def test_other_content_than_asked_for_is_refused(registry: Registry, store: Store) -> None:
    store.blobs[DIGEST] = b"other"
    store.manifests[MANIFEST.digest] = b"other"
    with pytest.raises(OciError, match="gave another blob"):
        registry.blob("app", DIGEST)
    with pytest.raises(OciError, match="gave another manifest"):
        registry.manifest("app", MANIFEST.digest)
    with pytest.raises(OciError, match="no sha256 digest"):
        registry.blob("app", "latest")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), "answered 403 to GET .*: DENIED: no"),
        (Answer(502, b"bad gateway"), "answered 502 .*: bad gateway"),
        (Answer(500), "answered 500 .*: no text"),
        (Answer(500, b'["list"]'), r'answered 500 .*: \["list"\]'),
    ],
)
def test_errors_name_the_registry_and_the_reason(
    registry: Registry, store: Store, answer: Answer, message: str
) -> None:
    store.override = answer
    with pytest.raises(OciError, match=f"Registry registry:5001 {message}"):
        registry.tags("app")


def test_no_answer_is_an_error_with_the_reason(registry: Registry, store: Store) -> None:
    store.broken = "read timed out"
    with pytest.raises(OciError, match=r"Registry registry:5001 did not answer GET .*read timed out"):
        registry.tags("app")


def test_certificates_that_cannot_be_read(tmp_path: Any) -> None:
    missing = str(tmp_path / "ca.crt")
    with pytest.raises(OciError, match=r"Cannot load the certificates for registry registry:5001: .*No such file"):
        Registry("registry:5001", ca_cert=missing)
    (tmp_path / "client.crt").write_text("no certificate")
    with pytest.raises(OciError, match="Cannot load the certificates"):
        Registry("registry:5001", client_cert=str(tmp_path / "client.crt"))


def test_old_protocols_are_not_spoken() -> None:
    context = Registry("[::1]:5001")._pool.conn_kw["ssl_context"]
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_without_urllib3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_oci, "URLLIB3_ERROR", ImportError("No module named 'urllib3'"))
    with pytest.raises(OciError, match="urllib3 is missing"):
        Registry("registry:5001")
