# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's judgements, by facts that were read from two real nodes, and by objects."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter.cis_hosts import cis_hosts
from ansible_collections.onprem.platform.plugins.filter.cis_kube_bench import cis_kube_bench
from ansible_collections.onprem.platform.plugins.filter.cis_report import cis_report
from ansible_collections.onprem.platform.plugins.module_utils._cis_policies import Policies, pod_identities, workload_of
from ansible_collections.onprem.platform.plugins.module_utils._cis_result import order
from ansible_collections.onprem.platform.plugins.module_utils._host_benchmark import BenchmarkHost, arguments_of
from ansible_collections.onprem.platform.plugins.plugin_utils._cis_hosts import audit_level, audit_problems

ROOT = Path(__file__).parents[4]
BENCHMARK = Path(__file__).parents[1] / "benchmark"
Facts = dict[str, dict[str, Any]]
# The ids of the profile cis-2.0, by section and last number.
PROFILE = {"1.1": 21, "1.2": 30, "1.3": 7, "1.4": 2, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 14, "4.3": 1}
POLICIES = {"5.1": 13, "5.2": 12, "5.3": 2, "5.4": 2, "5.5": 1, "5.6": 4}


@pytest.fixture
def facts() -> Facts:
    """What the module read on a control plane and a worker."""
    found: Facts = json.loads((BENCHMARK / "hosts.json").read_text(encoding="utf-8"))
    return found


def judged(facts: Facts) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["id"], item["host"]): item for item in cis_hosts(facts, ["cp1"])}


def test_every_id_of_the_profile_is_judged_once_on_each_host(facts: Facts) -> None:
    ids = [item["id"] for item in cis_hosts(facts, ["cp1"]) if item["host"] == "cp1"]
    wanted = [f"{section}.{number}" for section, last in PROFILE.items() for number in range(1, last + 1)]
    wanted += [f"2.{number}" for number in range(1, 8)]
    assert sorted(ids, key=order) == sorted(wanted, key=order)
    worker = {item["id"] for item in cis_hosts(facts, ["cp1"]) if item["host"] == "w1"}
    assert worker == {identifier for identifier in wanted if identifier.startswith("4.")}


def test_real_nodes_have_only_the_known_findings(facts: Facts) -> None:
    wrong = {key: item["status"] for key, item in judged(facts).items() if item["status"] in ("FAIL", "WARN")}
    # As they were before the roles were hardened by these very checks.
    assert {key[0] for key, status in wrong.items() if status == "FAIL" and key[1] != "cluster"} == {
        "1.1.12",
        "1.2.30",
        "4.1.1",
        "4.1.9",
    }
    assert {key[0] for key, status in wrong.items() if status == "WARN"} == {
        "1.2.3",
        "1.2.9",
        "1.2.11",
        "1.3.1",
        "3.2.2",
    }


def _argument(program: str, flag: str, value: str | None) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        if value is None:
            facts["cp1"]["programs"][program].pop(flag, None)
        else:
            facts["cp1"]["programs"][program][flag] = value

    return change


def _mode(path: str, mode: str = "0644", owner: str = "root") -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        facts["cp1"]["files"][path].update(mode=mode, owner=owner)

    return change


def _kubelet(key: str, value: Any) -> Callable[[Facts], None]:
    def change(facts: Facts) -> None:
        document = yaml.safe_load(facts["cp1"]["kubelet_configuration"])
        *parents, last = key.split(".")
        target = document
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
        facts["cp1"]["kubelet_configuration"] = yaml.safe_dump(document)

    return change


def _fact(key: str, value: Any) -> Callable[[Facts], None]:
    return lambda facts: facts["cp1"].update({key: value})


MANIFESTS, PKI = "/etc/kubernetes/manifests", "/etc/kubernetes/pki"


@pytest.mark.parametrize(
    ("identifier", "change"),
    [
        ("1.1.1", _mode(f"{MANIFESTS}/kube-apiserver.yaml")),
        ("1.1.2", _mode(f"{MANIFESTS}/kube-apiserver.yaml", "0600", "nobody")),
        ("1.1.7", _mode(f"{MANIFESTS}/etcd.yaml")),
        ("1.1.9", _mode("/etc/cni/net.d/05-cilium.conflist")),
        ("1.1.11", _mode("/var/lib/etcd", "0755")),
        ("1.1.13", _mode("/etc/kubernetes/admin.conf", "0640")),
        ("1.1.19", _mode(f"{PKI}/etcd/server.crt", "0600", "nobody")),
        ("1.1.20", _mode(f"{PKI}/ca.crt", "0664")),
        ("1.1.21", _mode(f"{PKI}/ca.key", "0640")),
        ("1.2.1", _fact("authentication_configuration", "anonymous: {enabled: true}")),
        ("1.2.1", _fact("authentication_configuration", "anonymous: {enabled: true, conditions: [{path: /api}]}")),
        ("1.2.2", _argument("kube-apiserver", "token-auth-file", "/tokens")),
        ("1.2.4", _argument("kube-apiserver", "kubelet-client-key", None)),
        ("1.2.5", _argument("kube-apiserver", "kubelet-certificate-authority", None)),
        ("1.2.6", _argument("kube-apiserver", "authorization-mode", "Node,RBAC,AlwaysAllow")),
        ("1.2.7", _argument("kube-apiserver", "authorization-mode", "RBAC")),
        ("1.2.8", _argument("kube-apiserver", "authorization-mode", "Node")),
        ("1.2.10", _argument("kube-apiserver", "enable-admission-plugins", "NodeRestriction,AlwaysAdmit")),
        ("1.2.12", _argument("kube-apiserver", "disable-admission-plugins", "ServiceAccount")),
        ("1.2.14", _argument("kube-apiserver", "enable-admission-plugins", "PodSecurity")),
        ("1.2.15", _argument("kube-apiserver", "profiling", None)),
        ("1.2.16", _argument("kube-apiserver", "audit-log-path", None)),
        ("1.2.17", _argument("kube-apiserver", "audit-log-maxage", "7")),
        ("1.2.21", _argument("kube-apiserver", "service-account-lookup", "false")),
        ("1.2.27", _argument("kube-apiserver", "encryption-provider-config", None)),
        ("1.2.28", _fact("encryption_providers", ["identity", "secretbox"])),
        ("1.2.29", _argument("kube-apiserver", "tls-cipher-suites", "TLS_RSA_WITH_AES_128_CBC_SHA")),
        ("1.3.3", _argument("kube-controller-manager", "use-service-account-credentials", None)),
        ("1.3.6", _argument("kube-controller-manager", "feature-gates", "RotateKubeletServerCertificate=false")),
        ("1.3.7", _argument("kube-controller-manager", "bind-address", "192.0.2.11")),
        ("1.4.2", _argument("kube-scheduler", "bind-address", None)),
        ("2.2", _argument("etcd", "client-cert-auth", "false")),
        ("2.3", _argument("etcd", "auto-tls", "true")),
        ("2.7", _fact("authorities", {"kubernetes": "a", "etcd": "a"})),
        ("4.1.5", _mode("/etc/kubernetes/kubelet.conf", "0644")),
        ("4.2.1", _kubelet("authentication.anonymous.enabled", True)),
        ("4.2.2", _kubelet("authorization.mode", "AlwaysAllow")),
        ("4.2.3", _kubelet("authentication.x509.clientCAFile", "")),
        ("4.2.4", _kubelet("readOnlyPort", 10255)),
        ("4.2.5", _argument("kubelet", "streaming-connection-idle-timeout", "0")),
        ("4.2.6", _kubelet("makeIPTablesUtilChains", False)),
        ("4.2.7", _argument("kubelet", "hostname-override", "other")),
        ("4.2.9", _kubelet("serverTLSBootstrap", False)),
        ("4.2.10", _kubelet("rotateCertificates", False)),
        ("4.2.12", _kubelet("tlsCipherSuites", ["TLS_RSA_WITH_AES_128_CBC_SHA"])),
        ("4.2.13", _kubelet("podPidsLimit", -1)),
        ("4.2.14", _kubelet("seccompDefault", False)),
        ("4.3.1", _fact("kube_proxy_configuration", "metricsBindAddress: 0.0.0.0:10249")),
    ],
)
def test_a_weakness_is_found_under_its_id(facts: Facts, identifier: str, change: Callable[[Facts], None]) -> None:
    before = judged(facts)[identifier, "cp1"]
    assert before["status"] == "PASS", before
    change(facts)
    after = judged(facts)[identifier, "cp1"]
    assert after["status"] in ("FAIL", "WARN")
    assert after["remedy"]


def test_nothing_that_was_not_executed_passes(facts: Facts) -> None:
    with pytest.raises(AnsibleFilterError, match="no hosts"):
        cis_hosts({}, [])
    facts["cp1"]["programs"] = {}
    facts["cp1"]["files"] = {}
    found = judged(facts)
    assert {found[identifier, "cp1"]["status"] for identifier in ("1.1.1", "1.2.2", "1.3.3", "2.2", "4.2.1")} == {
        "FAIL"
    }


def test_running_containers_need_a_filter_and_where_there_is_apparmor_a_profile(facts: Facts) -> None:
    def container(pod: str, seccomp: bool, apparmor: str = "") -> dict[str, Any]:
        return {"pod": pod, "container": pod, "command": "x", "seccomp": seccomp, "apparmor": apparmor}

    facts["cp1"].update(containers=[container("a", True), container("b", False)])
    facts["w1"].update(
        containers=[container("c", True, "unconfined"), container("d", True, "cri-containerd (enforce)")]
    )
    facts["w1"]["apparmor"] = True
    found = {item["id"]: item for item in cis_hosts(facts, ["cp1"], {"b": "shop/web", "c": "shop/cache"})}
    assert found["running.seccomp"]["objects"] == ["shop/web"]
    assert found["running.apparmor"]["status"] == "FAIL"
    assert found["running.apparmor"]["objects"] == ["shop/cache"]
    facts["w1"]["apparmor"] = False
    assert judged(facts)["running.apparmor", "cluster"]["status"] == "INFO"


def test_the_role_audits_who_reads_secrets_the_system_too() -> None:
    defaults = yaml.safe_load((ROOT / "roles/kubernetes/defaults/main.yml").read_text(encoding="utf-8"))
    assert audit_problems({"rules": defaults["kubernetes_audit_rules"]}) == []


def test_audit_rules_are_matched_in_order() -> None:
    rules = [
        {"level": "None", "users": ["system:apiserver"], "verbs": ["get"]},
        {"level": "None", "nonResourceURLs": ["/healthz*"]},
        {"level": "Request", "resources": [{"group": "", "resources": ["pods/*"]}]},
        {"level": "Metadata", "resources": [{"group": ""}]},
    ]
    assert audit_level(rules, "system:apiserver", [], "get", "", "secrets") == "None"
    assert audit_level(rules, "jane", [], "get", "", "secrets") == "Metadata"
    assert audit_level(rules, "jane", [], "create", "", "pods/exec") == "Request"
    assert audit_level(rules, "jane", [], "create", "apps", "deployments") == ""
    assert audit_problems({}) == ["there are no rules"]
    content = {"rules": [{"level": "RequestResponse"}]}
    assert any("secrets is logged at level RequestResponse" in problem for problem in audit_problems(content))


# --- waivers ----------------------------------------------------------------------------------------------------------


def finding(
    identifier: str, host: str = "cp1", objects: list[str] | None = None, status: str = "FAIL"
) -> dict[str, Any]:
    return {
        "id": identifier,
        "title": "t",
        "host": host,
        "status": status,
        "found": "f",
        "remedy": "r",
        "objects": objects or [],
    }


REASON = "because it has to be so"


def test_a_waiver_explains_and_an_unneeded_one_is_named() -> None:
    waivers = [{"id": "1.1.12", "reason": REASON}, {"id": "4.1.1", "reason": REASON, "hosts": ["w*"]}]
    report = cis_report([finding("1.1.12"), finding("4.1.1")], waivers)
    assert report["summary"]["WAIVED"] == 1
    assert report["summary"]["FAIL"] == 1
    assert [waiver["id"] for waiver in report["unneeded_waivers"]] == ["4.1.1"]
    assert any("no longer needed" in line for line in report["lines"])
    assert [case["failure"] for case in report["cases"]] == [None, "f. r"]


def test_a_waiver_of_objects_leaves_the_others() -> None:
    waivers = [{"id": "5.2.2", "reason": REASON, "objects": ["kube-system/*", "gone/x"]}]
    report = cis_report([finding("5.2.2", "cluster", ["kube-system/cilium", "shop/web"])], waivers)
    assert report["summary"]["FAIL"] == 1
    assert report["results"][0]["objects"] == ["shop/web"]
    assert report["unneeded_waivers"][0]["objects"] == ["gone/x"]
    assert "shop/web" in report["cases"][0]["failure"]


def test_a_waiver_may_name_a_group_of_the_inventory() -> None:
    waivers = [{"id": "4.1.1", "reason": REASON, "hosts": ["worker"]}]
    report = cis_report([finding("4.1.1", "w1"), finding("4.1.1", "cp1")], waivers, {"worker": ["w1"]})
    assert [item["status"] for item in report["results"]] == ["FAIL", "WAIVED"]


def test_an_expired_waiver_explains_nothing_and_fails() -> None:
    waivers = [{"id": "1.1.12", "reason": REASON, "expires": "2026-11-20"}]
    report = cis_report([finding("1.1.12")], waivers, today="2026-11-21")
    assert report["summary"]["FAIL"] == 1
    assert [case["suite"] for case in report["cases"] if case["failure"]] == ["1.1.12 t", "waivers"]
    assert cis_report([finding("1.1.12")], waivers, today="2026-11-20")["summary"]["WAIVED"] == 1


@pytest.mark.parametrize(
    ("waiver", "message"),
    [
        ({"id": "1.1.1"}, "reason"),
        ({"id": "1.1.1", "reason": "no"}, "reason"),
        ({"id": "1.1.1", "reason": REASON, "host": "cp1"}, "unknown keys: host"),
        ({"id": "1.1.1", "reason": REASON, "hosts": "cp1"}, "list"),
        ({"id": "1.1.1", "reason": REASON, "expires": "soon"}, "date"),
        ("1.1.1", "no mapping"),
    ],
)
def test_a_wrong_waiver_is_refused(waiver: Any, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        cis_report([finding("1.1.1")], [waiver])


def test_no_results_are_no_success() -> None:
    with pytest.raises(AnsibleFilterError, match="no results"):
        cis_report([], [])


def test_what_only_people_can_judge_is_no_case() -> None:
    report = cis_report([finding("3.1.1", status="MANUAL"), finding("1.2.9", status="WARN")], [])
    assert report["cases"] == []
    assert len(report["lines"]) == 2


def test_the_role_s_waivers_are_well_formed() -> None:
    waivers = yaml.safe_load((ROOT / "roles/verify/files/waivers.yml").read_text(encoding="utf-8"))
    cis_report([finding("1.1.12")], waivers)


# --- kube-bench -------------------------------------------------------------------------------------------------------


def test_kube_bench_is_read_and_waived_alike() -> None:
    document = json.loads((BENCHMARK / "kube_bench.json").read_text(encoding="utf-8"))
    results = cis_kube_bench(document, "w1")
    assert [(item["id"], item["status"]) for item in results] == [
        ("4.1.1", "FAIL"),
        ("4.1.2", "PASS"),
        ("4.2.9", "WARN"),
        ("3.1.1", "MANUAL"),
    ]
    assert results[0]["found"] == "permissions=644"
    assert results == cis_kube_bench(document["Controls"], "w1") == cis_kube_bench(document["Controls"][0], "w1")
    report = cis_report(results, [{"id": "4.1.1", "reason": REASON, "hosts": ["w1"]}])
    assert report["summary"] == {"PASS": 1, "FAIL": 0, "WARN": 1, "MANUAL": 1, "INFO": 0, "WAIVED": 1}


@pytest.mark.parametrize("document", [{}, [], {"Controls": []}, {"Controls": [{"tests": [{"results": [{}]}]}]}, "x"])
def test_what_is_not_of_kube_bench_is_refused(document: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="kube-bench"):
        cis_kube_bench(document, "w1")


# --- section 5 --------------------------------------------------------------------------------------------------------


def pod(name: str = "web-1", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    container = {
        "name": "main",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "00000000-0000-0000-0000-000000000001",
            "labels": {"pod-template-hash": "abc"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-abc"}],
        },
        "spec": {"nodeName": "w1", "serviceAccountName": "web", "containers": [container], **spec},
        "status": {"phase": "Running"},
    }


def cluster(*pods: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "pods": list(pods) or [pod()],
        "namespaces": [{"metadata": {"name": "shop", "labels": labels}}],
        "serviceaccounts": [{"metadata": {"name": "web", "namespace": "shop"}}],
        "clusterroles": [],
        "roles": [],
        "clusterrolebindings": [],
        "rolebindings": [],
        "networkpolicies": [{"metadata": {"name": "deny", "namespace": "shop"}}],
        "validatingwebhookconfigurations": [{"webhooks": [{"name": "policy.sigstore.dev"}]}],
    }


def policies(objects: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in Policies(objects).judge()}


def test_every_id_of_section_5_is_judged_and_a_good_cluster_has_no_finding() -> None:
    found = policies(cluster())
    wanted = {f"{section}.{number}" for section, last in POLICIES.items() for number in range(1, last + 1)}
    assert set(found) == wanted
    assert [item for item in found.values() if item["status"] == "FAIL"] == []


def _security(**change: Any) -> dict[str, Any]:
    wrong = pod()
    wrong["spec"]["containers"][0]["securityContext"].update(change)
    return wrong


def _container(**change: Any) -> dict[str, Any]:
    wrong = pod()
    wrong["spec"]["containers"][0].update(change)
    return wrong


TOKEN = [{"name": "kube-api-access-x"}]


@pytest.mark.parametrize(
    ("identifier", "wrong"),
    [
        ("5.1.5", pod(serviceAccountName="default", volumes=TOKEN)),
        ("5.1.6", pod(volumes=TOKEN)),
        ("5.2.2", _security(privileged=True)),
        ("5.2.2", pod(initContainers=[{"name": "i", "securityContext": {"privileged": True}}])),
        ("5.2.3", pod(hostPID=True)),
        ("5.2.4", pod(hostIPC=True)),
        ("5.2.5", pod(hostNetwork=True)),
        ("5.2.6", _security(allowPrivilegeEscalation=None)),
        ("5.2.6", _security(allowPrivilegeEscalation=True)),
        ("5.2.7", _security(runAsNonRoot=False)),
        ("5.2.8", _security(capabilities={})),
        ("5.2.9", _security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})),
        ("5.2.10", _security(windowsOptions={"hostProcess": True})),
        ("5.2.11", pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}])),
        ("5.2.12", _container(ports=[{"containerPort": 80, "hostPort": 80}])),
        ("5.4.1", _container(env=[{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}])),
        ("5.6.2", _security(seccompProfile=None)),
        ("5.6.2", _security(seccompProfile={"type": "Unconfined"})),
        ("5.6.3", _container(securityContext={})),
    ],
)
def test_a_pod_is_found_under_its_id(identifier: str, wrong: dict[str, Any]) -> None:
    objects = cluster(wrong)
    if identifier == "5.2.6":
        context = wrong["spec"]["containers"][0]["securityContext"]
        if context["allowPrivilegeEscalation"] is None:
            del context["allowPrivilegeEscalation"]
    assert policies(objects)[identifier]["status"] == "FAIL"
    assert policies(objects)[identifier]["objects"] == ["shop/web"]


def _role(verbs: list[str], resources: list[str], group: str = "", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "wide"},
        "rules": [{"verbs": verbs, "resources": resources, "apiGroups": [group], **more}],
    }


@pytest.mark.parametrize(
    ("identifier", "role"),
    [
        ("5.1.2", _role(["list"], ["secrets"])),
        ("5.1.3", _role(["*"], ["pods"])),
        ("5.1.4", _role(["create"], ["pods"])),
        ("5.1.8", _role(["impersonate"], ["users"])),
        ("5.1.9", _role(["create"], ["persistentvolumes"])),
        ("5.1.10", _role(["get"], ["nodes/proxy"])),
        ("5.1.11", _role(["update"], ["certificatesigningrequests/approval"], "certificates.k8s.io")),
        ("5.1.12", _role(["patch"], ["mutatingwebhookconfigurations"], "admissionregistration.k8s.io")),
        ("5.1.13", _role(["create"], ["serviceaccounts/token"])),
    ],
)
def test_a_role_is_found_under_its_id(identifier: str, role: dict[str, Any]) -> None:
    objects = cluster()
    objects["clusterroles"] = [role]
    assert policies(objects)[identifier]["objects"] == ["ClusterRole/wide"]
    role["metadata"]["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    assert policies(objects)[identifier]["status"] == "PASS"


def test_names_in_a_rule_make_it_narrow() -> None:
    objects = cluster()
    objects["clusterroles"] = [_role(["get"], ["secrets"], resourceNames=["one"])]
    assert policies(objects)["5.1.2"]["status"] == "PASS"


def test_bindings_and_namespaces() -> None:
    objects = cluster()
    role = {"name": "cluster-admin"}
    objects["clusterrolebindings"] = [
        {"metadata": {"name": "cluster-admin"}, "roleRef": role, "subjects": [{"name": "system:masters"}]},
        {"metadata": {"name": "tool"}, "roleRef": role, "subjects": [{"name": "system:masters"}]},
    ]
    objects["namespaces"] += [
        {"metadata": {"name": "bare"}},
        {"metadata": {"name": "ending", "deletionTimestamp": "2026-11-21T00:00:00Z"}},
    ]
    objects["validatingwebhookconfigurations"] = []
    found = policies(objects)
    assert found["5.1.1"]["objects"] == found["5.1.7"]["objects"] == ["ClusterRoleBinding/tool"]
    assert found["5.2.1"]["objects"] == found["5.3.2"]["objects"] == ["bare"]
    assert found["5.5.1"]["status"] == "FAIL"


def test_workloads_have_names_that_last() -> None:
    static = pod("etcd-cp1", "kube-system")
    static["metadata"].update(
        ownerReferences=[{"kind": "Node", "name": "cp1"}], annotations={"kubernetes.io/config.hash": "f" * 32}
    )
    static["spec"]["nodeName"] = "cp1"
    job = pod("backup-29400000-x")
    job["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "backup-29400000"}]
    alone = pod("alone")
    del alone["metadata"]["ownerReferences"]
    assert [workload_of(item) for item in (pod(), static, job, alone)] == [
        "shop/web",
        "kube-system/etcd",
        "shop/backup",
        "shop/alone",
    ]
    assert pod_identities([static]) == {"f" * 32: "kube-system/etcd"}


# --- reading a host ---------------------------------------------------------------------------------------------------


def test_arguments_are_read_in_all_forms() -> None:
    argv = ["--a=1", "--b", "2", "-c", "--d", "--e=x=y", "rest"]
    assert arguments_of(argv) == {"a": "1", "b": "2", "c": "true", "d": "true", "e": "x=y"}


def test_a_host_is_read_from_its_files(tmp_path: Path) -> None:
    def write(path: str, text: str, mode: int = 0o644) -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)

    uid, container = "191dbfa4_9b34_425b_a1f0_a0a758043f41", "f" * 64
    group = f"0::/kubepods.slice/kubepods-pod{uid}.slice/cri-containerd-{container}.scope\n"
    write("proc/1/status", "Name:\tsystemd\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    write("proc/1/cmdline", "/sbin/init\0")
    write("proc/7/cmdline", "/usr/local/bin/kubelet\0--config=/var/lib/kubelet/config.yaml\0")
    write("proc/8/cmdline", "runc\0init\0")
    write("proc/8/cgroup", group)
    write("proc/9/cmdline", "/bin/web\0")
    write("proc/9/cgroup", group)
    write("proc/9/status", "Name:\tweb\nSeccomp:\t2\nSeccomp_filters:\t1\n")
    write("proc/9/attr/current", "cri-containerd.apparmor.d (enforce)\n")
    write("var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n", 0o600)
    write("sys/module/apparmor/parameters/enabled", "Y\n")
    write(
        "etc/kubernetes/platform/encryption.yaml",
        "resources:\n- resources: [secrets]\n  providers:\n  - secretbox:\n      keys:\n"
        "      - name: key1\n        secret: c2VjcmV0\n  - identity: {}\n",
        0o600,
    )
    write("etc/kubernetes/manifests/kube-scheduler.yaml", "    - kube-scheduler\n    - --profiling=false\n", 0o600)
    found = BenchmarkHost(str(tmp_path)).facts()
    assert found["files"]["/var/lib/kubelet/config.yaml"]["mode"] == "0600"
    assert found["programs"] == {
        "kubelet": {"config": "/var/lib/kubelet/config.yaml"},
        "kube-scheduler": {"profiling": "false"},
    }
    assert found["encryption_providers"] == ["secretbox", "identity"]
    assert "c2VjcmV0" not in json.dumps(found)
    # The one filter is that of the host itself, so the container has none of its own.
    assert found["containers"] == [
        {
            "pod": uid.replace("_", "-"),
            "container": "f" * 12,
            "command": "web",
            "seccomp": False,
            "apparmor": "cri-containerd.apparmor.d (enforce)",
        }
    ]
    assert found["apparmor"] is True
    write("proc/9/status", "Name:\tweb\nSeccomp:\t2\nSeccomp_filters:\t2\n")
    assert BenchmarkHost(str(tmp_path)).containers()[0]["seccomp"] is True


def test_facts_are_not_changed_by_judging(facts: Facts) -> None:
    before = copy.deepcopy(facts)
    cis_hosts(facts, ["cp1"])
    assert facts == before
