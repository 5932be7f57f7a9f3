# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_image_policy: options to spec, refusals, normalised comparison, and what its status means."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._image_policy import judge
from ansible_collections.onprem.platform.plugins.modules import cluster_image_policy
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

Runner = Callable[..., dict[str, Any]]
PATH = "/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies/release"
PEM = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExB6+H6054/W1SJgs5JR6AJr6J35J\n"
    "RCTfQ5s1kD+hGMSE1rH7s46hmXEeyhnlRnaGF8eMU/SBJE/2NKPnxE7WzQ==\n"
    "-----END PUBLIC KEY-----\n"
)
KEY = {"key": {"data": PEM}}
IDENTITY = {"issuer": "https://issuer.test", "subject": "release@acme.test"}
POLICY: dict[str, Any] = {"name": "release", "images": ["registry.test/**"], "authorities": [KEY]}


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    server.discovery["/apis/policy.sigstore.dev/v1beta1"] = [
        {"kind": "ClusterImagePolicy", "name": "clusterimagepolicies", "namespaced": False},
        {"kind": "ClusterImagePolicy", "name": "clusterimagepolicies/status", "namespaced": False},
    ]
    yield server
    server.close()


@pytest.fixture
def run(run_module: Runner, api: FakeKubeApi) -> Runner:
    def call(params: dict[str, Any], check: bool = False) -> dict[str, Any]:
        return run_module(cluster_image_policy.main, {"host": api.url, "retry_timeout": 1, **params}, check=check)

    return call


def test_missing_argument(run: Runner) -> None:
    assert "images" in run({"name": "release"})["msg"]


def test_life(run: Runner, api: FakeKubeApi) -> None:
    planned = run(POLICY, check=True)
    assert planned["changed"] and planned["object"]["result"] == "created" and not api.writes
    assert run(POLICY)["object"]["result"] == "created"
    assert api.objects[PATH]["spec"] == {
        "images": [{"glob": "registry.test/**"}],
        "mode": "enforce",
        "authorities": [{"name": "authority-0", "key": {"data": PEM}}],
    }
    again = run(POLICY)
    assert (again["changed"], again["writes"]) == (False, 0)
    warning = run({**POLICY, "mode": "warn"})
    assert warning["object"]["result"] == "configured" and "+  mode: warn" in diff_text(warning)
    assert not run({**POLICY, "mode": "warn"})["changed"]
    gone = {"name": "release", "state": "absent"}
    assert run(gone, check=True)["object"]["result"] == "deleted" and PATH in api.objects
    assert run(gone)["changed"] and PATH not in api.objects
    assert not run(gone)["changed"]


def diff_text(answer: dict[str, Any]) -> str:
    part = answer["diff"][0]
    return "\n".join(difflib.unified_diff(part["before"].splitlines(), part["after"].splitlines(), lineterm=""))


def test_spelling_of_a_key_is_no_change(run: Runner) -> None:
    run(POLICY)
    indented = "\n" + "\n".join(f"   {line} " for line in PEM.splitlines()) + "\n\n"
    assert not run({**POLICY, "authorities": [{"name": "authority-0", "key": {"data": indented}}]})["changed"]


def test_refused_permission(run: Runner, api: FakeKubeApi) -> None:
    api.faults.append(Fault("PATCH", "clusterimagepolicies", 403, status(403, "Forbidden", "not allowed"), times=9))
    answer = run(POLICY)
    assert answer["failed"] and "not allowed" in answer["msg"] and PATH not in api.objects


def test_every_option_reaches_its_field(run: Runner, api: FakeKubeApi) -> None:
    authority = {
        "name": "workflow",
        "keyless": {
            "identities": [{"issuer": "https://issuer.test", "subject_reg_exp": "^https://acme\\.test/.+$"}],
            "trust_root_ref": "mirror",
            "insecure_ignore_sct": True,
        },
        "source": [{"oci": "registry.test/signatures", "tag_prefix": "a-", "signature_pull_secrets": ["pull"]}],
        "ctlog": {"url": "https://log.test", "trust_root_ref": "mirror"},
        "rfc3161_timestamp": {"trust_root_ref": "mirror"},
        "signature_format": "legacy",
        "attestations": [
            {"name": "sbom", "predicate_type": "https://spdx.dev/Document", "policy": {"data": "a: 1"}},
            {"name": "any", "predicate_type": "https://slsa.dev/provenance/v1"},
        ],
    }
    stored = {"secret_ref": {"name": "k", "namespace": "cosign-system"}, "hash_algorithm": "sha512"}
    run(
        {
            **POLICY,
            "authorities": [
                authority,
                {"key": stored},
                {"keyless": {"identities": [IDENTITY], "ca_cert": {"secretRef": {"name": "ca"}}}},
                {"static": {"action": "fail", "reason": "no"}},
            ],
            "policy": {"config_map_ref": {"name": "rule", "key": "cue"}, "include_object_meta": True},
            "match": [{"group": "apps", "version": "v1", "resource": "deployments", "selector": {"matchLabels": {}}}],
            "labels": {"team": 1},
        }
    )
    assert api.objects[PATH]["metadata"]["labels"] == {"team": "1"}
    assert api.objects[PATH]["spec"]["authorities"] == [
        {
            "name": "workflow",
            "keyless": {
                "identities": [{"issuer": "https://issuer.test", "subjectRegExp": "^https://acme\\.test/.+$"}],
                "trustRootRef": "mirror",
                "insecureIgnoreSCT": True,
                "url": "https://fulcio.sigstore.dev",
            },
            "source": [
                {"oci": "registry.test/signatures", "tagPrefix": "a-", "signaturePullSecrets": [{"name": "pull"}]}
            ],
            "ctlog": {"url": "https://log.test", "trustRootRef": "mirror"},
            "rfc3161timestamp": {"trustRootRef": "mirror"},
            "signatureFormat": "legacy",
            "attestations": [
                {
                    "name": "sbom",
                    "predicateType": "https://spdx.dev/Document",
                    "policy": {"type": "cue", "data": "a: 1"},
                },
                {"name": "any", "predicateType": "https://slsa.dev/provenance/v1"},
            ],
        },
        {
            "name": "authority-1",
            "key": {"secretRef": {"name": "k", "namespace": "cosign-system"}, "hashAlgorithm": "sha512"},
        },
        {"name": "authority-2", "keyless": {"identities": [IDENTITY], "ca-cert": {"secretRef": {"name": "ca"}}}},
        {"name": "authority-3", "static": {"action": "fail", "message": "no"}},
    ]
    assert api.objects[PATH]["spec"]["policy"] == {
        "type": "cue",
        "configMapRef": {"name": "rule", "key": "cue"},
        "includeObjectMeta": True,
    }
    assert api.objects[PATH]["spec"]["match"] == [
        {"group": "apps", "version": "v1", "resource": "deployments", "selector": {"matchLabels": {}}}
    ]


def keyless(**identity: str) -> dict[str, Any]:
    return {"keyless": {"identities": [identity]}}


@pytest.mark.parametrize(
    ("authorities", "message"),
    [
        ([{"name": "a"}], "exactly one of key, keyless and static, not none"),
        ([{**KEY, "static": {"action": "pass"}}], "not key and static"),
        ([{"key": {"data": PEM, "kms": "hashivault://k"}}], "not data and kms"),
        ([{"key": {}}], "not none"),
        ([{"key": {"data": PEM.replace("PUBLIC", "PRIVATE")}}], "no public key"),
        ([{"name": "a", **KEY}, {"name": "a", **KEY}], "different names"),
        ([keyless(issuer="https://issuer.test")], "exactly one of subject and subject_reg_exp"),
        ([keyless(issuer="i", subject="s", subject_reg_exp="^s$")], "exactly one of subject"),
        ([keyless(issuer="i", subject_reg_exp="acme/.*")], "must begin with ^ and end with $"),
        ([keyless(issuer="i", subject_reg_exp="^($")], "no regular expression"),
        ([{"static": {"action": "pass"}, "attestations": [{"name": "a", "predicate_type": "t"}]}], "verifies nothing"),
        ([{**KEY, "attestations": [{"name": "a", "predicate_type": "t", "policy": {}}]}], "exactly one of data"),
    ],
)
def test_contradictions_are_refused(run: Runner, api: FakeKubeApi, authorities: list[Any], message: str) -> None:
    answer = run({**POLICY, "authorities": authorities})
    assert answer["failed"] and message in answer["msg"]
    assert not api.log


def conditions(**status: str) -> list[dict[str, str]]:
    return [{"type": kind, "status": value, "reason": "R", "message": "why"} for kind, value in status.items()]


@pytest.mark.parametrize(
    ("generation", "found", "state"),
    [
        (1, [], "progressing"),
        (2, conditions(Ready="True"), "progressing"),
        (1, conditions(Ready="True", KeysInlined="True"), "ready"),
        (1, conditions(Ready="False", KeysInlined="False"), "failed"),
        (1, conditions(Ready="False", PoliciesInlined="False"), "failed"),
        (1, conditions(Ready="False", ConfigMapUpdated="False"), "progressing"),
        (1, conditions(Ready="Unknown"), "progressing"),
    ],
)
def test_judge(generation: int, found: list[dict[str, str]], state: str) -> None:
    status = {"observedGeneration": 1, "conditions": found} if found else {}
    assert judge({"metadata": {"generation": generation}, "status": status}).state == state


@pytest.mark.parametrize("good", [True, False])
def test_wait(run: Runner, api: FakeKubeApi, good: bool) -> None:
    def controller() -> None:
        deadline = time.monotonic() + 10
        while PATH not in api.objects and time.monotonic() < deadline:
            time.sleep(0.01)
        found = conditions(Ready="True") if good else conditions(Ready="False", KeysInlined="False")
        api.put(PATH, {**api.objects[PATH], "status": {"conditions": found}})

    thread = threading.Thread(target=controller)
    thread.start()
    answer = run({**POLICY, "wait": True, "wait_timeout": 10})
    thread.join()
    assert answer["changed"]
    if good:
        assert answer["conditions"][0]["type"] == "Ready"
    else:
        assert answer["failed"] and "KeysInlined=False R: why" in answer["msg"]
