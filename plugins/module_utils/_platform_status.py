# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How the platform is, part by part, each read on its own and at the same time (private)."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from ._flux import API_VERSIONS
from ._flux_status import summary
from ._http_endpoint import Endpoint
from ._kube_client import KubeClient
from ._kube_conditions import condition
from ._kube_errors import KubeConnectionError, KubeError, NotFoundError
from ._monitoring import Prometheus

HEALTHY, UNHEALTHY, UNREACHABLE = "healthy", "unhealthy", "unreachable"
PARTS = ("nodes", "flux", "vault", "application", "pods", "alerts", "targets", "certificates", "backups", "versions")
_FLUX_KINDS = {"OCIRepository": "ocirepositories", "Kustomization": "kustomizations", "HelmRelease": "helmreleases"}
_CERTIFICATES = "min by (path, node) (onprem_certificate_expiry_timestamp_seconds)"
_BACKUPS = "max by (backup) (onprem_backup_last_success_timestamp_seconds)"
_DAY = 86400
_HOUR = 3600


@dataclass
class Part:
    """One line of the table: its state, what is to be said in a few words, and a line for each thing that is wrong."""

    name: str
    state: str
    summary: str
    details: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the part for a module's result."""
        return {"part": self.name, "state": self.state, "summary": self.summary, "details": self.details}


@dataclass(frozen=True)
class Wanted:
    """What is looked at. vault: namespace, selector, port, server_name, ca_cert. application_selector: of web pods."""

    vault: dict[str, Any]
    application_selector: str
    application_port: int
    certificate_days: int
    timeout: float


def is_ready(document: dict[str, Any]) -> bool:
    """Whether the condition Ready is true."""
    return bool(condition(document, "Ready").get("status") == "True")


class StatusReader:
    """Reads all parts. ``client`` and ``prometheus`` are safe to use from several threads."""

    def __init__(
        self, client: KubeClient, prometheus: Prometheus, wanted: Wanted, now: Callable[[], float] = time.time
    ) -> None:
        self.client = client
        self.prometheus = prometheus
        self.wanted = wanted
        self._now = now

    def read(self, names: tuple[str, ...]) -> list[Part]:
        """Return the parts in the order of their names; one that cannot be read is unreachable."""
        with ThreadPoolExecutor(max_workers=len(PARTS)) as pool:
            return list(pool.map(self._read_part, names))

    def _read_part(self, name: str) -> Part:
        try:
            part: Part = getattr(self, f"_read_{name}")(name)
        except (KubeError, OSError) as error:
            return Part(name, UNREACHABLE, f"cannot be read: {error}"[:300])
        return part

    def _items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        return list(self.client.get(path, query).get("items") or [])

    def _read_nodes(self, name: str) -> Part:
        nodes = self._items("/api/v1/nodes")
        ready = [node for node in nodes if is_ready(node)]
        details = [
            f"{node['metadata']['name']}: {condition(node, 'Ready').get('message', 'no condition Ready')}"
            for node in nodes
            if node not in ready
        ]
        closed = [node["metadata"]["name"] for node in nodes if (node.get("spec") or {}).get("unschedulable")]
        text = f"{len(ready)} of {len(nodes)} ready"
        if closed:
            text += f", closed to new pods: {', '.join(closed)}"
        return Part(name, UNHEALTHY if details or not nodes else HEALTHY, text, details)

    def _flux_objects(self, kind: str) -> list[dict[str, Any]]:
        try:
            items = self._items(f"/apis/{API_VERSIONS[kind]}/{_FLUX_KINDS[kind]}")
        except NotFoundError:
            return []
        return [{"apiVersion": API_VERSIONS[kind], "kind": kind, **item} for item in items]

    def _read_flux(self, name: str) -> Part:
        found = [summary(item) for kind in _FLUX_KINDS for item in self._flux_objects(kind)]
        ready = [item for item in found if item["ready"]]
        details = [
            f"{item['kind']} {item['namespace']}/{item['name']}: {item['message']}"
            for item in found
            if not item["ready"]
        ]
        return Part(
            name, UNHEALTHY if details or not found else HEALTHY, f"{len(ready)} of {len(found)} objects ready", details
        )

    def _forwarded(self, name: str, url: str, namespace: str, pod: str, ca_cert: str | None) -> Endpoint:
        forward = {"namespace": namespace, "pod": pod, "selector": None, "port": None}
        options = {"url": url, "ca_cert": ca_cert, "validate_certs": True, "kubernetes_port_forward": forward}
        return Endpoint(name, options, lambda: self.client, self.wanted.timeout)

    def _vault_pods(self) -> list[str]:
        namespace = quote(self.wanted.vault["namespace"], safe="")
        pods = self._items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=self.wanted.vault["selector"])
        return sorted(pod["metadata"]["name"] for pod in pods)

    def _vault_server(self, pod: str) -> Endpoint:
        vault = self.wanted.vault
        url = f"https://{vault['server_name']}:{vault['port']}"
        return self._forwarded(pod, url, vault["namespace"], pod, vault["ca_cert"])

    def _read_vault(self, name: str) -> Part:
        unsealed, versions, active, details = 0, set(), "", []
        pods = self._vault_pods()
        for pod in pods:
            try:
                server = self._vault_server(pod)
                seal = server.get("/v1/sys/seal-status")
                versions.add(str(seal["version"]))
                if seal["sealed"]:
                    details.append(f"{pod} is sealed; to unseal: ansible-playbook playbooks/vault_unseal.yml")
                    continue
                unsealed += 1
                if server.get("/v1/sys/leader").get("is_self"):
                    active = pod
            except KubeError as error:
                details.append(f"{pod}: {error}")
        if unsealed and not active:
            details.append("no server is active")
        version = ", ".join(sorted(versions)) or "?"
        text = f"{unsealed} of {len(pods)} unsealed, active {active or 'none'}, version {version}"
        return Part(name, UNHEALTHY if details or not pods else HEALTHY, text, details)

    def _read_application(self, name: str) -> Part:
        pods = self._items("/api/v1/pods", labelSelector=self.wanted.application_selector)
        places: dict[str, list[dict[str, Any]]] = {}
        for pod in pods:
            places.setdefault(pod["metadata"]["namespace"], []).append(pod)
        good, details = [], []
        for namespace, candidates in sorted(places.items()):
            chosen = min(candidates, key=lambda pod: (not is_ready(pod), pod["metadata"]["name"]))["metadata"]["name"]
            url = f"http://{namespace}:{self.wanted.application_port}"
            try:
                answer = self._forwarded(namespace, url, namespace, chosen, None).get("/healthz")
                good.append(f"{namespace} {answer.get('version', '')} {answer.get('status', '')}".strip())
            except KubeError as error:
                details.append(f"{namespace}: {error}")
        text = ", ".join(good) or ("none installed" if not pods else "none is well")
        return Part(name, UNHEALTHY if details else HEALTHY, text, details)

    def _read_pods(self, name: str) -> Part:
        details = []
        pods = self._items("/api/v1/pods", fieldSelector="status.phase!=Succeeded")
        for pod in pods:
            status = pod.get("status") or {}
            waiting = [
                entry["state"]["waiting"].get("reason", "")
                for entry in status.get("containerStatuses") or []
                if "waiting" in (entry.get("state") or {})
            ]
            # A pod that was just made is no trouble: the controllers that wait for it say when it takes too long.
            bad = [reason for reason in waiting if reason not in ("ContainerCreating", "PodInitializing")]
            if bad or status.get("phase") not in ("Running", "Pending"):
                metadata = pod["metadata"]
                details.append(f"{metadata['namespace']}/{metadata['name']}: {bad[0] if bad else status.get('phase')}")
        text = f"{len(details)} of {len(pods)} in trouble" if details else f"{len(pods)}, none in trouble"
        return Part(name, UNHEALTHY if details else HEALTHY, text, details)

    def _read_alerts(self, name: str) -> Part:
        alerts = self.prometheus.alerts({})
        firing: dict[tuple[str, str], int] = {}
        for alert in alerts:
            if alert["state"] == "firing":
                key = str(alert["labels"].get("severity", "none")), str(alert["labels"]["alertname"])
                firing[key] = firing.get(key, 0) + 1
        watchdog = [key for key in firing if key[1] == "Watchdog"]
        details = [
            f"{severity}: {alert}" + (f" ({count})" if count > 1 else "")
            for (severity, alert), count in sorted(firing.items())
            if alert != "Watchdog"
        ]
        text = f"{len(details)} firing" if details else "none firing"
        if not watchdog:
            details.append("Watchdog does not fire: alerts do not work")
        pending = sum(alert["state"] == "pending" for alert in alerts)
        return Part(name, UNHEALTHY if details else HEALTHY, f"{text}, {pending} pending", details)

    def _read_targets(self, name: str) -> Part:
        targets = self.prometheus.query("up")
        down = [f"{labels.get('job', '')} {labels.get('instance', '')}" for labels, value in targets if value == 0]
        text = f"{len(targets) - len(down)} of {len(targets)} up"
        return Part(name, UNHEALTHY if down or not targets else HEALTHY, text, sorted(down))

    def _served_until(self, sock: socket.socket, context: ssl.SSLContext, server_name: str) -> float:
        """Return the end of the certificate that a server shows, as seconds since the epoch; it must be valid."""
        with sock, context.wrap_socket(sock, server_hostname=server_name) as secured:
            certificate = secured.getpeercert() or {}
            return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))

    def _api_certificate(self) -> float:
        connection = self.client.connection
        address = urlsplit(connection.host)
        name = connection.tls_server_name or str(address.hostname)
        sock = socket.create_connection((str(address.hostname), address.port or 443), self.wanted.timeout)
        return self._served_until(sock, connection.ssl_context(), name)

    def _vault_certificate(self) -> float:
        from ._kube_portforward import open_forward  # imports a WebSocket library

        vault, pods = self.wanted.vault, self._vault_pods()
        if not pods:
            raise KubeConnectionError("there is no Vault")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(vault["ca_cert"]) if vault["ca_cert"] else context.load_default_certs()
        sock = open_forward(self.client.connection, vault["namespace"], pods[0], vault["port"], self.wanted.timeout)
        sock.settimeout(self.wanted.timeout)
        return self._served_until(sock, context, vault["server_name"])

    def _read_certificates(self, name: str) -> Part:
        ends: dict[str, float] = {}
        missing = []
        for title, read in (("Kubernetes API", self._api_certificate), ("Vault", self._vault_certificate)):
            try:
                ends[title] = read()
            except (KubeError, OSError) as error:
                missing.append(f"{title}: {error}")
        try:
            for labels, value in self.prometheus.query(_CERTIFICATES):
                ends[f"{labels.get('path', '')} on {labels.get('node', '')}"] = value
        except KubeError as error:
            missing.append(f"files on the hosts: {error}")
        days = {title: (end - self._now()) / _DAY for title, end in ends.items()}
        soon = sorted((left, title) for title, left in days.items() if left < self.wanted.certificate_days)
        details = [f"{title}: {left:.0f} days left" for left, title in soon] + missing
        first = min(days, key=lambda title: days[title]) if days else ""
        text = f"{len(days)}, the first ends in {days[first]:.0f} days ({first})" if days else "none seen"
        state = UNHEALTHY if soon else UNREACHABLE if missing else HEALTHY
        return Part(name, state, text, details)

    def _read_backups(self, name: str) -> Part:
        found = self.prometheus.query(_BACKUPS)
        ages = [f"{labels.get('backup', '')} {(self._now() - value) / _HOUR:.1f} h ago" for labels, value in found]
        return Part(name, HEALTHY, ", ".join(sorted(ages)) or "none")

    def _read_versions(self, name: str) -> Part:
        found = [f"Kubernetes {self.client.get('/version').get('gitVersion', '?')}"]
        nodes = [node["status"]["nodeInfo"] for node in self._items("/api/v1/nodes")]
        for key in ("kubeletVersion", "containerRuntimeVersion", "osImage"):
            values = sorted({str(node.get(key, "?")) for node in nodes})
            found.append(f"kubelet {'/'.join(values)}" if key == "kubeletVersion" else " / ".join(values))
        for release in self._flux_objects("HelmRelease"):
            history = (release.get("status") or {}).get("history") or [{}]
            found.append(f"{release['metadata']['name']} {history[0].get('appVersion', 'not released')}")
        return Part(name, HEALTHY, ", ".join(found))


def table(parts: list[Part]) -> list[str]:
    """Return the parts as lines of text, what is wrong below its part."""
    width = max(len(part.name) for part in parts)
    lines = []
    for part in parts:
        mark = {HEALTHY: "  ", UNHEALTHY: "! ", UNREACHABLE: "? "}[part.state]
        lines.append(f"{mark}{part.name:{width}}  {part.summary}")
        lines += [f"    {'':{width}}{detail}" for detail in part.details]
    return lines
