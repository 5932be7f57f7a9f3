# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images run, by what kubelets and container runtimes report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import running_image_info
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
ModuleRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    yield server
    server.close()


def put(api: FakeKubeApi, namespace: str, name: str, phase: str = "Running", **containers: tuple[str, str]) -> None:
    """Put a pod with containers (name=(image, imageID)); ``init`` is an init container."""
    spec: dict[str, list[dict[str, str]]] = {"containers": [], "initContainers": []}
    state: dict[str, list[dict[str, str]]] = {"containerStatuses": [], "initContainerStatuses": []}
    for container, (image, image_id) in containers.items():
        early = container == "init"
        spec["initContainers" if early else "containers"].append({"name": container, "image": image})
        entry = {"name": container, "image": image, "imageID": image_id}
        state["initContainerStatuses" if early else "containerStatuses"].append(entry)
    api.put(
        f"/api/v1/namespaces/{namespace}/pods/{name}",
        {"metadata": {"namespace": namespace}, "spec": spec, "status": {"phase": phase, **state}},
    )


def ask(run_module: ModuleRunner, api: FakeKubeApi, **params: Any) -> dict[str, Any]:
    return run_module(running_image_info.main, {"host": api.url, "retry_timeout": 1, **params})


def test_images_by_digest(run_module: ModuleRunner, api: FakeKubeApi) -> None:
    put(
        api,
        "shop",
        "web-1",
        init=(f"r:5000/tool@{B}", f"r:5000/tool@{B}"),
        web=(f"r:5000/web:1@{A}", f"r:5000/web@{A}"),
    )
    put(api, "shop", "web-2", web=("r:5000/web:1", f"r:5000/web@{A}"))
    # Some runtimes report the configuration's digest alone, an image that was loaded by hand has none.
    put(api, "kube-system", "etcd-1", etcd=("etcd:3", C), loaded=("loaded:1", "docker.io/library/loaded:1"))
    put(api, "shop", "starting", web=(f"r:5000/web@{C}", ""))
    put(api, "shop", "job-1", "Succeeded", job=("r:5000/job", f"r:5000/job@{C}"))
    put(api, "shop", "job-2", "Failed", job=("r:5000/job", f"r:5000/job@{C}"))
    answer = ask(run_module, api)
    assert not answer["changed"] and answer["images"] == [
        {"digest": "", "names": ["loaded:1"], "containers": ["kube-system/etcd-1/loaded"]},
        {
            "digest": A,
            "names": ["r:5000/web:1", f"r:5000/web:1@{A}"],
            "containers": ["shop/web-1/web", "shop/web-2/web"],
        },
        {"digest": B, "names": [f"r:5000/tool@{B}"], "containers": ["shop/web-1/init"]},
        {"digest": C, "names": ["etcd:3"], "containers": ["kube-system/etcd-1/etcd"]},
    ]
    assert len([path for _verb, path in api.log if path.startswith("/api/v1/pods")]) == 1


def test_namespaces_of_others(run_module: ModuleRunner, api: FakeKubeApi) -> None:
    for namespace in ("shop", "tenant-a", "tenant-b"):
        put(api, namespace, "web", web=("web", f"r/web@{A}"))
    images = ask(run_module, api, exclude_namespaces=["tenant-*"])["images"]
    assert images[0]["containers"] == ["shop/web/web"]
    assert ask(run_module, api, exclude_namespaces=["*"])["images"] == []


def test_refused(run_module: ModuleRunner, api: FakeKubeApi) -> None:
    api.faults.append(Fault("GET", "/api/v1/pods", 403, status(403, "Forbidden", "pods is forbidden")))
    answer = ask(run_module, api)
    assert answer["failed"] and answer["failure"]["code"] == 403
