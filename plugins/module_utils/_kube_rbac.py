# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Who may do what: roles and bindings read raw, and resolved to what a subject may do (private).

Semantics: https://kubernetes.io/docs/reference/access-authn-authz/rbac/. Permissions are written as kubectl writes
them: ``deployments.apps/scale`` is the subresource scale of deployments in the group apps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ._kube_client import KubeClient
from ._kube_errors import KubeConfigError, KubeError

Permissions = dict[str, Any]
"""``{"cluster": {permission: [verb]}, "namespaces": {namespace: {permission: [verb]}}}``; cluster is everywhere."""

RBAC = "/apis/rbac.authorization.k8s.io/v1"
SERVICE_ACCOUNT_USER = "system:serviceaccount:"
# Every authenticated service account is in these two groups, and in one of its namespace.
COMMON_GROUPS = ("system:authenticated", "system:serviceaccounts")
_TAKEOVER_VERBS = ("bind", "escalate")


@dataclass(frozen=True)
class Subject:
    """Whom a request comes from."""

    user: str
    groups: tuple[str, ...] = ()

    @classmethod
    def service_account(cls, namespace: str, name: str) -> Subject:
        """Return the subject of a service account, with the groups that its tokens have."""
        return cls(f"{SERVICE_ACCOUNT_USER}{namespace}:{name}", (*COMMON_GROUPS, f"system:serviceaccounts:{namespace}"))

    def __str__(self) -> str:
        if self.user.startswith(SERVICE_ACCOUNT_USER):
            return f"ServiceAccount {self.user.removeprefix(SERVICE_ACCOUNT_USER).replace(':', '/', 1)}"
        return f"User {self.user}" if self.user else f"Group {', '.join(self.groups)}"


@dataclass(frozen=True)
class Role:
    """A Role or ClusterRole; ``namespace`` is empty for the latter. ``rules`` has aggregated rules in it."""

    kind: str
    namespace: str
    name: str
    rules: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Binding:
    """A RoleBinding or ClusterRoleBinding.

    ``built_in`` tells whether the API server itself made it and keeps it. ``role`` is None when there is no such role.
    """

    kind: str
    namespace: str
    name: str
    role_reference: str
    role: Role | None
    subjects: tuple[str, ...]
    built_in: bool

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name} -> {self.role_reference}{'' if self.role else ' (missing)'}"


class Rbac:
    """All roles and bindings of a cluster at one moment."""

    def __init__(self, roles: list[dict[str, Any]], bindings: list[dict[str, Any]]) -> None:
        """Take Role, ClusterRole, RoleBinding and ClusterRoleBinding objects with their ``kind``."""
        self.roles = dict(_resolve(roles))
        self.bindings = [self._binding(document) for document in bindings]

    @classmethod
    def read(cls, client: KubeClient) -> Rbac:
        """Read four lists; raises KubeError."""
        kinds = {"Role": "roles", "ClusterRole": "clusterroles"}
        bindings = {"RoleBinding": "rolebindings", "ClusterRoleBinding": "clusterrolebindings"}
        return cls(
            [item for kind, plural in kinds.items() for item in listed(client, f"{RBAC}/{plural}", kind)],
            [item for kind, plural in bindings.items() for item in listed(client, f"{RBAC}/{plural}", kind)],
        )

    def _binding(self, document: dict[str, Any]) -> Binding:
        metadata, reference = document["metadata"], document["roleRef"]
        namespace = metadata.get("namespace", "")
        role_namespace = namespace if reference["kind"] == "Role" else ""
        role = self.roles.get((reference["kind"], role_namespace, reference["name"]))
        name = f"{role_namespace}/{reference['name']}" if role_namespace else reference["name"]
        return Binding(
            document["kind"],
            namespace,
            metadata["name"],
            f"{reference['kind']} {name}",
            role,
            tuple(_subject_name(subject, namespace) for subject in document.get("subjects") or []),
            (metadata.get("labels") or {}).get("kubernetes.io/bootstrapping") == "rbac-defaults"
            and metadata["name"].startswith("system:"),
        )

    def bindings_of(self, subject: Subject, without_groups: Iterable[str] = ()) -> list[Binding]:
        """Return the bindings that concern a subject, itself or by a group that is not in ``without_groups``."""
        names = {f"Group {group}" for group in subject.groups if group not in without_groups}
        if subject.user:
            # A service account can be bound as such, or by the name that it has as a user.
            names |= {str(subject), f"User {subject.user}"}
        return [binding for binding in self.bindings if names.intersection(binding.subjects)]

    def people(self) -> list[str]:
        """Return each ``User NAME`` and ``Group NAME`` with a binding that Kubernetes does not bring itself."""
        own = {name for binding in self.bindings if not binding.built_in for name in binding.subjects}
        return sorted(name for name in own if name.startswith(("User ", "Group ")) and SERVICE_ACCOUNT_USER not in name)

    def powerful_roles(self) -> list[dict[str, Any]]:
        """Return the roles that hold wildcards or by which one can get more rights, with those who have them."""
        found = []
        for role in sorted(self.roles.values(), key=str):
            held = sorted({power for rule in role.rules for power in powers(rule)})
            if held:
                bindings = [binding for binding in self.bindings if binding.role == role]
                subjects = sorted({name for binding in bindings for name in binding.subjects})
                found.append({"role": str(role), "powers": held, "subjects": subjects})
        return found


def listed(client: KubeClient, path: str, kind: str) -> list[dict[str, Any]]:
    """Return a list's objects, each with the ``kind`` that lists leave out."""
    return [{**item, "kind": kind} for item in client.get(path).get("items") or []]


def permissions(bindings: Iterable[Binding]) -> Permissions:
    """Return what bindings allow together. Equal rights give equal results, however roles divide them."""
    cluster: dict[str, set[str]] = {}
    namespaces: dict[str, dict[str, set[str]]] = {}
    for binding in bindings:
        scope = namespaces.setdefault(binding.namespace, {}) if binding.namespace else cluster
        for rule in binding.role.rules if binding.role else ():
            # URLs of no resource belong to no namespace: a RoleBinding cannot give them.
            for name in _names(rule, urls=not binding.namespace):
                scope.setdefault(name, set()).update(rule.get("verbs") or [])
    return {
        "cluster": _sorted(cluster),
        "namespaces": {name: _sorted(namespaces[name]) for name in sorted(namespaces) if namespaces[name]},
    }


def powers(rule: dict[str, Any]) -> Iterator[str]:
    """Yield what makes a rule one that nobody should have without a reason."""
    verbs = rule.get("verbs") or []
    if "*" in verbs:
        yield "wildcard verb"
    if any("*" in resource for resource in rule.get("resources") or []):
        yield "wildcard resource"
    if "*" in (rule.get("apiGroups") or []):
        yield "wildcard API group"
    if "*" in (rule.get("nonResourceURLs") or []):
        yield "wildcard URL"
    for verb in verbs:
        if verb in _TAKEOVER_VERBS:
            yield verb
        elif verb.startswith("impersonate"):
            # also the narrower "impersonate:user-info" and "impersonate-on:..." of KEP-5284
            yield "impersonate"


def split_resource(text: str) -> tuple[str, str, str]:
    """Return (resource, API group, subresource) of ``deployments.apps/scale``; raises KubeConfigError."""
    whole, _slash, subresource = text.partition("/")
    resource, _dot, group = whole.partition(".")
    if not resource or text.endswith(("/", ".")):
        raise KubeConfigError(f"{text!r} is no resource", "Write it like pods, pods/exec or deployments.apps/scale.")
    return resource, group, subresource


def _resolve(documents: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str, str], Role]]:
    """Yield key and role, aggregated rules included.

    A controller copies them into the role. They are collected here all the same, so that the answer does not depend on
    whether it has come to that; what is in the role already stays.
    """
    cluster = [document for document in documents if document["kind"] == "ClusterRole"]

    def rules(document: dict[str, Any], seen: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        found = list(document.get("rules") or [])
        for selector in (document.get("aggregationRule") or {}).get("clusterRoleSelectors") or []:
            for other in cluster:
                name = other["metadata"]["name"]
                if name not in seen and _selects(selector, other["metadata"].get("labels") or {}):
                    found += [rule for rule in rules(other, (*seen, name)) if rule not in found]
        return found

    for document in documents:
        kind, metadata = document["kind"], document["metadata"]
        namespace = metadata.get("namespace", "")
        own = (metadata["name"],) if kind == "ClusterRole" else ()
        yield (kind, namespace, metadata["name"]), Role(kind, namespace, metadata["name"], tuple(rules(document, own)))


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Tell whether a label selector fits; https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
        fits = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not fits[operator]:
            return False
    return True


def _subject_name(subject: dict[str, Any], namespace: str) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"ServiceAccount {subject.get('namespace') or namespace}/{subject['name']}"
    return f"{subject['kind']} {subject['name']}"


def _names(rule: dict[str, Any], urls: bool) -> Iterator[str]:
    """Yield what a rule is about, one name for each object, resource or URL."""
    for text in rule.get("resources") or []:
        resource, _slash, subresource = text.partition("/")
        for group in rule.get("apiGroups") or []:
            name = (f"{resource}.{group}" if group else resource) + (f"/{subresource}" if subresource else "")
            yield from (f"{name} ({item})" for item in rule["resourceNames"]) if rule.get("resourceNames") else (name,)
    if urls:
        yield from rule.get("nonResourceURLs") or []


def _sorted(scope: dict[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(scope[name]) for name in sorted(scope)}


class ServiceAccounts:
    """The service accounts of a cluster, and the workloads whose pods hold a token for the API."""

    _MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

    def __init__(self, accounts: list[dict[str, Any]], pods: list[dict[str, Any]]) -> None:
        self.accounts = accounts
        self._tokens: dict[tuple[str, str], set[str]] = {}
        for pod in pods:
            spec = pod["spec"]
            containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
            mounts = [mount for container in containers for mount in container.get("volumeMounts") or []]
            if any(mount["mountPath"].rstrip("/") == self._MOUNT for mount in mounts):
                key = (pod["metadata"]["namespace"], spec.get("serviceAccountName") or "default")
                self._tokens.setdefault(key, set()).add(_workload(pod))

    @classmethod
    def read(cls, client: KubeClient) -> ServiceAccounts:
        """Read two lists; raises KubeError."""
        return cls(listed(client, "/api/v1/serviceaccounts", "ServiceAccount"), listed(client, "/api/v1/pods", "Pod"))

    def names(self, namespace: str) -> list[str]:
        """Return the accounts of a namespace; raises KubeError when there are none."""
        found = [item["metadata"]["name"] for item in self.accounts if item["metadata"]["namespace"] == namespace]
        if not found:
            raise KubeError(f"there is no service account in the namespace {namespace}", "Check the namespace's name.")
        return sorted(found)

    def describe(self, rbac: Rbac) -> list[dict[str, Any]]:
        """Return each account with what it may do beyond what every service account may."""
        found = []
        for account in self.accounts:
            namespace, name = account["metadata"]["namespace"], account["metadata"]["name"]
            bindings = rbac.bindings_of(Subject.service_account(namespace, name), COMMON_GROUPS)
            found.append(
                {
                    "namespace": namespace,
                    "name": name,
                    # as the API server does where nothing is said
                    "automount": account.get("automountServiceAccountToken") is not False,
                    "token_mounted_by": sorted(self._tokens.get((namespace, name), ())),
                    "built_in": namespace == "kube-system"
                    and bool(bindings)
                    and all(binding.built_in for binding in bindings),
                    "bindings": sorted(map(str, bindings)),
                    "permissions": permissions(bindings),
                }
            )
        return sorted(found, key=lambda item: (item["namespace"], item["name"]))


def _workload(pod: dict[str, Any]) -> str:
    """Return what a pod belongs to, such as ``Deployment coredns``, by its own data."""
    metadata = pod["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    if not owners:
        return f"Pod {metadata['name']}"
    kind, name = owners[0]["kind"], owners[0]["name"]
    template = (metadata.get("labels") or {}).get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"Deployment {name.removesuffix(f'-{template}')}"
    return f"{kind} {name}"
