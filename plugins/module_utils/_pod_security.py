# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The controls of the Pod Security Standard ``restricted``, each as a pod that breaks it and a twin that does not.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/; the words of refusals are those of
k8s.io/pod-security-admission/policy. A pod breaks one control where the API's validation allows that, and is otherwise
as strict as can be, so that a refusal can be told from one for another reason. (private)
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

Pod = dict[str, Any]


@dataclass(frozen=True)
class Control:
    """One control.

    :ivar name: its name in the standard, in the API's spelling.
    :ivar words: what a refusal says when this control is the reason.
    :ivar bad: changes of the pod's spec and of its container (key ``container``) that break the control.
    :ivar good: changes that are as near as can be and keep it.
    """

    name: str
    words: str
    bad: dict[str, Any]
    good: dict[str, Any] = field(default_factory=dict)


def _security(**fields: Any) -> dict[str, Any]:
    return {"container": {"securityContext": fields}}


def _probe(host: str | None) -> dict[str, Any]:
    request = {"path": "/healthz", "port": 8080, **({"host": host} if host else {})}
    return {"container": {"readinessProbe": {"httpGet": request}}}


def _volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "probe", **source}]}


def _port(**host: int) -> dict[str, Any]:
    return {"container": {"ports": [{"containerPort": 8080, **host}]}}


CONTROLS = (
    Control(
        "hostProcess",
        "hostProcess",
        {"hostNetwork": True, **_security(windowsOptions={"hostProcess": True})},
        _security(windowsOptions={"hostProcess": False}),
    ),
    Control("hostNetwork", "host namespaces", {"hostNetwork": True}, {"hostNetwork": False}),
    Control("hostPID", "host namespaces", {"hostPID": True}, {"hostPID": False}),
    Control("hostIPC", "host namespaces", {"hostIPC": True}, {"hostIPC": False}),
    # Validation allows it only together with privilege escalation, which is refused as well.
    Control(
        "privileged",
        "privileged",
        _security(privileged=True, allowPrivilegeEscalation=True),
        _security(privileged=False),
    ),
    Control(
        "capabilities.add",
        "unrestricted capabilities",
        _security(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}),
        _security(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    ),
    Control(
        "capabilities.drop",
        "unrestricted capabilities",
        _security(capabilities={"drop": ["NET_RAW"]}),
        _security(capabilities={"drop": ["ALL", "NET_RAW"]}),
    ),
    Control("hostPath", "restricted volume types", _volume(hostPath={"path": "/"}), _volume(emptyDir={})),
    Control(
        "volumes",
        "restricted volume types",
        _volume(nfs={"server": "192.0.2.1", "path": "/"}),
        _volume(configMap={"name": "probe", "optional": True}),
    ),
    Control("hostPort", "hostPort", _port(hostPort=8080), _port()),
    Control("probeHost", "probe or lifecycle host", _probe("192.0.2.1"), _probe(None)),
    Control(
        "appArmorProfile",
        "forbidden AppArmor profile",
        _security(appArmorProfile={"type": "Unconfined"}),
        _security(appArmorProfile={"type": "RuntimeDefault"}),
    ),
    Control(
        "seLinuxOptions.type",
        "seLinuxOptions",
        _security(seLinuxOptions={"type": "spc_t"}),
        _security(seLinuxOptions={"type": "container_t"}),
    ),
    Control(
        "seLinuxOptions.user",
        "seLinuxOptions",
        _security(seLinuxOptions={"user": "system_u"}),
        _security(seLinuxOptions={"level": "s0:c1,c2"}),
    ),
    # Validation allows it only with a user namespace.
    Control(
        "procMount",
        "procMount",
        {"hostUsers": False, **_security(procMount="Unmasked")},
        {"hostUsers": False, **_security(procMount="Default")},
    ),
    Control(
        "seccompProfile",
        "seccompProfile",
        _security(seccompProfile={"type": "Unconfined"}),
        _security(seccompProfile={"type": "Localhost", "localhostProfile": "probe.json"}),
    ),
    Control("seccompProfile.unset", "seccompProfile", {"securityContext": {"seccompProfile": None}}),
    Control(
        "sysctls",
        "forbidden sysctls",
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}},
        {"securityContext": {"sysctls": [{"name": "net.ipv4.ping_group_range", "value": "0 0"}]}},
    ),
    Control(
        "allowPrivilegeEscalation",
        "allowPrivilegeEscalation != false",
        _security(allowPrivilegeEscalation=True),
        _security(allowPrivilegeEscalation=False),
    ),
    Control(
        "allowPrivilegeEscalation.unset",
        "allowPrivilegeEscalation != false",
        _security(allowPrivilegeEscalation=None),
    ),
    Control(
        "runAsNonRoot",
        "runAsNonRoot != true",
        {"securityContext": {"runAsNonRoot": False}},
        _security(runAsNonRoot=True),
    ),
    Control("runAsUser", "runAsUser=0", _security(runAsUser=0), _security(runAsUser=10001)),
)


def strict_pod(name: str, image: str) -> Pod:
    """Return a pod that every control of ``restricted`` lets pass."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "admission-probe"}},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def twin(control: Control, bad: bool, image: str) -> Pod:
    """Return the pod that breaks a control, or its twin that keeps it."""
    name = f"probe-{'bad' if bad else 'good'}-{control.name.lower().replace('.', '-')}"
    pod = strict_pod(name, image)
    changes = copy.deepcopy(control.bad if bad else control.good)
    container = changes.pop("container", {})
    pod["spec"] = _merged(pod["spec"], changes)
    pod["spec"]["containers"][0] = _merged(pod["spec"]["containers"][0], container)
    return pod


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Merge mappings; None removes a field, lists are replaced."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result
