# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets finds what is there: without this, finding nothing on a real run would prove nothing."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.onprem.platform.tests.faults.leaks import forms, leaked, private_key_lines

pytestmark = pytest.mark.long
SECRET = 's3cr/et+"canary"-0001'
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{'A1b2' * 16}\n{'C3d4' * 8}\n-----END EC PRIVATE KEY-----\n"


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


def test_private_keys_are_found_by_any_of_their_lines() -> None:
    lines = private_key_lines(PEM, "key")
    assert len(lines) == 2
    assert leaked(json.dumps(PEM), lines) == sorted(lines)
    assert leaked(base64.b64encode(PEM.encode()).decode(), lines) == sorted(lines)
