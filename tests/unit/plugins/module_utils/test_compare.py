# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison library."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._compare import (
    HIDDEN,
    HIDDEN_NEW,
    Field,
    boolean,
    compare,
    integer,
    json_equal,
    key_changes,
    pem,
    pem_set,
    seconds,
    statements,
    string_map,
    strings,
    structured,
    text,
    unordered,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        ("", 0),
        ("system", 0),
        (0, 0),
        (90, 90),
        (90.9, 90),
        ("90", 90),
        ("90.5", 90),
        (" 90s ", 90),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("72h0m0s", 259200),
        ("700h", 2520000),
        ("2d", 172800),
        ("500ms", 0),
        ("1500ms", 1),
        ("-1", -1),
        ("-1h", -3600),
    ],
)
def test_seconds(value, expected):
    assert seconds(value) == expected


@pytest.mark.parametrize("value", [True, "soon", "1 hour", "h", "-", "1h x"])
def test_no_durations(value):
    with pytest.raises(ValueError, match="is no duration"):
        seconds(value)


def test_lists():
    assert strings("a, b") == ["a", "b"] and strings(None) == [] and strings([1]) == ["1"]
    assert unordered(["b", "a", "b"]) == ["a", "b"]
    assert statements("a;b") == ["a;b"] and statements(["a", "b"]) == ["a", "b"] and statements("") == []


def test_texts():
    assert text("a\r\nb\n\n") == "a\nb" and text(None) == ""
    block = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----"
    assert pem(f"comment\n{block}\n") == pem(block.replace("\n", "\r\n  ")) == block
    assert pem("no block ") == "no block" and pem(None) == ""
    assert pem_set([f"{block}\n", block]) == [block] and pem_set(None) == []


def test_values():
    assert structured('{"a": 1}') == structured("a: 1") == {"a": 1} and structured("") == {} and structured(None) == {}
    with pytest.raises(ValueError, match="neither JSON nor YAML"):
        structured("{a: [")
    assert integer("4") == 4 and integer(None) == 0
    assert boolean("True") and not boolean("no") and boolean(1) and not boolean(None)
    assert string_map({"a": True, "b": 2}) == {"a": "true", "b": "2"} and string_map(None) == {}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, True, False),
        (False, 0, False),
        (True, True, True),
        (1, 1.0, True),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ("1", 1, False),
    ],
)
def test_json_equal(left, right, expected):
    assert json_equal(left, right) is expected


FIELDS = (
    Field("ttl", seconds, read_as="token_ttl"),
    Field("kind", absent="default"),
    Field("secret", secret=True),
    Field("password", write_only=True),
)


def test_only_what_is_set_is_compared():
    current = {"token_ttl": 3600, "kind": None, "secret": "a", "other": 1}
    assert not compare(FIELDS, {"ttl": "1h", "kind": "default", "secret": None, "password": "p"}, current)
    difference = compare(FIELDS, {"ttl": "2h", "kind": "x", "secret": "b", "password": "p"}, current)
    assert difference.body == {"ttl": "2h", "kind": "x", "secret": "b"}
    assert difference.before == {"ttl": 3600, "kind": "default", "secret": HIDDEN}
    assert difference.after == {"ttl": 7200, "kind": "x", "secret": HIDDEN_NEW}
    assert difference.changed == ["ttl", "kind", "secret"]


def test_a_new_object_gets_all_that_is_set():
    difference = compare(FIELDS, {"ttl": "1h", "secret": "a", "password": "p"}, None)
    assert difference.body == {"ttl": "1h", "secret": "a", "password": "p"}
    assert difference.after == {"ttl": 3600, "secret": HIDDEN, "password": HIDDEN} and difference.before == {}


def test_the_option_is_named_in_errors():
    with pytest.raises(ValueError, match=r"ttl: 'x' is no duration"):
        compare(FIELDS, {"ttl": "x"}, {})


def test_key_changes():
    assert key_changes({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": True, "d": 4}) == {
        "a": "removed",
        "c": "changed",
        "d": "added",
    }
