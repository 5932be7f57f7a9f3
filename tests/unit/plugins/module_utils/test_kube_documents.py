# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, checking, ordering and masking documents."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._kube_documents import (
    MASK,
    crd_kinds,
    identity,
    load_documents,
    public_diff,
    public_view,
    rank,
    secret_values,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import KubeConfigError


def document(kind: str = "ConfigMap", name: str = "one", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more}


def test_all_ways_to_give_documents(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{json.dumps(document(name='file'))}\n---\n---\n")
    found = load_documents(
        [
            document(),
            {"apiVersion": "v1", "kind": "List", "items": [document(name="in-list")]},
            [document(name="nested")],
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata: {day: 2026-01-01}\n",
        ],
        [str(tmp_path), str(tmp_path / "a.yaml")][:1],
        "team",
    )
    assert [identity(item).name for item in found] == ["one", "in-list", "nested", "text", "file"]
    assert found[3]["data"] == {"day": "2026-01-01"}
    assert {identity(item).namespace for item in found} == {"team"}
    assert load_documents(document(), None)[0]["metadata"] == {"name": "one"}


@pytest.mark.parametrize(
    ("definition", "word"),
    [
        (None, "no documents"),
        ([1], "not a mapping"),
        ([{"kind": "X", "metadata": {"name": "a"}}], "no apiVersion"),
        ([{"apiVersion": "v1", "metadata": {"name": "a"}}], "no kind"),
        ([{"apiVersion": "v1", "kind": "X"}], "no metadata.name"),
        ([{"apiVersion": "v1", "kind": "X", "metadata": {"generateName": "a-"}}], "no metadata.name"),
        ([document(name="../../etc")], "invalid name"),
        ([document(name="..")], "invalid name"),
        ([document(name="")], "invalid name"),
        ([document(name="a%2fb")], "invalid name"),
        ([document(name="a" * 254)], "invalid name"),
        ([{**document(), "metadata": {"name": "a", "namespace": "Bad/One"}}], "invalid namespace"),
        ([document(), document()], "described twice"),
        ("a: [", "not valid YAML"),
    ],
)
def test_bad_documents(definition: Any, word: str) -> None:
    with pytest.raises(KubeConfigError, match=word):
        load_documents(definition, None)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(KubeConfigError, match="cannot be read"):
        load_documents(None, [str(tmp_path / "none.yaml")])
    with pytest.raises(KubeConfigError, match="holds no"):
        load_documents(None, [str(tmp_path)])


def test_string_data_is_folded_and_server_fields_are_dropped() -> None:
    secret = document("Secret", data={"a": "YQ=="}, stringData={"b": "x", "c": 1})
    secret["metadata"].update(resourceVersion="1", uid="2", managedFields=[])
    found = load_documents(secret, None)[0]
    assert found["data"] == {"a": "YQ==", "b": base64.b64encode(b"x").decode(), "c": base64.b64encode(b"1").decode()}
    assert "stringData" not in found
    assert found["metadata"] == {"name": "one"}
    assert load_documents(document("Secret"), None)[0].get("data") is None


def test_order() -> None:
    kinds = [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("v1", "Namespace"),
        ("v1", "ServiceAccount"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("apps/v1", "Deployment"),
        ("test.internal/v1", "Namespace"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ]
    ranks = [rank({"apiVersion": version, "kind": kind}) for version, kind in kinds]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_kinds_of_a_definition() -> None:
    crd = {
        "kind": "CustomResourceDefinition",
        "spec": {"group": "g", "names": {"kind": "K"}, "versions": [{"name": "v1"}, {"name": "v2", "served": False}]},
    }
    assert crd_kinds(crd) == {("g/v1", "K")}
    assert crd_kinds(document()) == set()


def test_masks() -> None:
    before = document("Secret", data={"a": "b25l", "b": "c2FtZQ=="})
    after = document("Secret", data={"a": "dHdv", "b": "c2FtZQ==", "new": "eA=="})
    after["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "secret"}
    after["status"] = {"x": 1}
    entry = public_diff(before, after, "Secret one")
    assert f"a: '{MASK} (changed)'" in entry["after"]
    assert f"b: '{MASK}'" in entry["after"]
    assert "b25l" not in json.dumps(entry)
    assert "annotations" not in entry["after"]
    assert public_diff(None, before, "x")["before"] == ""
    assert public_diff(before, None, "x")["after"] == ""
    hidden = ["spec.values.password", "spec.list.token", "spec.none.at.all"]
    shown = public_view(
        document("X", spec={"values": {"password": "p", "user": "u"}, "list": [{"token": "t"}, 1]}), hidden
    )
    assert shown["spec"] == {"values": {"password": MASK, "user": "u"}, "list": [{"token": MASK}, 1]}
    changed = public_diff(
        document("X", spec={"values": {"password": "p"}}),
        document("X", spec={"values": {"password": "q"}}),
        "X",
        hidden,
    )
    assert f"{MASK} (changed)" in changed["after"]
    assert public_view(None) == {}


def test_values_that_must_not_be_quoted() -> None:
    secret = document("Secret", data={"a": "b25l", "binary": "/w==", "bad": "%", "empty": ""})
    assert secret_values([secret, document()]) == {"b25l", "one", "/w==", "%"}
