# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation of the encryption key goes on from wherever an earlier run was stopped."""

from __future__ import annotations

import base64
import datetime
import itertools
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter.encryption_rotation import encryption_rotation
from ansible_collections.onprem.platform.plugins.plugin_utils._encryption_rotation import keys_of, plan

HOSTS = ("cp1", "cp2", "cp3")
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)
MODIFIED = dict.fromkeys(HOSTS, (NOW - datetime.timedelta(days=30)).timestamp())
SECRETS = {name: base64.b64encode(name.encode().ljust(32, b"!")).decode() for name in ("key1", "key2-20261121")}


def text(*names: str, **change: Any) -> str:
    keys = [{"name": name, "secret": SECRETS.get(name, "c2VjcmV0")} for name in names]
    providers: list[dict[str, Any]] = [{"secretbox": {"keys": keys}}, {"identity": {}}]
    entry = {"resources": ["secrets"], "providers": providers, **change}
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [entry]}
    return yaml.safe_dump(document, sort_keys=False)


OLD, ADDED = text("key1"), text("key1", "key2-20261121")
PROMOTED, DONE = text("key2-20261121", "key1"), text("key2-20261121")


def planned(*files: str, request: bool = False, days: int = 365) -> dict[str, Any]:
    return plan(dict(zip(HOSTS, files)), MODIFIED, request, days, NOW)


def names(content: str) -> list[str]:
    return [key.name for key in keys_of(content)]


def test_nothing_is_done_unasked() -> None:
    found = planned(OLD, OLD, OLD)
    assert found["steps"] == []
    assert found["age_days"] == 30
    assert "nothing to do" in found["summary"][-1]


def test_a_request_and_age_begin_a_rotation() -> None:
    for found in (planned(OLD, OLD, OLD, request=True), planned(OLD, OLD, OLD, days=30)):
        assert found["steps"] == ["add", "promote", "rewrite", "remove"]
        assert found["new_key"] == "key2-20261121"
        assert names(found["contents"]["add"]) == ["key1", "key2-20261121"]
        assert names(found["contents"]["promote"]) == ["key2-20261121", "key1"]
        assert names(found["contents"]["remove"]) == ["key2-20261121"]
        fresh = keys_of(found["contents"]["remove"])[0]
        assert len(base64.b64decode(fresh.secret)) == 32
        assert keys_of(found["contents"]["promote"])[1] == keys_of(OLD)[0]
    assert planned(OLD, OLD, OLD, days=0)["steps"] == []
    assert "never due" in planned(OLD, OLD, OLD, days=0)["summary"][-1]


def test_the_age_of_a_rotated_key_is_in_its_name() -> None:
    assert planned(DONE, DONE, DONE, days=1)["steps"] == []
    old = DONE.replace("20261121", "20251120")
    assert planned(old, old, old)["steps"]
    assert planned(old, old, old)["new_key"] == "key3-20261121"


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        ((ADDED, OLD, OLD), ["add", "promote", "rewrite", "remove"]),
        ((OLD, ADDED, ADDED), ["add", "promote", "rewrite", "remove"]),
        ((ADDED, ADDED, ADDED), ["promote", "rewrite", "remove"]),
        ((PROMOTED, ADDED, ADDED), ["promote", "rewrite", "remove"]),
        ((PROMOTED, PROMOTED, PROMOTED), ["rewrite", "remove"]),
        ((DONE, PROMOTED, PROMOTED), ["rewrite", "remove"]),
        ((PROMOTED, DONE, DONE), ["rewrite", "remove"]),
    ],
)
@pytest.mark.parametrize("request_again", [False, True])
def test_a_stopped_rotation_is_finished_with_the_same_key(
    files: tuple[str, ...], steps: list[str], request_again: bool
) -> None:
    found = planned(*files, request=request_again)
    assert found["steps"] == steps
    assert found["new_key"] == "key2-20261121"
    for content in found["contents"].values():
        assert {key.secret for key in keys_of(content)} <= set(SECRETS.values())


def test_no_order_of_writes_and_kills_locks_a_server_out() -> None:
    """From every state that a kill can leave, each next file can be read by every server in the state before."""
    stages = {"add": ADDED, "promote": PROMOTED, "remove": DONE}
    before = {"add": OLD, "promote": ADDED, "remove": PROMOTED}
    for step, written in itertools.product(stages, itertools.product([False, True], repeat=3)):
        files = tuple(stages[step] if done else before[step] for done in written)
        if set(files) == {OLD} or set(files) == {DONE}:
            continue
        found = planned(*files)
        # Who writes now writes with a key that all can read: the first key of each is known to all.
        for content in found["contents"].values():
            writing = names(content)[0]
            current = [names(item) for item in files]
            assert writing in names(content)
            if found["steps"][0] != "add" or names(content)[0] == "key1":
                assert all(writing in held for held in current)
            break


def test_keys_stay_out_of_the_summary() -> None:
    found = planned(ADDED, ADDED, OLD)
    assert not any(secret in line for line in found["summary"] for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((OLD, DONE, OLD), "more than one step"),
        ((OLD, PROMOTED, OLD), "more than one step"),
        ((OLD, OLD.replace(SECRETS["key1"], "b3RoZXI="), OLD), "different keys"),
        ((text("key1", "key2", "key3"),) * 3, "more than two"),
        ((text("mine"),) * 3, "foreign name"),
        ((text("key1", providers=[{"aescbc": {"keys": []}}]),) * 3, "first provider is aescbc"),
        ((text("key1", resources=["*.*"]),) * 3, "patterns"),
        ((OLD, text("key1", resources=["secrets", "configmaps"]), OLD), "more than their keys"),
    ],
)
def test_what_must_be_solved_by_hand_stops_the_run(files: tuple[str, ...], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message) as raised:
        encryption_rotation(dict(zip(HOSTS, files)), MODIFIED)
    assert not any(secret in str(raised.value) for secret in SECRETS.values())


def test_a_broken_file_shows_nothing_of_itself() -> None:
    with pytest.raises(AnsibleFilterError, match="not in the form") as raised:
        encryption_rotation({"cp1": "resources: [secret: c2VjcmV0"}, MODIFIED)
    assert "c2VjcmV0" not in str(raised.value)
    with pytest.raises(AnsibleFilterError, match="no control plane"):
        encryption_rotation({}, {})
