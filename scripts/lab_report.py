# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's cluster has and how it is: ``lab_report.py summary`` or ``lab_report.py status``.

Runs in the environment of ``scripts/lab-shell``: KUBECONFIG and ONPREM_BUNDLE set, the bundle's kubectl
on PATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

COMPONENTS = ("kubelet", "etcd", "containerd", "cilium", "coredns", "source-controller", "vault", "mariadb", "registry")


def kubectl(*arguments: str) -> str:
    """Return what kubectl printed; ends the program with its message when it failed."""
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def objects(kind: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the objects of one kind."""
    return list(json.loads(kubectl("get", kind, "--output=json", *arguments))["items"])


def application_addresses() -> list[str]:
    """Return the address of each application that a port of the nodes shows, as URL."""
    node = next(
        address["address"] for address in objects("nodes")[-1]["status"]["addresses"] if address["type"] == "InternalIP"
    )
    services = objects("services", "--all-namespaces", "--selector=app.kubernetes.io/component=nginx")
    ports = [port["nodePort"] for service in services for port in service["spec"]["ports"] if "nodePort" in port]
    return [f"http://{node}:{port}" for port in ports]


def health(address: str) -> str:
    """Return the answer of the application's health check, or why there is none."""
    try:
        answer = requests.get(f"{address}/healthz", timeout=10)
    except requests.RequestException as error:
        return f"no answer: {error}"
    return f"{answer.status_code} {answer.text.strip()}"


def seal(pod: str) -> str:
    """Return the state of one Vault server; ``vault status`` exits with 2 when it is sealed."""
    command = ["kubectl", "--namespace=vault", "exec", pod, "--container=vault", "--", "vault", "status"]
    command += ["-address=https://127.0.0.1:8200", "-ca-cert=/vault/tls/ca.crt", "-format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 2):
        return f"no answer: {done.stderr.strip()}"
    state = json.loads(done.stdout)
    if state["sealed"]:
        return f"SEALED, {state['version']}; to unseal: ansible-playbook playbooks/vault_unseal.yml"
    return f"unsealed, {'active' if state.get('is_self') else 'standby'}, {state['version']}"


def status() -> None:
    """Print nodes, what Flux applies, Vault's seal, the application's health and pods in trouble."""
    print("== nodes", kubectl("get", "nodes", "--output=wide"), sep="\n")
    kinds = "ocirepositories,kustomizations,helmreleases"
    print("== Flux", kubectl("get", kinds, "--all-namespaces"), sep="\n")
    print("== Vault")
    for pod in objects("pods", "--namespace=vault", "--selector=app.kubernetes.io/name=vault"):
        print(f"{pod['metadata']['name']}: {seal(pod['metadata']['name'])}")
    print("\n== application")
    for address in application_addresses():
        print(f"{address}/healthz: {health(address)}")
    print("\n== pods that do not run")
    selector = "--field-selector=status.phase!=Running,status.phase!=Succeeded"
    print(kubectl("get", "pods", "--all-namespaces", selector) or "none")


def summary() -> None:
    """Print versions, the application's address and how to go on."""
    entries = json.loads((Path(os.environ["ONPREM_BUNDLE"]) / "index.json").read_text())["entries"]
    # Files come last: an image's version may have a suffix of its own, such as etcd's.
    versions = {
        entry["name"]: entry["version"] for kind in ("image", "file") for entry in entries if entry["kind"] == kind
    }
    width = max(map(len, COMPONENTS))
    print("\nVERSIONS")
    for name in COMPONENTS:
        print(f"{name:{width}}  {versions[name]}")
    for release in objects("helmreleases", "--all-namespaces"):
        history = release["status"].get("history") or [{}]
        print(f"{release['metadata']['name']:{width}}  {history[0].get('appVersion', 'not released')}")
    print()
    for address in application_addresses():
        print(f"The application:  {address}")
    print("kubectl, Vault:   make shell   (sets KUBECONFIG and VAULT_ADDR, says how to log in)")
    print("How it is:        make status")
    print("Remove the lab:   make clean   (keeps the bundle)")


if __name__ == "__main__":
    {"status": status, "summary": summary}[sys.argv[1]]()
