# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""What a host holds of a kubeadm cluster, and what the cluster knows of its nodes. Reads only."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import ssl
import subprocess
from typing import Any

from . import _certificate
from ._kubeadm_api import Etcd, KubeadmError, KubernetesApi, read_kubeconfig

# Tokens of a run that was killed are known by this description and deleted by the next one.
TOKEN_DESCRIPTION = "onprem.platform join"
# kubeadm ties the life of the Secret kubeadm-certs to a token of this description.
CERTIFICATES_DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
TOKEN_SECRETS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
# The API server reads some files at its start only; their checksum is an annotation of its pod.
CONFIGURATION_ANNOTATION = "onprem.platform/configuration"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"


def fingerprint(pem: str) -> str:
    """SHA-256 of the DER form of a PEM certificate, hexadecimal; empty for an empty text."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() if pem.strip() else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _file_sha256(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""


def kubelet_active() -> bool:
    """Whether the kubelet's unit runs."""
    try:
        # Called by functions that know no module; run_command has no time limit.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            ["systemctl", "is-active", "--quiet", "kubelet"], check=False, timeout=30
        )
    except OSError:
        return False
    return done.returncode == 0


def files(kubernetes_directory: str, kubelet_directory: str, etcd_directory: str) -> dict[str, Any]:
    """Which of kubeadm's files are on this host."""
    directory = kubernetes_directory
    return {
        "kubelet_conf": os.path.exists(f"{directory}/kubelet.conf"),
        "bootstrap_kubelet_conf": os.path.exists(f"{directory}/bootstrap-kubelet.conf"),
        "kubelet_configuration": os.path.exists(f"{kubelet_directory}/config.yaml"),
        "admin_conf": os.path.exists(f"{directory}/admin.conf"),
        "super_admin_conf": os.path.exists(f"{directory}/super-admin.conf"),
        "manifests": [name for name in STATIC_PODS if os.path.exists(f"{directory}/manifests/{name}.yaml")],
        "etcd_data": os.path.isdir(f"{etcd_directory}/member"),
    }


def static_pods(kubernetes_directory: str) -> dict[str, dict[str, Any]]:
    """Arguments and our annotation of each static pod, read from the manifests that kubeadm wrote.

    Their form is fixed (one argument per line), so that nodes need no YAML library for it.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in STATIC_PODS:
        text = _text(f"{kubernetes_directory}/manifests/{name}.yaml")
        if not text:
            continue
        annotation = re.search(rf"^ +{re.escape(CONFIGURATION_ANNOTATION)}: *\"?([0-9a-f]+)\"?$", text, re.M)
        arguments = dict(re.findall(r"^ +- --([a-z0-9-]+)=(.*)$", text, re.M))
        found[name] = {"arguments": arguments, "configuration": annotation.group(1) if annotation else ""}
    return found


def host_facts(kubernetes_directory: str, kubelet_directory: str, etcd_directory: str) -> dict[str, Any]:
    """What is on this host; see RETURN of kubeadm_info for the shape."""
    directory = kubernetes_directory
    kubelet = read_kubeconfig(f"{directory}/kubelet.conf")
    ca = _text(f"{directory}/pki/ca.crt") or (kubelet.authority if kubelet else "")
    client: dict[str, Any] = {}
    if kubelet and kubelet.certificate:
        try:
            details = _certificate.parse(kubelet.certificate).public()
            client = {key: details[key] for key in ("common_name", "not_after")}
        except _certificate.CertificateError as error:
            client = {"common_name": "", "not_after": "", "error": str(error)}
    return {
        "files": files(kubernetes_directory, kubelet_directory, etcd_directory),
        "static_pods": static_pods(directory),
        "kubelet_configuration": _text(f"{kubelet_directory}/config.yaml"),
        "ca_certificate": ca,
        "ca_fingerprint": fingerprint(ca),
        "ca_private_key": os.path.exists(f"{directory}/pki/ca.key"),
        "client_certificate": client,
        "kubelet_active": kubelet_active(),
        "encryption_sha256": _file_sha256(f"{directory}/platform/encryption.yaml"),
    }


def cluster_view(api: KubernetesApi, etcd: Etcd) -> dict[str, Any]:
    """What the cluster knows; see RETURN of kubeadm_info for the shape. Raises KubeadmError."""
    configuration = _config_map(api, "kubeadm-config", "ClusterConfiguration")
    return {
        "endpoint": f"{api.endpoint.host}:{api.endpoint.port}",
        "nodes": [_node(item) for item in api.request("GET", "/api/v1/nodes").get("items", [])],
        "etcd_members": etcd.members(),
        "cluster_configuration": configuration,
        "kubelet_configuration": _config_map(api, "kubelet-config", "kubelet"),
        "kube_proxy_configuration": _config_map(api, "kube-proxy", "config.conf"),
        "dns": bool(api.request("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns", missing_ok=True)),
        "bootstrap_tokens": bootstrap_tokens(api),
        "certificates_secret": bool(api.request("GET", f"{KUBE_SYSTEM}/secrets/kubeadm-certs", missing_ok=True)),
    }


def _config_map(api: KubernetesApi, name: str, key: str) -> str:
    found = api.request("GET", f"{KUBE_SYSTEM}/configmaps/{name}", missing_ok=True)
    return str((found.get("data") or {}).get(key, ""))


def _node(item: dict[str, Any]) -> dict[str, Any]:
    status, spec, metadata = item["status"], item["spec"], item["metadata"]
    conditions = {entry["type"]: entry for entry in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    addresses = [entry["address"] for entry in status.get("addresses", []) if entry["type"] == "InternalIP"]
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "ready": ready.get("status") == "True",
        "reason": "" if ready.get("status") == "True" else str(ready.get("message") or "no status yet"),
        "control_plane": CONTROL_PLANE_LABEL in (metadata.get("labels") or {}),
        "kubelet_version": (status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        "internal_ip": addresses[0] if addresses else "",
        "unschedulable": bool(spec.get("unschedulable", False)),
    }


def bootstrap_tokens(api: KubernetesApi) -> list[str]:
    """Names of the Secrets of bootstrap tokens that this collection made, or kubeadm for it."""
    found = []
    for secret in api.request("GET", TOKEN_SECRETS).get("items") or []:
        description = base64.b64decode((secret.get("data") or {}).get("description", "")).decode(errors="replace")
        if description in (TOKEN_DESCRIPTION, CERTIFICATES_DESCRIPTION):
            found.append(str(secret["metadata"]["name"]))
    return found


def view_or_reason(
    kubernetes_directory: str, address: str, port: int, timeout: float
) -> tuple[dict[str, Any] | None, str, bool]:
    """(cluster view or None, why there is none, whether this host's own API server answered)."""
    try:
        api = KubernetesApi.local(kubernetes_directory, address, port, timeout)
        view = cluster_view(api, Etcd.local(f"{kubernetes_directory}/pki", timeout))
    except KubeadmError as error:
        return None, str(error), False
    return view, "", api.endpoint.host == address
