# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority for identities, and a repository with its keys, as sigstore's public services have them."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.onprem.platform.plugins.module_utils._oci import Manifest, canonical_json, push
from ansible_collections.onprem.platform.plugins.module_utils._signature import payload, signature_manifest, tag_of
from ansible_collections.onprem.platform.tests.integration.k8s.signing import RegistryService

# https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
DAY = datetime.timedelta(days=1)


class Fulcio:
    """Issues certificates for addresses of workflows, which an identity provider vouches for."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example"),
                x509.NameAttribute(NameOID.COMMON_NAME, "identities"),
            ]
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self._certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def keys(self) -> dict[str, Any]:
        """The spec of a TrustRoot."""
        subject = {"organization": "example", "commonName": "identities"}
        chain = base64.b64encode(self.pem.encode()).decode()
        authority = {"subject": subject, "uri": "https://fulcio.example.org", "certChain": chain}
        return {"sigstoreKeys": {"certificateAuthorities": [authority]}}

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY / 24)
            .not_valid_after(now + DAY)
        )

    def sign(self, service: RegistryService, repository: str, digest: str, issuer: str, subject: str) -> None:
        """Sign an image as a workflow does that has an identity and no key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([]), key)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUER, issuer.encode()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        content = payload(f"{service.address}/{repository}", digest)
        made = signature_manifest(content, key.sign(content, ec.ECDSA(hashes.SHA256())))
        value = json.loads(made.content)
        value["layers"][0]["annotations"] |= {
            "dev.sigstore.cosign/certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "dev.sigstore.cosign/chain": self.pem,
        }
        signed = Manifest(canonical_json(value), made.media_type, made.blobs)
        push([service.client], [(repository, tag_of(digest, "sig"), signed)])


class KeyRepository:
    """A repository of The Update Framework with the certificate of an authority.

    Format: https://theupdateframework.github.io/specification/v1.0.33/.
    """

    def __init__(self, directory: Path, authority: Fulcio) -> None:
        self.directory = directory
        self._key = ed25519.Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public.hex()}}
        self._identifier = hashlib.sha256(canonical_json(key)).hexdigest()
        roles = {
            name: {"keyids": [self._identifier], "threshold": 1}
            for name in ("root", "targets", "snapshot", "timestamp")
        }
        root = {"keys": {self._identifier: key}, "roles": roles, "consistent_snapshot": False}
        self._write("root", root)
        certificate = authority.pem.encode()
        (directory / "targets").mkdir()
        (directory / "targets" / "fulcio.crt.pem").write_bytes(certificate)
        custom = {"sigstore": {"status": "Active", "uri": "https://fulcio.example.org", "usage": "Fulcio"}}
        target = {**self._description(certificate), "custom": custom}
        targets = self._write("targets", {"targets": {"fulcio.crt.pem": target}})
        snapshot = self._write("snapshot", {"meta": {"targets.json": {"version": 1, **self._description(targets)}}})
        self._write("timestamp", {"meta": {"snapshot.json": {"version": 1, **self._description(snapshot)}}})

    @staticmethod
    def _description(content: bytes) -> dict[str, Any]:
        return {"length": len(content), "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}

    def _write(self, role: str, content: dict[str, Any]) -> bytes:
        expires = (datetime.datetime.now(datetime.timezone.utc) + DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = {"_type": role, "spec_version": "1.0", "version": 1, "expires": expires, **content}
        signature = {"keyid": self._identifier, "sig": self._key.sign(canonical_json(signed)).hex()}
        text = canonical_json({"signed": signed, "signatures": [signature]})
        (self.directory / f"{role}.json").write_bytes(text)
        return text
