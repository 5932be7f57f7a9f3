# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciliation algorithm, step by step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _flux
from ansible_collections.onprem.platform.plugins.module_utils._flux import (
    FluxObject,
    Reconciler,
    SuspendedError,
    source_of,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_client import KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_diagnose import Diagnoser
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import NotFoundError
from ansible_collections.onprem.platform.plugins.module_utils._kube_resources import Resources
from ansible_collections.onprem.platform.plugins.module_utils._kube_wait import Waiter, WaitError
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi

SOURCES = "/apis/source.toolkit.fluxcd.io/v1/namespaces/f"
RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/f"
KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/f"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubeApi]:
    monkeypatch.setattr(_flux, "_GRACE_SECONDS", 1.0)
    server = FakeKubeApi()
    for group, version, kinds in (
        ("source", "v1", {"OCIRepository": "ocirepositories", "HelmRepository": "helmrepositories"}),
        ("helm", "v2", {"HelmRelease": "helmreleases"}),
        ("kustomize", "v1", {"Kustomization": "kustomizations"}),
    ):
        server.discovery[f"/apis/{group}.toolkit.fluxcd.io/{version}"] = [
            {"kind": kind, "name": plural, "namespaced": True} for kind, plural in kinds.items()
        ]
    yield server
    server.close()


def reconciler(api: FakeKubeApi) -> Reconciler:
    client = KubeClient(Connection(host=api.url, retry_timeout=1))
    resources = Resources(client)
    return Reconciler(client, resources, Waiter(client, resources, Diagnoser(client, resources, 3, 0)))


def thing(kind: str, group: str, version: str, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}.toolkit.fluxcd.io/{version}",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "f", "generation": 1},
        "spec": spec,
        "status": status or {},
    }


def ready(status: str = "True", **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "observedGeneration": 1, "reason": "R"}], **more}


class Controller(threading.Thread):
    """Answers requests on one path with ``status`` until stopped."""

    def __init__(self, api: FakeKubeApi, path: str, status: dict[str, Any], at_request: int = 1) -> None:
        super().__init__(daemon=True)
        self.api, self.path, self.status, self.at_request = api, path, status, at_request
        self.tokens: list[str] = []
        self.start()

    def run(self) -> None:
        while True:
            time.sleep(0.02)
            live = self.api.objects.get(self.path)
            token = ((live or {}).get("metadata", {}).get("annotations") or {}).get(_flux.REQUESTED_AT)
            if live and token and token not in self.tokens:
                self.tokens.append(token)
                if len(self.tokens) >= self.at_request:
                    self.api.put(self.path, {**live, "status": {**self.status, "lastHandledReconcileAt": token}})


ITEM = FluxObject("Kustomization", "f", "x")


def test_source_first_and_its_revision_is_the_proof(api: FakeKubeApi) -> None:
    reference = {"kind": "OCIRepository", "name": "x"}
    api.put(f"{SOURCES}/ocirepositories/x", thing("OCIRepository", "source", "v1"))
    api.put(f"{KUSTOMIZATIONS}/kustomizations/x", thing("Kustomization", "kustomize", "v1", sourceRef=reference))
    Controller(api, f"{SOURCES}/ocirepositories/x", ready(artifact={"revision": "latest@sha256:ab"}))
    Controller(api, f"{KUSTOMIZATIONS}/kustomizations/x", ready(lastAppliedRevision="latest@sha256:ab"))
    document = reconciler(api).reconcile(ITEM, 10)
    assert document["status"]["lastAppliedRevision"] == "latest@sha256:ab"
    patched = [path for verb, path in api.writes]
    assert ["ocirepositories" in path for path in patched] == [True, False]
    assert all("fieldManager=flux-client-side-apply" in path for path in patched)


def test_release_of_an_oci_chart_is_proved_by_digest(api: FakeKubeApi) -> None:
    reference = {"kind": "OCIRepository", "name": "x"}
    api.put(f"{SOURCES}/ocirepositories/x", thing("OCIRepository", "source", "v1"))
    api.put(f"{RELEASES}/helmreleases/x", thing("HelmRelease", "helm", "v2", chartRef=reference))
    Controller(api, f"{SOURCES}/ocirepositories/x", ready(artifact={"revision": "1.0.0@sha256:ab"}))
    old = {"status": "deployed", "chartVersion": "1.0.0", "ociDigest": "sha256:old"}
    Controller(api, f"{RELEASES}/helmreleases/x", ready(history=[old]))
    with pytest.raises(WaitError, match="instead of sha256:ab"):
        reconciler(api).reconcile(FluxObject("HelmRelease", "f", "x"), 2)


def test_static_source_and_annotations(api: FakeKubeApi) -> None:
    chart = {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "x"}}}
    api.put(f"{SOURCES}/helmrepositories/x", thing("HelmRepository", "source", "v1", type="oci"))
    api.put(f"{RELEASES}/helmreleases/x", thing("HelmRelease", "helm", "v2", chart=chart))
    Controller(api, f"{RELEASES}/helmreleases/x", ready())
    document = reconciler(api).reconcile(FluxObject("HelmRelease", "f", "x"), 10, reset=True, force=True)
    annotations = document["metadata"]["annotations"]
    assert len(set(annotations.values())) == 1
    assert set(annotations) == {f"reconcile.fluxcd.io/{name}At" for name in ("requested", "reset", "force")}
    assert len(api.writes) == 1


def test_other_sources_prove_nothing(api: FakeKubeApi) -> None:
    chart = {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "x"}}}
    api.put(f"{SOURCES}/helmrepositories/x", thing("HelmRepository", "source", "v1"))
    api.put(f"{RELEASES}/helmreleases/x", thing("HelmRelease", "helm", "v2", chart=chart))
    Controller(api, f"{SOURCES}/helmrepositories/x", ready(artifact={"revision": "sha256:index"}))
    Controller(api, f"{RELEASES}/helmreleases/x", ready())
    assert reconciler(api).reconcile(FluxObject("HelmRelease", "f", "x"), 10)


def test_a_forgotten_release_is_requested_once_more(api: FakeKubeApi) -> None:
    """Ready stays Unknown although the release is deployed; the second request wakes the controller."""
    deployed = {"history": [{"status": "deployed", "chartVersion": "1.0.0"}]}
    path = f"{RELEASES}/helmreleases/x"
    api.put(path, thing("HelmRelease", "helm", "v2", ready("Unknown", **deployed)))
    controller = Controller(api, path, ready(**deployed), at_request=2)
    assert reconciler(api).reconcile(FluxObject("HelmRelease", "f", "x"), 1.5, with_source=False)
    assert len(controller.tokens) == 2


def test_a_failed_one_is_not(api: FakeKubeApi) -> None:
    api.put(f"{KUSTOMIZATIONS}/kustomizations/x", thing("Kustomization", "kustomize", "v1"))
    Controller(api, f"{KUSTOMIZATIONS}/kustomizations/x", ready("False"))
    with pytest.raises(WaitError, match="has failed: Ready=False R"):
        reconciler(api).reconcile(ITEM, 10)
    assert len(api.writes) == 1


def test_suspended_and_absent(api: FakeKubeApi) -> None:
    start = time.monotonic()
    with pytest.raises(NotFoundError):
        reconciler(api).reconcile(ITEM, 10)
    assert 0.5 < time.monotonic() - start < 9
    path = f"{KUSTOMIZATIONS}/kustomizations/x"
    threading.Timer(0.3, api.put, (path, thing("Kustomization", "kustomize", "v1", suspend=True))).start()
    with pytest.raises(SuspendedError):
        reconciler(api).reconcile(ITEM, 10)
    reference = {"kind": "OCIRepository", "name": "x"}
    api.put(path, thing("Kustomization", "kustomize", "v1", sourceRef=reference))
    api.put(f"{SOURCES}/ocirepositories/x", thing("OCIRepository", "source", "v1", suspend=True))
    with pytest.raises(SuspendedError, match="OCIRepository f/x"):
        reconciler(api).reconcile(ITEM, 10)
    assert api.writes == []


def test_where_things_come_from() -> None:
    other = {"kind": "GitRepository", "name": "g", "namespace": "o"}
    assert source_of(thing("Kustomization", "kustomize", "v1", sourceRef=other)) == FluxObject(
        "GitRepository", "o", "g"
    )
    assert (
        source_of(thing("Kustomization", "kustomize", "v1", sourceRef={"kind": "ExternalArtifact", "name": "e"}))
        is None
    )
    assert source_of(thing("HelmRelease", "helm", "v2")) is None
    assert source_of(thing("OCIRepository", "source", "v1")) is None
