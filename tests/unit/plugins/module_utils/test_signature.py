# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures made here with real keys, and every way in which one can be worth nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519

from ansible_collections.onprem.platform.plugins.module_utils._oci import OciError, sha256_digest
from ansible_collections.onprem.platform.plugins.module_utils._signature import (
    PROVENANCE,
    SPDX,
    PublicKey,
    SignatureError,
    attestation_manifest,
    encoded,
    payload,
    read,
    signature_manifest,
    statement,
    tag_of,
)

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def pem(key: Any) -> str:
    public = key.public_key()
    return str(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    )


class Signer:
    """A key pair."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = PublicKey(name, pem(self._key))

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))


ONE, TWO = Signer("one"), Signer("two")


class Store:
    """Manifests by tag and blobs by digest."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}

    def put(self, tag: str, manifest: Any) -> None:
        self.manifests[tag] = manifest.content
        for digest, (source, _size) in manifest.blobs.items():
            self.blobs[digest] = source().read()

    def read(self, *keys: PublicKey) -> Any:
        return read(DIGEST, list(keys), self.manifests.get, self.blobs.__getitem__)


def sign(store: Store, signer: Signer, digest: str = DIGEST) -> None:
    content = payload("registry.test/app", digest)
    store.put(tag_of(DIGEST, "sig"), signature_manifest(content, signer.sign(content)))


def attest(store: Store, signer: Signer, *types: str, digest: str = DIGEST) -> None:
    bodies = [statement("registry.test/app", digest, kind, {"type": kind}) for kind in types]
    signed = [(body, signer.sign(encoded(body))) for body in bodies]
    store.put(tag_of(DIGEST, "att"), attestation_manifest(signed))


def test_encoding_is_that_of_the_specification() -> None:
    # The example of the DSSE protocol.
    assert encoded(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert tag_of(DIGEST, "att") == f"sha256-{'ab' * 32}.att"


def test_nothing_there() -> None:
    found = Store().read(ONE.public)
    assert found.signatures == found.attestations == []


def test_good_signature_and_attestations() -> None:
    store = Store()
    sign(store, ONE)
    attest(store, ONE, SPDX, PROVENANCE)
    found = store.read(TWO.public, ONE.public)
    assert [item.verified_by for item in found.signatures] == [("one",)]
    assert [(item.predicate_type, item.verified_by) for item in found.attestations] == [
        (SPDX, ("one",)),
        (PROVENANCE, ("one",)),
    ]
    assert found.attestations[0].as_dict(True)["predicate"] == {"type": SPDX}
    assert "predicate" not in found.attestations[0].as_dict()


def test_wrong_key() -> None:
    store = Store()
    sign(store, TWO)
    attest(store, TWO, SPDX)
    found = store.read(ONE.public)
    for item in (*found.signatures, *found.attestations):
        assert item.verified_by == () and item.reason == "no key that is known here has signed it"


def test_made_for_another_image() -> None:
    store = Store()
    sign(store, ONE, digest=OTHER)
    attest(store, ONE, SPDX, digest=OTHER)
    found = store.read(ONE.public)
    for item in (*found.signatures, *found.attestations):
        assert item.verified_by == () and f"it is for {OTHER}" in item.reason


def changed(store: Store, tag: str, change: Any) -> None:
    manifest = json.loads(store.manifests[tag])
    change(manifest["layers"][0])
    store.manifests[tag] = json.dumps(manifest).encode()


def test_type_counts_as_it_is_signed_not_as_it_is_annotated() -> None:
    store = Store()
    attest(store, ONE, PROVENANCE)
    changed(store, tag_of(DIGEST, "att"), lambda layer: layer["annotations"].update(predicateType=SPDX))
    assert store.read(ONE.public).attestations[0].predicate_type == PROVENANCE


def test_changed_content() -> None:
    store = Store()
    attest(store, ONE, SPDX)
    digest = json.loads(store.manifests[tag_of(DIGEST, "att")])["layers"][0]["digest"]
    envelope = json.loads(store.blobs[digest])
    body = base64.b64decode(envelope["payload"]).replace(b"spdx.dev", b"spdx.pet")
    store.blobs[digest] = json.dumps({**envelope, "payload": base64.b64encode(body).decode()}).encode()
    assert store.read(ONE.public).attestations[0].verified_by == ()


@pytest.mark.parametrize(
    "content", [b"no JSON", b"[]", b"{}", b'{"payloadType": "x", "payload": "e30=", "signatures": []}']
)
def test_unreadable_attestation_is_reported(content: bytes) -> None:
    store = Store()
    attest(store, ONE, SPDX)
    tag = tag_of(DIGEST, "att")
    store.blobs[json.loads(store.manifests[tag])["layers"][0]["digest"]] = content
    item = store.read(ONE.public).attestations[0]
    assert item.verified_by == () and "cannot be read" in item.reason and item.predicate_type == SPDX


def test_other_payload_type() -> None:
    store = Store()
    body = statement("registry.test/app", DIGEST, SPDX, {})
    store.put(tag_of(DIGEST, "att"), attestation_manifest([(body, ONE.sign(encoded(body, "text/plain")))]))
    digest = json.loads(store.manifests[tag_of(DIGEST, "att")])["layers"][0]["digest"]
    envelope = json.loads(store.blobs[digest])
    store.blobs[digest] = json.dumps({**envelope, "payloadType": "text/plain"}).encode()
    item = store.read(ONE.public).attestations[0]
    assert item.verified_by == () and "text/plain" in item.reason


def test_certificate_is_named() -> None:
    store = Store()
    sign(store, TWO)
    annotation = {"dev.sigstore.cosign/certificate": "PEM"}
    changed(store, tag_of(DIGEST, "sig"), lambda layer: layer["annotations"].update(annotation))
    assert "short-lived certificate" in store.read(ONE.public).signatures[0].reason


def test_damaged_signature_and_foreign_layers() -> None:
    store = Store()
    sign(store, ONE)
    tag = tag_of(DIGEST, "sig")
    changed(store, tag, lambda layer: layer["annotations"].update({"dev.cosignproject.cosign/signature": "!"}))
    assert store.read(ONE.public).signatures[0].verified_by == ()
    changed(store, tag, lambda layer: layer.update(mediaType="text/plain"))
    assert store.read(ONE.public).signatures == []
    store.manifests[tag] = b"{"
    with pytest.raises(OciError, match="is no manifest"):
        store.read(ONE.public)


def test_kinds_of_keys() -> None:
    content = b"content"
    small = rsa.generate_private_key(65537, 2048)
    key = PublicKey("rsa", pem(small))
    assert key.verifies(small.sign(content, padding.PKCS1v15(), hashes.SHA256()), content)
    assert not key.verifies(b"x" * 256, content)
    edwards = ed25519.Ed25519PrivateKey.generate()
    assert PublicKey("ed", pem(edwards)).verifies(edwards.sign(content), content)
    assert len(key.fingerprint) == 64 and key.fingerprint != PublicKey("ed", pem(edwards)).fingerprint
    with pytest.raises(SignatureError, match="a is no public key in PEM"):
        PublicKey("a", "text")
    with pytest.raises(SignatureError, match="neither an ECDSA"):
        PublicKey("a", pem(x25519.X25519PrivateKey.generate()))


def test_manifest_has_all_its_blobs() -> None:
    manifest = signature_manifest(b"{}", b"s")
    parts = json.loads(manifest.content)
    assert {parts["config"]["digest"], parts["layers"][0]["digest"]} == set(manifest.blobs)
    assert all(sha256_digest(source().read()) == digest for digest, (source, _size) in manifest.blobs.items())
