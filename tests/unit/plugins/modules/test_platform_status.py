# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform_status against an API server and a Prometheus with all the trouble that there may be."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _kube_portforward
from ansible_collections.onprem.platform.plugins.modules import platform_status
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi

READY = [{"type": "Ready", "status": "True", "message": "fine"}]
NODE_INFO = {"kubeletVersion": "v1.36.3", "containerRuntimeVersion": "containerd://2.4.2", "osImage": "Debian 12"}


class Answers:
    """A server that answers from ``answers``: path to JSON, or to a pair of status and JSON."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Any] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                query = parse_qs(address.query).get("query", [""])[0]
                answer = answers.get(query or address.path, (404, {}))
                status, content = answer if isinstance(answer, tuple) else (200, answer)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def series(*pairs: tuple[dict[str, str], float]) -> dict[str, Any]:
    return {"data": {"result": [{"metric": labels, "value": [0, str(value)]} for labels, value in pairs]}}


def alert(name: str, severity: str, state: str = "firing") -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": severity}, "state": state, "activeAt": "2026-01-31T12:00:00Z"}


class Site:
    """A healthy platform. Pods are reached as by a port-forward: each name leads to the server that stands for it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import socket

        self.api = FakeKubeApi()
        self.authority = Authority(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue("vault.vault.svc"))
        self.vault, self.application, self.prometheus = Answers(context), Answers(), Answers()
        self.unreachable: set[str] = set()

        def open_forward(_connection: Any, _namespace: str, pod: str, _port: int, timeout: float) -> socket.socket:
            if pod in self.unreachable:
                raise _kube_portforward.KubeConnectionError(f"no way to {pod}")
            server = self.vault if pod.startswith("vault") else self.application
            return socket.create_connection(("127.0.0.1", server.port), timeout)

        monkeypatch.setattr(_kube_portforward, "open_forward", open_forward)
        self.api.texts["/version"] = ""
        for name in ("cp1", "w1"):
            self.api.put(f"/api/v1/nodes/{name}", {"status": {"conditions": READY, "nodeInfo": NODE_INFO}})
        self.put("apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/platform", READY)
        artifact = {"artifact": {"revision": "latest@sha256:ab"}}
        self.put("apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/ocirepositories/platform", READY, artifact)
        self.put(
            "apis/helm.toolkit.fluxcd.io/v2/namespaces/shop/helmreleases/shop",
            READY,
            {"history": [{"appVersion": "1.2.3"}]},
        )
        self.pod("vault", "vault-0", {"app.kubernetes.io/name": "vault"})
        self.pod("shop", "shop-nginx-1", {"app.kubernetes.io/component": "nginx"})
        self.vault.answers.update(
            {
                "/v1/sys/seal-status": {"sealed": False, "version": "1.21.4"},
                "/v1/sys/leader": {"is_self": True},
            }
        )
        self.application.answers["/healthz"] = {"status": "ok", "version": "1.2.3"}
        self.prometheus.answers.update(
            {
                "/api/v1/alerts": {
                    "data": {"alerts": [alert("Watchdog", "none"), alert("Slow", "warning", "pending")]}
                },
                "up": series(({"job": "a", "instance": "1"}, 1)),
                "min by (path, node) (onprem_certificate_expiry_timestamp_seconds)": series(
                    ({"path": "/etc/x.crt", "node": "cp1"}, time.time() + 100.5 * 86400)
                ),
                "max by (backup) (onprem_backup_last_success_timestamp_seconds)": series(),
            }
        )

    def put(
        self, path: str, conditions: list[dict[str, str]], status: dict[str, Any] | None = None, **spec: Any
    ) -> None:
        namespace = path.split("/")[4]
        document = {
            "metadata": {"namespace": namespace},
            "spec": spec,
            "status": {"conditions": conditions, **(status or {})},
        }
        self.api.put(f"/{path}", document)

    def pod(self, namespace: str, name: str, labels: dict[str, str], phase: str = "Running", **status: Any) -> None:
        self.api.put(
            f"/api/v1/namespaces/{namespace}/pods/{name}",
            {
                "metadata": {"namespace": namespace, "name": name, "labels": labels},
                "status": {"phase": phase, "conditions": READY, **status},
            },
        )

    def close(self) -> None:
        for server in (self.api, self.vault, self.application, self.prometheus):
            server.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    yield made
    made.close()


Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(site: Site, run_module: Any) -> Look:
    def run(**options: Any) -> dict[str, Any]:
        params = {
            "host": site.api.url,
            "request_timeout": 5,
            "retry_timeout": 0,
            "vault_ca_cert": str(site.authority.path),
            "prometheus": {"url": f"http://127.0.0.1:{site.prometheus.port}"},
            "parts": [part for part in platform_status.PARTS if part not in ("certificates", "versions")],
            **options,
        }
        result = dict(run_module(platform_status.main, params))
        if "parts" in result:
            result["by_name"] = {part["part"]: part for part in result["parts"]}
        return result

    return run


def test_a_healthy_platform(look):
    result = look(require_healthy=True)
    assert not result.get("failed"), result["msg"]
    assert result["healthy"] and not result["changed"]
    assert {name: part["summary"] for name, part in result["by_name"].items()} == {
        "nodes": "2 of 2 ready",
        "flux": "3 of 3 objects ready",
        "vault": "1 of 1 unsealed, active vault-0, version 1.21.4",
        "application": "shop 1.2.3 ok",
        "pods": "2, none in trouble",
        "alerts": "none firing, 1 pending",
        "targets": "1 of 1 up",
        "backups": "none",
    }
    assert result["table"][0] == "  nodes        2 of 2 ready"
    assert len(result["table"]) == 8


def change_node(site: Site) -> None:
    broken = [{"type": "Ready", "status": "Unknown", "message": "the kubelet is silent"}]
    site.api.put(
        "/api/v1/nodes/w1", {"spec": {"unschedulable": True}, "status": {"conditions": broken, "nodeInfo": {}}}
    )


def change_flux(site: Site) -> None:
    broken = [{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no such file"}]
    site.put("apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/vault", broken)


def suspend(site: Site) -> None:
    site.put("apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/vault", READY, suspend=True)


def seal(site: Site) -> None:
    site.vault.answers["/v1/sys/seal-status"] = {"sealed": True, "version": "1.21.4"}


def stand_by(site: Site) -> None:
    site.vault.answers["/v1/sys/leader"] = {"is_self": False}


def hide_vault(site: Site) -> None:
    site.unreachable.add("vault-0")


def break_application(site: Site) -> None:
    site.application.answers["/healthz"] = (503, {"status": "unavailable", "checks": {"redis": {"ok": False}}})


def break_pod(site: Site) -> None:
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    site.pod("shop", "worker-1", {}, "Pending", containerStatuses=[waiting])


def fire(site: Site) -> None:
    alerts = [alert("Watchdog", "none"), alert("NodeDown", "critical"), alert("NodeDown", "critical")]
    site.prometheus.answers["/api/v1/alerts"] = {"data": {"alerts": alerts}}


def silence_watchdog(site: Site) -> None:
    site.prometheus.answers["/api/v1/alerts"] = {"data": {"alerts": []}}


def lose_target(site: Site) -> None:
    site.prometheus.answers["up"] = series(({"job": "etcd", "instance": "cp1:2383"}, 0), ({"job": "etcd"}, 1))


@pytest.mark.parametrize(
    ("change", "part", "summary", "detail"),
    [
        (change_node, "nodes", "1 of 2 ready, closed to new pods: w1", "w1: the kubelet is silent"),
        (
            change_flux,
            "flux",
            "3 of 4 objects ready",
            "Kustomization flux-system/vault: Ready=False BuildFailed: no such file",
        ),
        (suspend, "flux", "3 of 4 objects ready", "it is suspended"),
        (seal, "vault", "0 of 1 unsealed", "vault-0 is sealed"),
        (stand_by, "vault", "active none", "no server is active"),
        (hide_vault, "vault", "0 of 1 unsealed", "no way to vault-0"),
        (break_application, "application", "none is well", "answers 503"),
        (break_pod, "pods", "1 of 3 in trouble", "shop/worker-1: ImagePullBackOff"),
        (fire, "alerts", "1 firing", "critical: NodeDown (2)"),
        (silence_watchdog, "alerts", "none firing", "Watchdog does not fire"),
        (lose_target, "targets", "1 of 2 up", "etcd cp1:2383"),
    ],
)
def test_trouble_is_shown(site, look, change, part, summary, detail):
    change(site)
    result = look()
    assert not result.get("failed") and not result["healthy"]
    assert result["by_name"][part]["state"] == "unhealthy"
    assert summary in result["by_name"][part]["summary"]
    assert any(detail in line for line in result["by_name"][part]["details"]), result["by_name"][part]
    assert any(line.startswith(f"! {part}") for line in result["table"])
    assert [name for name, other in result["by_name"].items() if other["state"] != "healthy"] == [part]
    required = look(require_healthy=True)
    assert required["failed"] and required["msg"].startswith(f"Not healthy: {part}\n") and detail in required["msg"]


def test_what_is_away_does_not_hide_the_rest(site, look):
    site.prometheus.close()
    result = look()
    states = {name: part["state"] for name, part in result["by_name"].items()}
    assert {name for name, state in states.items() if state == "unreachable"} == {"alerts", "targets", "backups"}
    assert states["nodes"] == "healthy" and not result["healthy"]
    assert any(line.startswith("? alerts") for line in result["table"])


def test_nothing_answers(site, look):
    site.api.close()
    site.prometheus.close()
    result = look()
    assert {part["state"] for part in result["parts"]} == {"unreachable"}


def test_backups_have_an_age(site, look):
    site.prometheus.answers["max by (backup) (onprem_backup_last_success_timestamp_seconds)"] = series(
        ({"backup": "etcd"}, time.time() - 7200)
    )
    assert look(parts=["backups"])["by_name"]["backups"]["summary"] == "etcd 2.0 h ago"


def test_certificates(site, look, tmp_path):
    """The API server of this test has no TLS, which is said; the others are shown."""
    part = look(parts=["certificates"])["by_name"]["certificates"]
    assert part["summary"] == "2, the first ends in 1 days (Vault)"
    assert part["details"][0] == "Vault: 1 days left" and "Kubernetes API" in part["details"][1]
    part = look(parts=["certificates"], certificate_days=0)["by_name"]["certificates"]
    assert part["state"] == "unreachable" and len(part["details"]) == 1
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    part = look(parts=["certificates"], vault_ca_cert=str(other.path))["by_name"]["certificates"]
    assert any("Vault" in line and "CERTIFICATE_VERIFY_FAILED" in line for line in part["details"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"parts": ["weather"]}, "value of parts must be one or more of"), ({"prometheus": {"url": "x"}}, "no address")],
)
def test_options_that_are_wrong(look, options, message):
    result = look(**options)
    assert result["failed"] and message in result["msg"]
