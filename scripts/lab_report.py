# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's cluster has: versions, addresses, how to go on. How it is says playbooks/status.yml.

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
    summary()
