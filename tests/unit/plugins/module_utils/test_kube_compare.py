# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a live object holds a document, decided from managedFields."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._kube_compare import (
    OWNERSHIP,
    UNCHANGED,
    VALUES,
    compare,
    quantity,
)

DOCUMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web"}, "creationTimestamp": None},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "paused": False,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "ports": [{"containerPort": 80}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
                        "resources": {"limits": {"cpu": "1000m"}},
                        "args": ["x"],
                    }
                ]
            }
        },
    },
}
LIVE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "namespace": "a",
        "labels": {"app": "web", "other": "x"},
        "managedFields": [
            {"manager": "other", "operation": "Update", "fieldsV1": {}},
            {
                "manager": "m",
                "operation": "Apply",
                "apiVersion": "apps/v1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {
                        "f:selector": {},
                        "f:paused": {},
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"web"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:ports": {
                                            'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                                        },
                                        "f:env": {
                                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                                        },
                                        "f:resources": {"f:limits": {"f:cpu": {}}},
                                        "f:args": {},
                                    }
                                }
                            }
                        },
                    },
                },
            },
        ],
    },
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {"name": "sidecar"},
                    {
                        "name": "web",
                        "image": "set by somebody",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "env": [{"name": "A", "value": "1"}, {"name": "B"}],
                        "resources": {"limits": {"cpu": "1"}},
                        "args": ["x"],
                    },
                ]
            }
        },
    },
}


def changed(**container: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    target = document["spec"]["template"]["spec"]["containers"][0]
    for key, value in container.items():
        if value is None:
            del target[key]
        else:
            target[key] = value
    return document


def test_same_in_other_spelling() -> None:
    assert compare(DOCUMENT, LIVE, "m") == UNCHANGED


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"args": ["y"]}, VALUES),
        ({"args": ["x", "y"]}, VALUES),
        ({"args": "x"}, VALUES),
        ({"env": [{"name": "B", "value": ""}, {"name": "A", "value": "1"}]}, VALUES),
        ({"env": [{"name": "A", "value": True}, {"name": "B", "value": ""}]}, VALUES),
        ({"env": [{"name": "A", "value": "1"}]}, OWNERSHIP),
        ({"env": [{"name": "A", "value": "1"}, {"name": "C", "value": ""}]}, OWNERSHIP),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, OWNERSHIP),
        ({"env": "text"}, OWNERSHIP),
        ({"resources": {"limits": {"cpu": "1001m"}}}, VALUES),
        ({"resources": {"limits": {"cpu": "nonsense"}}}, VALUES),
        ({"image": "new"}, OWNERSHIP),
        ({"ports": None}, OWNERSHIP),
        ({"ports": [{"containerPort": 81}]}, OWNERSHIP),
        ({"ports": [{"name": "x"}]}, OWNERSHIP),
        ({"ports": [80]}, OWNERSHIP),
    ],
)
def test_differences(change: dict[str, Any], verdict: str) -> None:
    assert compare(changed(**change), LIVE, "m") == verdict


def test_drift_without_owner() -> None:
    live = copy.deepcopy(LIVE)
    del live["spec"]["template"]["spec"]["containers"][1]["env"][0]
    assert compare(DOCUMENT, live, "m") == VALUES
    live["spec"]["template"] = None
    assert compare(DOCUMENT, live, "m") == VALUES


def test_other_manager_version_or_nothing() -> None:
    assert compare(DOCUMENT, LIVE, "somebody") == OWNERSHIP
    live = copy.deepcopy(LIVE)
    live["metadata"]["managedFields"][1]["apiVersion"] = "apps/v1beta1"
    assert compare(DOCUMENT, live, "m") == OWNERSHIP
    bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    assert compare(bare, {"metadata": {"name": "a"}}, "m") == UNCHANGED
    assert compare({**bare, "metadata": {"name": "a", "labels": {"b": "c"}}}, {"metadata": {}}, "m") == OWNERSHIP


def test_set_of_values() -> None:
    document = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "finalizers": ["a/b"]}}
    fields = {"f:metadata": {"f:finalizers": {'v:"a/b"': {}}}}
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}
    live = {"metadata": {"managedFields": [entry], "finalizers": ["x/y", "a/b"]}}
    assert compare(document, live, "m") == UNCHANGED
    live["metadata"]["finalizers"] = ["x/y"]  # type: ignore[assignment]
    assert compare(document, live, "m") == VALUES
    document["metadata"]["finalizers"] = ["c/d"]
    assert compare(document, live, "m") == OWNERSHIP


def test_custom_resources_keep_their_spelling() -> None:
    fields = {"f:spec": {"f:limits": {"f:cpu": {}}}}
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "test.internal/v1", "fieldsV1": fields}
    live = {"metadata": {"managedFields": [entry]}, "spec": {"limits": {"cpu": "1"}}}
    document = {
        "apiVersion": "test.internal/v1",
        "kind": "X",
        "metadata": {"name": "a"},
        "spec": {"limits": {"cpu": "1000m"}},
    }
    assert compare(document, live, "m") == VALUES


@pytest.mark.parametrize(
    ("left", "right"),
    [("1000m", 1), ("1Gi", "1024Mi"), ("1e3", "1k"), ("0.5", "500m"), ("1E", "1000P"), ("100u", "100000n"), ("0", 0)],
)
def test_equal_quantities(left: Any, right: Any) -> None:
    assert quantity(left) is not None
    assert quantity(left) == quantity(right)


@pytest.mark.parametrize("text", ["", "a", "1Q", "Mi", "1 Gi"])
def test_no_quantities(text: str) -> None:
    assert quantity(text) is None
