# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Signatures and attestations of images as cosign stores them by tag: their form, and their verification (private).

Sources: https://github.com/sigstore/cosign/blob/v3.1.3/specs/SIGNATURE_SPEC.md (tags, payload),
https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md (envelope, pre-authentication encoding),
https://github.com/in-toto/attestation/blob/v0.1.0/spec/README.md (statement).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._oci import MEDIA_TYPE_MANIFEST, Manifest, OciError, canonical_json, in_memory, sha256_digest

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    CRYPTOGRAPHY_ERROR: Exception | None = None
except ImportError as error:
    CRYPTOGRAPHY_ERROR = error

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
SPDX = "https://spdx.dev/Document"
PROVENANCE = "https://slsa.dev/provenance/v1"
SIGNATURE_SUFFIX = "sig"
ATTESTATION_SUFFIX = "att"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_CERTIFICATE = "dev.sigstore.cosign/certificate"
_PREDICATE_TYPE = "predicateType"
_TYPE = "cosign container image signature"
_STATEMENT = "https://in-toto.io/Statement/v0.1"

Fetch = Callable[[str], bytes]
"""Returns the content of a blob by its digest; the caller has checked that it has it."""


class SignatureError(Exception):
    """A key or a signature cannot be read; the text names cause and remedy."""


def tag_of(digest: str, suffix: str) -> str:
    """Return the tag under which the signatures (``sig``) or attestations (``att``) of a digest are."""
    return f"{digest.replace(':', '-')}.{suffix}"


class PublicKey:
    """A public key that verifies signatures over SHA-256, as cosign and policy-controller do."""

    def __init__(self, name: str, pem: str) -> None:
        """Load a key.

        :param name: what results call it.
        :raises SignatureError: no public key, of a kind that cosign does not use, or cryptography is missing.
        """
        if CRYPTOGRAPHY_ERROR:
            raise SignatureError(f"The Python package cryptography is missing on this host: {CRYPTOGRAPHY_ERROR}")
        self.name = name
        try:
            self._key = serialization.load_pem_public_key(pem.encode())
        except (ValueError, TypeError) as error:
            raise SignatureError(f"{name} is no public key in PEM: {error}") from error
        if not isinstance(self._key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
            raise SignatureError(f"{name} is neither an ECDSA, an RSA nor an Ed25519 key.")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key as DER (SubjectPublicKeyInfo), lower-case hexadecimal."""
        der = self._key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return sha256_digest(der).partition(":")[2]

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Tell whether this key's owner has signed the content."""
        try:
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
            elif isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def stranger() -> Callable[[bytes], bytes]:
    """Return what signs with a new key that nobody else has, as the key of a stranger would.

    :raises SignatureError: cryptography is missing.
    """
    if CRYPTOGRAPHY_ERROR:
        raise SignatureError(f"The Python package cryptography is missing on this host: {CRYPTOGRAPHY_ERROR}")
    key = ec.generate_private_key(ec.SECP256R1())
    return lambda content: key.sign(content, ec.ECDSA(hashes.SHA256()))


def payload(name: str, digest: str) -> bytes:
    """Return what is signed to sign an image.

    :param name: the image without tag and digest, such as ``registry.example:5000/app``.
    """
    critical = {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": digest},
        "type": _TYPE,
    }
    return canonical_json({"critical": critical, "optional": None})


def statement(name: str, digest: str, predicate_type: str, predicate: Any) -> bytes:
    """Return an in-toto statement about an image."""
    algorithm, _separator, value = digest.partition(":")
    subject = [{"name": name, "digest": {algorithm: value}}]
    return canonical_json(
        {"_type": _STATEMENT, "predicateType": predicate_type, "subject": subject, "predicate": predicate}
    )


def encoded(body: bytes, payload_type: str = IN_TOTO) -> bytes:
    """Return what is signed to sign an envelope (DSSE's pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(body), body)


def envelope(body: bytes, signature: bytes) -> bytes:
    """Return a statement with its signature (DSSE)."""
    signatures = [{"keyid": "", "sig": base64.b64encode(signature).decode()}]
    return canonical_json(
        {"payloadType": IN_TOTO, "payload": base64.b64encode(body).decode(), "signatures": signatures}
    )


def signature_manifest(content: bytes, signature: bytes) -> Manifest:
    """Return the manifest for the tag ``.sig`` with one signature."""
    return _manifest([(content, SIMPLE_SIGNING, {_SIGNATURE: base64.b64encode(signature).decode()})])


def attestation_manifest(signed: list[tuple[bytes, bytes]]) -> Manifest:
    """Return the manifest for the tag ``.att``; ``signed`` has statements with their signatures."""
    layers = []
    for body, signature in signed:
        annotations = {_SIGNATURE: "", _PREDICATE_TYPE: json.loads(body)["predicateType"]}
        layers.append((envelope(body, signature), ENVELOPE, annotations))
    return _manifest(layers)


def _manifest(layers: list[tuple[bytes, str, dict[str, str]]]) -> Manifest:
    """Return a manifest in the form of an image, as cosign writes it, so that every registry takes it."""
    digests = [sha256_digest(content) for content, _type, _annotations in layers]
    config = canonical_json(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "created": "0001-01-01T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": digests},
        }
    )
    value = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256_digest(config), "size": len(config)},
        "layers": [
            {"mediaType": kind, "digest": digest, "size": len(content), "annotations": annotations}
            for (content, kind, annotations), digest in zip(layers, digests)
        ],
    }
    blobs = {sha256_digest(config): config, **{d: content for d, (content, _t, _a) in zip(digests, layers)}}
    return Manifest(
        canonical_json(value),
        MEDIA_TYPE_MANIFEST,
        {digest: (in_memory(content), len(content)) for digest, content in blobs.items()},
    )


@dataclass(frozen=True)
class Finding:
    """One signature or attestation.

    :ivar predicate_type: type of an attestation; empty for a signature.
    :ivar verified_by: names of the keys that verify it for this very image; nobody vouches for it when empty.
    :ivar reason: why nobody does.
    :ivar predicate: what is attested; None for a signature, and for what cannot be read.
    """

    predicate_type: str
    verified_by: tuple[str, ...]
    reason: str
    predicate: Any = None

    def as_dict(self, predicate: bool = False) -> dict[str, Any]:
        """Return the finding as a module returns it, with the predicate if asked for."""
        found: dict[str, Any] = {"verified_by": list(self.verified_by), "reason": self.reason}
        if self.predicate_type:
            found["predicate_type"] = self.predicate_type
        return {**found, "predicate": self.predicate} if predicate and self.predicate is not None else found


def signatures(manifest: Mapping[str, Any], fetch: Fetch, digest: str, keys: list[PublicKey]) -> list[Finding]:
    """Return the signatures of a ``.sig`` manifest and who of the keys has made them for the image ``digest``."""
    found = []
    for layer in manifest.get("layers") or []:
        annotations = layer.get("annotations") or {}
        if layer.get("mediaType") != SIMPLE_SIGNING:
            continue
        content = fetch(layer["digest"])
        names = _signers(annotations.get(_SIGNATURE, ""), content, keys)
        reason = _no_signer(names, annotations)
        try:
            critical = json.loads(content)["critical"]
            signed = critical["image"]["docker-manifest-digest"] if critical["type"] == _TYPE else ""
        except (ValueError, KeyError, TypeError):
            signed = ""
        if signed != digest:
            names, reason = [], f"it is for {signed or 'something else'}, not for this image"
        found.append(Finding("", tuple(names), reason))
    return found


def attestations(manifest: Mapping[str, Any], fetch: Fetch, digest: str, keys: list[PublicKey]) -> list[Finding]:
    """Return the attestations of an ``.att`` manifest and who of the keys has made them for the image ``digest``."""
    found = []
    for layer in manifest.get("layers") or []:
        if layer.get("mediaType") == ENVELOPE:
            found.append(attestation(fetch(layer["digest"]), digest, keys, layer.get("annotations") or {}))
    return found


def attestation(content: bytes, digest: str, keys: list[PublicKey], annotations: Mapping[str, str]) -> Finding:
    """Return what one envelope says, and who of the keys has signed it for what has the ``digest``.

    :param annotations: of the layer that the envelope is; empty for a file.
    """
    named = str(annotations.get(_PREDICATE_TYPE, ""))
    try:
        outer = json.loads(content)
        kind = outer["payloadType"]
        body = base64.b64decode(outer["payload"])
        made = [str(item["sig"]) for item in outer["signatures"]]
        stated = json.loads(body)
        # What is signed counts; the annotation is anybody's.
        predicate_type, predicate = str(stated["predicateType"]), stated.get("predicate")
        subjects = {f"{name}:{value}" for item in stated["subject"] for name, value in item["digest"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Finding(named, (), f"it cannot be read: {error!r}")
    names = [name for text in made for name in _signers(text, encoded(body, kind), keys)]
    reason = _no_signer(names, annotations)
    if kind != IN_TOTO:
        names, reason = [], f"its payload is {kind}, not {IN_TOTO}"
    elif digest not in subjects:
        names, reason = [], f"it is for {', '.join(sorted(subjects)) or 'nothing'}, not for this image"
    return Finding(predicate_type, tuple(dict.fromkeys(names)), reason, predicate)


def _signers(text: str, content: bytes, keys: list[PublicKey]) -> list[str]:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return []
    return [key.name for key in keys if key.verifies(signature, content)]


def _no_signer(names: list[str], annotations: Mapping[str, str]) -> str:
    if names:
        return ""
    if annotations.get(_CERTIFICATE):
        return "it is signed with a short-lived certificate, and no key that is known here"
    return "no key that is known here has signed it"


@dataclass(frozen=True)
class Vouched:
    """All signatures and attestations of one image."""

    signatures: list[Finding]
    attestations: list[Finding]


def read(
    digest: str,
    keys: list[PublicKey],
    manifest: Callable[[str], bytes | None],
    fetch: Fetch,
) -> Vouched:
    """Return what is known about an image.

    :param manifest: returns the manifest of a tag beside the image, None when there is no such tag.
    :raises OciError: the registry or layout cannot be read.
    """
    parsed = []
    for suffix in (SIGNATURE_SUFFIX, ATTESTATION_SUFFIX):
        content = manifest(tag_of(digest, suffix))
        try:
            parsed.append(json.loads(content) if content else {})
        except ValueError as error:
            raise OciError(f"{tag_of(digest, suffix)} is no manifest: {error}") from error
    return Vouched(signatures(parsed[0], fetch, digest, keys), attestations(parsed[1], fetch, digest, keys))
