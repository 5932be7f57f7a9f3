# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every size of the stack, as the real operator makes it at a real API server: replicas and what they need, what is
requested of the machines, and the settings that a run refuses. No cluster is needed."""

from __future__ import annotations

import gzip
import json
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._kube_compare import quantity
from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.observability.conftest import (
    GRAFANA,
    REPOSITORY,
    Document,
    build,
    kubectl,
    render_variants,
    wait,
    write_tree,
)
from ansible_collections.onprem.platform.tests.integration.ports import free_port

OWN_TREE = "{{ lookup('onprem.platform.tree', role_path ~ '/../observability/templates/tree') }}"
PROFILES = ["small", "medium", "large"]
SIZES: dict[str, Document] = {
    **{name: {"observability_profile": name} for name in PROFILES},
    # What a profile does not say, its own variables may.
    "replicas": {
        "observability_profile": "small",
        "observability_prometheus_replicas": 2,
        "observability_alertmanager_replicas": 3,
        "observability_metrics_server_replicas": 2,
    },
}
REPLICAS = {"small": (1, 1, 1), "medium": (2, 3, 2), "large": (2, 3, 2), "replicas": (2, 3, 2)}
NAME = "app.kubernetes.io/name"


@dataclass(frozen=True)
class Stack:
    """One size: the documents of the tree, and the workloads that come of them."""

    documents: list[Document]
    operated: list[Document]
    """StatefulSets that the operator made."""
    configuration: Document
    """Of Prometheus, as the operator made it."""

    def kind(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    @property
    def workloads(self) -> list[Document]:
        return [*self.kind("Deployment", "DaemonSet", "StatefulSet"), *self.operated]

    def pods_of(self, selector: dict[str, str]) -> list[Document]:
        """Workloads whose pods have all labels of a selector."""
        return [item for item in self.workloads if selector.items() <= labels(item).items()]


def labels(workload: Document) -> dict[str, str]:
    return dict(workload["spec"]["template"]["metadata"]["labels"])


def containers(workload: Document) -> list[Document]:
    """Containers that run as long as the pod."""
    pod = workload["spec"]["template"]["spec"]
    return pod["containers"] + [item for item in pod.get("initContainers", []) if item.get("restartPolicy") == "Always"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    """The documents of every size."""
    directory = tmp_path_factory.mktemp("sizes")
    variants = {name: {**settings, "observability_grafana_image": GRAFANA} for name, settings in SIZES.items()}
    rendered = render_variants(directory, variants, OWN_TREE)
    roots = {name: write_tree(files, directory / name) for name, files in rendered.items()}
    parts = ["metrics-server", "observability-operator", "observability"]
    return {
        name: [item for part in parts for item in build(root / part, definitions=name == PROFILES[0])]
        for name, root in roots.items()
    }


@pytest.fixture(scope="module")
def stacks(
    trees: dict[str, list[Document]], server: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Stack]]:
    """Every size in a namespace of its own, all made by one operator, which runs with the platform's arguments."""
    directory = tmp_path_factory.mktemp("operator")
    definitions = [item for item in trees["small"] if item["kind"] == "CustomResourceDefinition"]
    restricted = {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    spaces = {name: f"observability-{name}" for name in trees}
    namespaces = [
        {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": space, **restricted}}
        for space in spaces.values()
    ]
    kubectl(server, "apply", "--server-side", "-f", "-", documents=definitions + namespaces)
    kubectl(server, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kinds = ("Prometheus", "Alertmanager", "ServiceMonitor", "PodMonitor", "Secret")
    moved = [
        item | {"metadata": item["metadata"] | {"namespace": spaces[name]}}
        for name, documents in trees.items()
        for item in documents
        if item["kind"] in kinds and item["metadata"]["namespace"] == "observability"
    ]
    kubectl(server, "apply", "--server-side", "-f", "-", documents=moved)
    deployments = {item["metadata"]["name"]: item for item in trees["small"] if item["kind"] == "Deployment"}
    arguments = deployments["prometheus-operator"]["spec"]["template"]["spec"]["containers"][0]["args"]
    image = BundledImages(bundle_directory()).unpack("prometheus-operator", directory)
    server.user("operator", ("system:masters",))
    command = [str(directory) + image["Entrypoint"][0]]
    command += [item.replace("=observability", f"={','.join(spaces.values())}") for item in arguments]
    command += [f"--web.listen-address=127.0.0.1:{free_port()}", f"--apiserver=https://127.0.0.1:{server.port}"]
    command += [f"--ca-file={server.authority.certificate}"]
    command += [f"--{kind}-file={server.directory}/operator.{end}" for kind, end in (("cert", "crt"), ("key", "key"))]
    log = directory / "log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:

        def get(kind: str, name: str) -> list[Document]:
            found = json.loads(kubectl(server, "get", kind, "--output=json", f"--namespace={spaces[name]}"))
            return list(found["items"])

        def made() -> bool:
            assert process.poll() is None, log.read_text()[-3000:]
            return all(len(get("statefulsets", name)) == 2 for name in spaces)

        try:
            wait(made, "the operator makes what it should", 120)
            result = {}
            for name, documents in trees.items():
                (packed,) = (
                    item["data"]["prometheus.yaml.gz"]
                    for item in get("secrets", name)
                    if item["metadata"]["name"] == "prometheus-platform"
                )
                configuration = yaml.safe_load(gzip.decompress(b64decode(packed)))
                result[name] = Stack(documents, get("statefulsets", name), configuration)
        finally:
            process.terminate()
    yield result


@pytest.mark.parametrize("name", SIZES)
def test_replicas_are_made_and_kept_apart(stacks: dict[str, Stack], name: str) -> None:
    stack = stacks[name]
    counts = {item["metadata"]["name"]: item["spec"].get("replicas") for item in stack.workloads}
    of_interest = ("prometheus-platform", "alertmanager-platform", "metrics-server")
    assert tuple(counts[item] for item in of_interest) == REPLICAS[name]
    budgets = [item["spec"] for item in stack.kind("PodDisruptionBudget")]
    for workload in stack.workloads:
        if workload["spec"].get("replicas", 1) > 1:
            own = labels(workload)
            spreads = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert [(item["topologyKey"], item["whenUnsatisfiable"]) for item in spreads] == [
                ("kubernetes.io/hostname", "DoNotSchedule")
            ]
            assert spreads[0]["labelSelector"]["matchLabels"].items() <= own.items()
            matching = [item for item in budgets if item["selector"]["matchLabels"].items() <= own.items()]
            assert [item.get("maxUnavailable") for item in matching] == [1], workload["metadata"]["name"]


@pytest.mark.parametrize("name", SIZES)
def test_alertmanagers_know_and_reach_each_other(stacks: dict[str, Stack], name: str) -> None:
    stack = stacks[name]
    (alertmanager,) = (item for item in stack.operated if item["metadata"]["name"] == "alertmanager-platform")
    (program,) = (item for item in containers(alertmanager) if item["name"] == "alertmanager")
    peers = [item for item in program["args"] if item.startswith("--cluster.peer=")]
    count = REPLICAS[name][1]
    expected = [f"--cluster.peer=alertmanager-platform-{number}.alertmanager-operated:9094" for number in range(count)]
    assert peers == expected
    policies = {item["metadata"]["name"]: item["spec"] for item in stack.kind("NetworkPolicy")}
    policy = policies["allow-alertmanager"]
    assert policy["podSelector"]["matchLabels"].items() <= labels(alertmanager).items()
    ports = [{"protocol": "TCP", "port": 9094}, {"protocol": "UDP", "port": 9094}]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}
    peer = {"namespaceSelector": namespace, "podSelector": policy["podSelector"]}
    for direction, key in (("ingress", "from"), ("egress", "to")):
        assert {key: [peer], "ports": ports} in policy[direction]


@pytest.mark.parametrize("name", SIZES)
def test_services_and_monitors_find_every_replica(stacks: dict[str, Stack], name: str) -> None:
    stack = stacks[name]
    services = stack.kind("Service")
    for service in services:
        (workload,) = stack.pods_of(service["spec"]["selector"])
        offered = {port.get("name") for item in containers(workload) for port in item.get("ports", [])}
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in offered, (service["metadata"]["name"], offered)
    monitored = set()
    for monitor in stack.kind("ServiceMonitor"):
        if monitor["spec"]["namespaceSelector"] == {"matchNames": ["observability"]}:
            (rule,) = monitor["spec"]["selector"]["matchExpressions"]
            (service,) = (
                item
                for item in services
                if item["metadata"].get("labels", {}).get(rule["key"]) in rule["values"]
                and item["metadata"]["namespace"] == "observability"
            )
            ports = {port["name"] for port in service["spec"]["ports"]}
            assert {item["port"] for item in monitor["spec"]["endpoints"]} <= ports
            monitored.add(rule["values"][0])
    assert {"prometheus", "alertmanager", "loki", "grafana", "kube-state-metrics"} <= monitored
    # Each replica of Prometheus asks all of them, and sends alerts that are the same as those of the others.
    jobs = [item["job_name"] for item in stack.configuration["scrape_configs"]]
    assert f"serviceMonitor/observability-{name}/prometheus/0" in jobs
    (dropped,) = stack.configuration["alerting"]["alert_relabel_configs"]
    assert dropped == {"action": "labeldrop", "regex": "prometheus_replica"}


def test_grafana_stays_with_one_of_two_prometheuses(stacks: dict[str, Stack]) -> None:
    """Replicas scrape at different moments: a graph that is drawn from both would jump."""
    stack = stacks["medium"]
    (settings,) = (item for item in stack.kind("ConfigMap") if "datasources.yaml" in item.get("data", {}))
    sources = yaml.safe_load(settings["data"]["datasources.yaml"])["datasources"]
    (url,) = (item["url"] for item in sources if item["type"] == "prometheus")
    assert url == "http://prometheus.observability.svc:9090"
    (service,) = (
        item
        for item in stack.kind("Service")
        if (item["metadata"]["name"], item["metadata"]["namespace"]) == ("prometheus", "observability")
    )
    assert service["spec"]["sessionAffinity"] == "ClientIP"


@pytest.mark.parametrize("name", SIZES)
def test_an_api_server_admits_the_pods_of_the_operator(stacks: dict[str, Stack], server: ApiServer, name: str) -> None:
    """Pod Security judges pods, so these are tried as pods."""
    for workload in stacks[name].operated:
        pod = {"apiVersion": "v1", "kind": "Pod", **workload["spec"]["template"]}
        metadata = {"name": workload["metadata"]["name"], "namespace": workload["metadata"]["namespace"]}
        pod["metadata"] = {**pod["metadata"], **metadata}
        claims = [item["metadata"]["name"] for item in workload["spec"]["volumeClaimTemplates"]]
        claimed = [{"name": item, "persistentVolumeClaim": {"claimName": item}} for item in claims]
        pod["spec"] = {**pod["spec"], "volumes": pod["spec"]["volumes"] + claimed}
        output = kubectl(server, "apply", "--server-side", "--dry-run=server", "-f", "-", documents=[pod])
        assert "serverside-applied" in output, output


@pytest.mark.parametrize("name", SIZES)
def test_promtool_takes_what_the_operator_makes(stacks: dict[str, Stack], tmp_path: Path, name: str) -> None:
    # The files that it names are in the pod.
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(stacks[name].configuration))
    command = [bundle_directory() / "files" / "promtool", "check", "config", "--syntax-only", path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def amount(container: Document, kind: str, resource: str) -> float:
    """A request or limit, which every container has."""
    value = quantity(container["resources"][kind][resource])
    assert value, container["name"]
    return float(value)


def requested(workloads: list[Document]) -> tuple[float, float, float]:
    """Processors, bytes of memory, and bytes at most, of all their pods; of a DaemonSet, of one pod."""
    values = [
        (
            item["spec"].get("replicas", 1) * amount(container, "requests", "cpu"),
            item["spec"].get("replicas", 1) * amount(container, "requests", "memory"),
            item["spec"].get("replicas", 1) * amount(container, "limits", "memory"),
        )
        for item in workloads
        for container in containers(item)
    ]
    processors, memory, limit = (sum(column) for column in zip(*values, strict=True))
    return processors, memory, limit


def volumes(workloads: list[Document]) -> float:
    """Bytes of all their volumes."""
    sizes = [
        item["spec"]["replicas"] * (quantity(claim["spec"]["resources"]["requests"]["storage"]) or 0)
        for item in workloads
        for claim in item["spec"].get("volumeClaimTemplates", [])
    ]
    return float(sum(sizes))


def test_the_documentation_says_what_each_size_asks_of_the_machines(stacks: dict[str, Stack]) -> None:
    def gibibytes(value: float) -> str:
        return f"{value / 2**30:.1f} GiB"

    rows: dict[str, list[str]] = {}
    for name in PROFILES:
        everything = stacks[name].workloads
        each_node = [item for item in everything if item["kind"] == "DaemonSet"]
        grafana = [item for item in everything if item["metadata"]["name"] == "grafana"]
        cluster = [item for item in everything if item not in each_node and item not in grafana]
        for title, workloads in (("cluster", cluster), ("each node", each_node), ("Grafana", grafana)):
            processors, memory, limit = requested(workloads)
            rows.setdefault(f"{title}: processors requested", []).append(f"{processors:.2f}")
            rows.setdefault(f"{title}: memory requested, at most", []).append(
                f"{gibibytes(memory)}, {gibibytes(limit)}"
            )
        rows.setdefault("volumes together", []).append(f"{volumes(everything) / 2**30:.0f} GiB")
    text = (REPOSITORY / "docs/observability.md").read_text()
    lines = [f"| {' | '.join([title, *values])} |" for title, values in rows.items()]
    assert all(line in text for line in lines), "\n".join(lines)


S3 = {
    "observability_loki_s3": {"bucketnames": "logs", "endpoint": "s3.example.com", "s3forcepathstyle": True},
    "observability_loki_s3_egress": [{"addresses": ["192.0.2.1/32"], "ports": [443]}],
}


def s3(**settings: Any) -> Document:
    return {**S3, "observability_loki_s3": {**S3["observability_loki_s3"], **settings}}


REFUSED: dict[str, tuple[Document, str]] = {
    "volume": ({"observability_prometheus_storage_size": "42Gi"}, "would be full before anything is deleted"),
    "unit": ({"observability_prometheus_retention_size": "40 gigabytes"}, "which is no size such as 40GB"),
    "bucket": (s3(bucketnames=""), "observability_loki_s3 has no bucketnames."),
    "endpoint": (s3(endpoint=None), "observability_loki_s3 has no endpoint."),
    "key in the tree": (s3(secret_access_key="x"), "observability_loki_s3 has secret_access_key, which everybody"),
    "plain HTTP": (s3(endpoint="http://s3.example.com"), "does without TLS"),
    "unverified": (s3(http_config={"insecure_skip_verify": True}), "does without TLS, or without verifying it"),
    "half of the keys": (
        {**S3, "observability_loki_secrets": {"s3-access-key-id": "x"}},
        "lacks s3-secret-access-key.",
    ),
    "no way": ({**S3, "observability_loki_s3_egress": []}, "the network policy keeps Loki from the bucket"),
}
ACCEPTED = {**SIZES, "s3": S3, "large volume": {"observability_prometheus_storage_size": "1Ti"}}


def test_mistakes_are_found(tmp_path: Path) -> None:
    variants = {name: settings for name, (settings, _message) in REFUSED.items()} | ACCEPTED
    found = render_variants(tmp_path, variants, "{{ _observability_mistakes }}")
    for name, (_settings, message) in REFUSED.items():
        assert len(found[name]) == 1, (name, found[name])
        assert message in found[name][0]
    assert {name: found[name] for name in ACCEPTED} == {name: [] for name in ACCEPTED}
