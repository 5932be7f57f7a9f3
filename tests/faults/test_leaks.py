# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets finds what is there: without this, finding nothing on a real run would prove nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ansible_collections.onprem.platform.plugins.plugin_utils._secret_scan import forms, leaked
from ansible_collections.onprem.platform.tests.faults.leaks import private_key_lines

pytestmark = pytest.mark.long
SECRET = 's3cr/et+"canary"-0001'


@pytest.mark.parametrize("offset", range(5))
@pytest.mark.parametrize("after", range(4))
def test_base64_is_found_at_any_position(offset: int, after: int) -> None:
    encoded = base64.b64encode(b"x" * offset + SECRET.encode() + b"y" * after).decode()
    assert leaked(f"password: {encoded}", {"canary": SECRET}) == ["canary"]


@pytest.mark.parametrize("text", [SECRET, json.dumps({"a": SECRET}), f"--password={SECRET}"])
def test_plain_and_json_are_found(text: str) -> None:
    assert leaked(text, {"canary": SECRET, "other": "something-else"}) == ["canary"]


def test_nothing_is_found_where_nothing_is() -> None:
    assert leaked("nothing of the kind, " + base64.b64encode(b"nor here").decode(), {"canary": SECRET}) == []
    assert all(len(form) > 20 for form in forms(SECRET))


def pem_of(key: Any, form: serialization.PrivateFormat) -> str:
    """Return a private key as text."""
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_private_keys_are_found_by_any_of_their_private_lines(kind: str, form: serialization.PrivateFormat) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    pem = pem_of(key, form)
    lines = private_key_lines(pem, "key")
    assert lines
    assert leaked(json.dumps(pem), lines) == sorted(lines)
    assert leaked(base64.b64encode(pem.encode()).decode(), lines) == sorted(lines)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for offset in range(3):
        assert leaked(base64.b64encode(b"x" * offset + public).decode(), lines) == []


def test_ssh_key_is_found() -> None:
    pem = pem_of(ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH)
    lines = private_key_lines(f"before\n{pem}after\n", "key")
    assert lines and leaked(pem, lines) == sorted(lines)
