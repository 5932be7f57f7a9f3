# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Section 5 of the benchmark, judged by the objects of the cluster. Private: may change in any release.

The profile leaves the whole section to people. What can be read from objects is executed here, and a finding is FAIL
unless a waiver names the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._cis_result import FAIL, MANUAL, PASS, result

CLUSTER = "cluster"
_BOOTSTRAP_LABEL = "kubernetes.io/bootstrapping"
_POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
_STATIC_HASH = "kubernetes.io/config.hash"
_SYSTEM_NAMESPACES = ("kube-node-lease", "kube-public", "kube-system")
# kubeadm binds its administrators by this; it is the way people get in.
_ADMINISTRATORS = ("cluster-admin", "kubeadm:cluster-admins")

Objects = Mapping[str, list[dict[str, Any]]]


def workload_of(pod: Mapping[str, Any]) -> str:
    """``namespace/name`` of what made a pod, without the parts that change with each pod."""
    metadata = pod["metadata"]
    owner = next(iter(metadata.get("ownerReferences") or []), {"kind": "", "name": metadata["name"]})
    name = str(owner["name"])
    if owner["kind"] == "ReplicaSet":
        name = name.removesuffix(f"-{(metadata.get('labels') or {}).get('pod-template-hash', '')}")
    elif owner["kind"] == "Node":
        name = str(metadata["name"]).removesuffix(f"-{pod['spec'].get('nodeName', '')}")
    elif owner["kind"] == "Job":
        name = name.rpartition("-")[0] if name.rpartition("-")[2].isdigit() else name
    return f"{metadata.get('namespace', 'default')}/{name}"


def pod_identities(pods: list[dict[str, Any]]) -> dict[str, str]:
    """Workload by the UID that the pod's control group carries; for static pods that is the hash of their manifest."""
    found = {}
    for pod in pods:
        uid = (pod["metadata"].get("annotations") or {}).get(_STATIC_HASH) or pod["metadata"]["uid"]
        found[str(uid)] = workload_of(pod)
    return found


def containers_of(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All containers of a pod: those of its start and those that somebody added later too."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(kind) or []


def _security(container: Mapping[str, Any]) -> dict[str, Any]:
    return dict(container.get("securityContext") or {})


def _runs_as_root(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    effective = {**(pod["spec"].get("securityContext") or {}), **_security(container)}
    return not effective.get("runAsNonRoot") and not effective.get("runAsUser")


def _added(container: Mapping[str, Any]) -> set[str]:
    return set((_security(container).get("capabilities") or {}).get("add") or [])


def _dropped(container: Mapping[str, Any]) -> set[str]:
    return set((_security(container).get("capabilities") or {}).get("drop") or [])


def _can_escalate(container: Mapping[str, Any]) -> bool:
    return bool(_security(container).get("allowPrivilegeEscalation", True))


def _host_process(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    contexts = (pod["spec"].get("securityContext") or {}, _security(container))
    return any((context.get("windowsOptions") or {}).get("hostProcess") for context in contexts)


def _any_container(judge: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]) -> Callable[[Any], bool]:
    return lambda pod: any(judge(pod, container) for container in containers_of(pod))


# id, title, whether a pod is a finding, remedy
_POD_CHECKS: tuple[tuple[str, str, Callable[[Any], bool], str], ...] = (
    (
        "5.2.2",
        "No privileged containers",
        _any_container(lambda _pod, container: bool(_security(container).get("privileged"))),
        "Take securityContext.privileged away, and enforce baseline or restricted on the namespace.",
    ),
    ("5.2.3", "No pod in the host's process namespace", lambda pod: bool(pod["spec"].get("hostPID")), "Unset hostPID."),
    ("5.2.4", "No pod in the host's IPC namespace", lambda pod: bool(pod["spec"].get("hostIPC")), "Unset hostIPC."),
    (
        "5.2.5",
        "No pod in the host's network",
        lambda pod: bool(pod["spec"].get("hostNetwork")),
        "Unset hostNetwork and give the pod a Service.",
    ),
    (
        "5.2.6",
        "No container may gain more privileges",
        _any_container(lambda _pod, container: _can_escalate(container)),
        "Set securityContext.allowPrivilegeEscalation: false.",
    ),
    (
        "5.2.7",
        "No container runs as root",
        _any_container(_runs_as_root),
        "Set runAsNonRoot: true and a user other than 0.",
    ),
    (
        "5.2.8",
        "No container has NET_RAW",
        _any_container(
            lambda _pod, container: not _dropped(container) & {"ALL", "NET_RAW"} or "NET_RAW" in _added(container)
        ),
        "Drop ALL capabilities and add back only those that are needed.",
    ),
    (
        "5.2.9",
        "No container has added capabilities",
        _any_container(lambda _pod, container: bool(_added(container) - {"NET_BIND_SERVICE"})),
        "Take capabilities.add away.",
    ),
    ("5.2.10", "No Windows HostProcess containers", _any_container(_host_process), "Unset windowsOptions.hostProcess."),
    (
        "5.2.11",
        "No pod mounts a path of the host",
        lambda pod: any("hostPath" in volume for volume in pod["spec"].get("volumes") or []),
        "Use a PersistentVolumeClaim, an emptyDir or a ConfigMap.",
    ),
    (
        "5.2.12",
        "No container takes a port of the host",
        _any_container(
            lambda pod, container: (
                not pod["spec"].get("hostNetwork")
                and any(port.get("hostPort") for port in container.get("ports") or [])
            )
        ),
        "Unset hostPort and use a Service.",
    ),
    (
        "5.4.1",
        "Secrets are read from files, not from the environment",
        _any_container(
            lambda _pod, container: (
                any("secretRef" in source for source in container.get("envFrom") or [])
                or any("secretKeyRef" in (item.get("valueFrom") or {}) for item in container.get("env") or [])
            )
        ),
        "Mount the Secret as a volume; environments show up in dumps and are inherited.",
    ),
    (
        "5.6.3",
        "Each container states its security context",
        _any_container(lambda pod, container: not (_security(container) or pod["spec"].get("securityContext"))),
        "Set a securityContext on the pod or the container.",
    ),
)


class Policies:
    """Judges the objects of one cluster: ``objects`` has lists by the plural names of their resources."""

    def __init__(self, objects: Objects, kubelets_default_seccomp: bool = False) -> None:
        self.objects = objects
        self.kubelets_default_seccomp = kubelets_default_seccomp
        self.pods = [
            pod
            for pod in objects["pods"]
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed") and not _ends(pod)
        ]
        self.namespaces = [item for item in objects["namespaces"] if not _ends(item)]
        self.results: list[dict[str, Any]] = []

    def judge(self) -> list[dict[str, Any]]:
        """All results of the section, in order of their ids as far as that matters."""
        self._accounts()
        self._permissions()
        for identifier, title, wrong, remedy in _POD_CHECKS:
            self._add(identifier, title, [workload_of(pod) for pod in self.pods if wrong(pod)], remedy, "workload")
        self._namespaces()
        self._seccomp()
        self._manual()
        return self.results

    def _add(self, identifier: str, title: str, wrong: list[str], remedy: str, noun: str) -> None:
        names = sorted(set(wrong))
        found = f"{len(names)} {noun}{'' if len(names) == 1 else 's'}" if names else f"no such {noun}"
        self.results.append(result(identifier, title, CLUSTER, FAIL if names else PASS, found, remedy, names))

    def _accounts(self) -> None:
        accounts = {
            (item["metadata"]["namespace"], item["metadata"]["name"]): item for item in self.objects["serviceaccounts"]
        }
        used = [
            workload_of(pod)
            for pod in self.pods
            if pod["spec"].get("serviceAccountName", "default") == "default" and _has_token(pod)
        ]
        remedy = "Give the workload a service account of its own, or automountServiceAccountToken: false."
        self._add("5.1.5", "No workload uses the token of a default service account", used, remedy, "workload")
        mounting = [
            workload_of(pod)
            for pod in self.pods
            if _has_token(pod)
            and pod["spec"].get("automountServiceAccountToken") is None
            and (
                accounts.get((pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName", "default"))) or {}
            ).get("automountServiceAccountToken")
            is None
        ]
        remedy = "Say automountServiceAccountToken: true or false, at the pod or its service account."
        title = "Each token of a service account is mounted on purpose"
        self._add("5.1.6", title, mounting, remedy, "workload")

    def _permissions(self) -> None:
        bindings = [("ClusterRoleBinding", item) for item in self.objects["clusterrolebindings"]]
        bindings += [("RoleBinding", item) for item in self.objects["rolebindings"]]
        administrators = [
            f"{kind}/{_qualified(item)}"
            for kind, item in bindings
            if item["roleRef"]["name"] == "cluster-admin" and item["metadata"]["name"] not in _ADMINISTRATORS
        ]
        remedy = "Bind a role with only the needed rights."
        self._add("5.1.1", "cluster-admin is bound only where needed", administrators, remedy, "binding")
        masters = [
            f"{kind}/{_qualified(item)}"
            for kind, item in bindings
            if item["metadata"]["name"] != "cluster-admin"
            and any(subject.get("name") == "system:masters" for subject in item.get("subjects") or [])
        ]
        self._add("5.1.7", "Nothing is bound to system:masters", masters, "Delete the binding.", "binding")
        roles = [("ClusterRole", item) for item in self.objects["clusterroles"]]
        roles += [("Role", item) for item in self.objects["roles"]]
        own = [
            (f"{kind}/{_qualified(item)}", rule)
            for kind, item in roles
            if (item["metadata"].get("labels") or {}).get(_BOOTSTRAP_LABEL) != "rbac-defaults"
            for rule in item.get("rules") or []
        ]
        remedy = "Name the groups, resources and verbs that are needed, or delete the role."
        wildcards = [
            name
            for name, rule in own
            if any("*" in (rule.get(part) or []) for part in ("verbs", "resources", "apiGroups"))
        ]
        self._add("5.1.3", "No wildcard in roles", wildcards, remedy, "role")
        for identifier, title, group, resources, verbs in (
            ("5.1.2", "Few roles may read Secrets of the cluster", "", {"secrets"}, {"get", "list", "watch"}),
            ("5.1.4", "Few roles may create pods in the cluster", "", {"pods"}, {"create"}),
            ("5.1.9", "Few roles may create PersistentVolumes", "", {"persistentvolumes"}, {"create"}),
            ("5.1.10", "Few roles may use the kubelets' API", "", {"nodes/proxy"}, set[str]()),
            (
                "5.1.11",
                "Few roles may approve certificates",
                "certificates.k8s.io",
                {"certificatesigningrequests/approval"},
                {"update", "patch"},
            ),
            (
                "5.1.12",
                "Few roles may change admission webhooks",
                "admissionregistration.k8s.io",
                {"validatingwebhookconfigurations", "mutatingwebhookconfigurations"},
                {"create", "update", "patch", "delete"},
            ),
            ("5.1.13", "Few roles may make tokens", "", {"serviceaccounts/token"}, {"create"}),
        ):
            wide = [
                name for name, rule in own if name.startswith("ClusterRole/") and _allows(rule, group, resources, verbs)
            ]
            self._add(identifier, title, wide, remedy, "role")
        special = [name for name, rule in own if {"bind", "escalate", "impersonate"} & set(rule.get("verbs") or [])]
        self._add("5.1.8", "No role may bind, escalate or impersonate", special, remedy, "role")

    def _namespaces(self) -> None:
        names = [item["metadata"]["name"] for item in self.namespaces]
        unlabelled = [
            item["metadata"]["name"]
            for item in self.namespaces
            if _POD_SECURITY_LABEL not in (item["metadata"].get("labels") or {})
        ]
        remedy = f"Label the namespace with {_POD_SECURITY_LABEL}; the cluster's default holds meanwhile."
        self._add("5.2.1", "Each namespace states its level of Pod Security", unlabelled, remedy, "namespace")
        supported = "networkpolicies" in self.objects and any(
            workload.split("/")[1].startswith(("cilium", "calico", "kube-router", "antrea"))
            for workload in map(workload_of, self.pods)
        )
        self.results.append(
            result(
                "5.3.1",
                "The pod network enforces NetworkPolicies",
                CLUSTER,
                PASS if supported else MANUAL,
                "a plugin that enforces them runs" if supported else "no known plugin that enforces them runs",
                "Prove with a test of paths that policies are in force.",
            )
        )
        covered = {item["metadata"]["namespace"] for item in self.objects["networkpolicies"]}
        bare = [name for name in names if name not in covered]
        remedy = "Deny everything in the namespace by a NetworkPolicy and allow what is needed."
        self._add("5.3.2", "Each namespace has NetworkPolicies", bare, remedy, "namespace")
        own = [name for name in names if name not in ("default", *_SYSTEM_NAMESPACES)]
        self.results.append(
            result(
                "5.6.1",
                "Namespaces divide the cluster",
                CLUSTER,
                PASS if own else FAIL,
                f"{len(own)} namespaces",
                "Give each application a namespace.",
            )
        )
        strangers = [workload_of(pod) for pod in self.pods if pod["metadata"]["namespace"] == "default"]
        self._add("5.6.4", "The namespace default is empty", strangers, "Use a namespace of its own.", "workload")

    def _seccomp(self) -> None:
        title = "Each pod runs under a seccomp profile"
        remedy = "Set securityContext.seccompProfile.type: RuntimeDefault, or seccompDefault in the kubelet."
        wrong = []
        for pod in self.pods:
            fallback = (pod["spec"].get("securityContext") or {}).get("seccompProfile")
            for container in containers_of(pod):
                profile = (_security(container).get("seccompProfile") or fallback or {}).get("type")
                default = self.kubelets_default_seccomp and not _security(container).get("privileged")
                if profile == "Unconfined" or (profile is None and not default):
                    wrong.append(workload_of(pod))
        self._add("5.6.2", title, wrong, remedy, "workload")

    def _manual(self) -> None:
        webhooks = [
            webhook.get("name", "")
            for item in self.objects["validatingwebhookconfigurations"]
            for webhook in item.get("webhooks") or []
        ]
        provenance = [name for name in webhooks if "policy.sigstore.dev" in name]
        self.results.append(
            result(
                "5.5.1",
                "Images are admitted by their provenance",
                CLUSTER,
                PASS if provenance else FAIL,
                f"webhook {provenance[0]}" if provenance else "no admission webhook verifies signatures",
                "Use the role policy, which brings sigstore's policy-controller.",
            )
        )
        vault = [workload for workload in map(workload_of, self.pods) if workload.endswith("/vault")]
        self.results.append(
            result(
                "5.4.2",
                "Secrets are kept outside of the cluster's objects",
                CLUSTER,
                PASS if vault else MANUAL,
                f"{vault[0]} runs" if vault else "no known store of secrets runs in the cluster",
                "Say in a waiver where the secrets of applications are kept.",
            )
        )


def _ends(item: Mapping[str, Any]) -> bool:
    """Whether an object is being deleted."""
    return bool(item["metadata"].get("deletionTimestamp"))


def _has_token(pod: Mapping[str, Any]) -> bool:
    """Whether the API server has mounted a token into the pod (its admission adds this volume)."""
    return any(volume["name"].startswith("kube-api-access-") for volume in pod["spec"].get("volumes") or [])


def _qualified(item: Mapping[str, Any]) -> str:
    namespace = item["metadata"].get("namespace")
    return f"{namespace}/{item['metadata']['name']}" if namespace else str(item["metadata"]["name"])


def _allows(rule: Mapping[str, Any], group: str, resources: set[str], verbs: set[str]) -> bool:
    """Whether a rule without names allows one of the verbs (any verb if there are none) on one of the resources."""
    if rule.get("resourceNames"):
        return False
    groups, named, allowed = (set(rule.get(part) or []) for part in ("apiGroups", "resources", "verbs"))
    return bool(
        groups & {group, "*"} and named & (resources | {"*"}) and allowed and (not verbs or allowed & (verbs | {"*"}))
    )
