# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collecting the secrets of a run where they legitimately are, and searching for them where they must not be."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ansible_collections.onprem.platform.plugins.module_utils._kube_client import KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import load_connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import KubeError
from ansible_collections.onprem.platform.plugins.plugin_utils._secret_scan import SHORTEST
from ansible_collections.onprem.platform.tests.faults.platform_lab import HERE, NODES, PlatformLab

_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n.*?\n-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
# Parts of Secrets that everybody may read.
_PUBLIC = re.compile(
    r"(\.crt|\.pub|^namespace|^token-id|^description|^expiration|^usage-.*|^auth-extra-groups|^username)$"
)
# The Prometheus operator wants these as Secrets. What is secret in them are names of files that Vault Agent writes.
_CONFIGURATION = (
    "observability/alertmanager-configuration/alertmanager.yaml",
    "observability/prometheus-scrape-configs/scrape-configs.yaml",
)


def private_key_lines(text: str, name: str) -> dict[str, str]:
    """Return each line of a private key's body that holds something private: output may break or indent it differently.

    The rest of a body is the public key, which every certificate shows.
    """
    found = {}
    for pem in _PEM.findall(text):
        lines = pem.splitlines()[1:-1]
        begin, end = _private_part(pem, base64.b64decode("".join(lines)))
        position = 0
        for number, line in enumerate(lines):
            if position < end and begin < position + len(line) and len(line) >= SHORTEST:
                found[f"{name} (line {number + 1})"] = line
            position += len(line)
    return found


def _private_part(pem: str, body: bytes) -> tuple[int, int]:
    """Return where the private part of a key begins and ends, in characters of its Base64 form."""
    load = serialization.load_ssh_private_key if "OPENSSH" in pem else serialization.load_pem_private_key
    key = load(pem.encode(), None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        private = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        begin, end = body.index(private), body.index(private) + len(private)
    elif isinstance(key, rsa.RSAPrivateKey):
        exponent = key.private_numbers().d
        # All numbers after it are private too.
        begin, end = body.index(exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")), len(body)
    else:
        assert isinstance(key, ed25519.Ed25519PrivateKey), type(key)
        begin, end = body.index(key.private_bytes_raw()), len(body)
    return begin * 4 // 3, (end * 4 + 2) // 3


def artifact(address: str, authority: Path, server_name: str, repository: str, tag: str) -> str:
    """Pull an OCI artifact by HTTPS and return all that is in it, archives unpacked, as one text."""
    context = ssl.create_default_context(cafile=str(authority))
    # The platform's authority has no key usage extensions that this flag asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    host, _colon, port = address.rpartition(":")

    def get(path: str) -> bytes:
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
        connection.connect = lambda: _connect(connection, context, host, int(port), server_name)  # type: ignore[method-assign]
        accept = "application/vnd.oci.image.manifest.v1+json"
        connection.request("GET", path, headers={"Host": server_name, "Accept": accept})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (path, answer.status, content[:300])
        connection.close()
        return content

    manifest = get(f"/v2/{repository}/manifests/{tag}")
    texts = [manifest.decode()]
    for part in [json.loads(manifest)["config"], *json.loads(manifest)["layers"]]:
        content = get(f"/v2/{repository}/blobs/{part['digest']}")
        if "tar" not in part["mediaType"]:
            texts.append(content.decode(errors="replace"))
            continue
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    texts.append(f"{member.name}\n{file.read().decode(errors='replace')}")
    return "\n".join(texts)


def _connect(
    connection: http.client.HTTPSConnection, context: ssl.SSLContext, host: str, port: int, server_name: str
) -> None:
    """Connect to an address and verify another name."""
    http.client.HTTPConnection.connect(connection)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=server_name)


class Samplers:
    """Command lines of the controller's and all machines' processes, and what kubeadm is told through memory."""

    def __init__(self, lab: PlatformLab) -> None:
        program = (HERE / "sampler.py").read_text()
        commands = {"controller": [sys.executable, "-", "0.05"]}
        commands |= {node: lab.command(node, "python3 - 0.3") for node in NODES}
        self._files = {name: lab.logs / f"processes-{name}.jsonl" for name in commands}
        self._processes = []
        for name, command in commands.items():
            with self._files[name].open("wb") as output:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output)
            assert process.stdin
            process.stdin.write(program.encode())
            process.stdin.close()
            self._processes.append(process)

    def stop(self) -> None:
        """End the samplers. Those on machines end at their next output."""
        for process in self._processes:
            process.kill()
            process.wait()

    def lines(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each sampler has seen."""
        found = {}
        for name, file in self._files.items():
            text = file.read_text(errors="replace")
            found[name] = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return found

    def arguments(self) -> dict[str, str]:
        """Return all command lines of each host as one text."""
        return {
            name: "\n".join(one["arguments"] for one in lines if "arguments" in one)
            for name, lines in self.lines().items()
        }

    def handed_over(self) -> dict[str, str]:
        """Return join tokens and certificate keys that kubeadm got through memory."""
        found = {}
        for node, lines in self.lines().items():
            for one in lines:
                for key, secret in one.get("kubeadm", {}).items():
                    found[f"{key} on {node}: {secret[:3]}..."] = secret
        return found


class SecretWatch(threading.Thread):
    """Keeps every Secret that the cluster ever had during a run, and every version of the file with Vault's keys."""

    def __init__(self, lab: PlatformLab) -> None:
        super().__init__(daemon=True)
        self._lab = lab
        self._end = threading.Event()
        self.found: dict[str, str] = {}

    def stop(self) -> None:
        """End the watch."""
        self._end.set()
        self.join(60)

    def run(self) -> None:
        """Look for files, and follow the Secrets as soon as there is access."""
        files = threading.Thread(target=self._follow_files, daemon=True)
        files.start()
        while not self._end.is_set():
            try:
                client = KubeClient(load_connection({"kubeconfig": str(self._lab.kubeconfig), "retry_timeout": 1}))
                answer = client.get("/api/v1/secrets")
                for item in answer["items"]:
                    self._keep(item)
                version = {"resourceVersion": answer["metadata"]["resourceVersion"]}
                for event in client.watch("/api/v1/secrets", version, 30):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self._keep(event["object"])
                    if self._end.is_set():
                        break
            except (KubeError, OSError):
                time.sleep(0.5)
        files.join(10)

    def _keep(self, secret: Mapping[str, Any]) -> None:
        name = f"{secret['metadata']['namespace']}/{secret['metadata']['name']}"
        # Encrypted with the certificate key, and Helm's own record of a release, which holds no secret.
        if name == "kube-system/kubeadm-certs" or secret.get("type") == "helm.sh/release.v1":
            return
        for key, value in (secret.get("data") or {}).items():
            text = base64.b64decode(value).decode(errors="replace")
            if _PUBLIC.search(key) or f"{name}/{key}" in _CONFIGURATION or len(text) < SHORTEST:
                continue
            if "PRIVATE KEY" in text:
                self.found |= private_key_lines(text, f"Secret {name}/{key}")
            else:
                self.found[f"Secret {name}/{key}"] = text

    def _follow_files(self) -> None:
        seen = 0.0
        while not self._end.is_set():
            try:
                changed = self._lab.key_file.stat().st_mtime
                if changed != seen:
                    keys = json.loads(self._lab.key_file.read_text())
                    seen = changed
                    for number, key in enumerate(keys["keys_base64"]):
                        self.found[f"Vault unseal key {number}"] = key
                        self.found[f"Vault unseal key {number} as hexadecimal"] = base64.b64decode(key).hex()
                    if keys.get("root_token"):
                        self.found["Vault root token"] = keys["root_token"]
            except (OSError, ValueError):
                pass
            time.sleep(0.05)


def secrets_of_hosts(lab: PlatformLab) -> dict[str, str]:
    """Return the private keys of all machines and of the controller's state, and the key of Secrets in etcd."""
    found: dict[str, str] = {}
    listing = (
        "find /etc/kubernetes /etc/onprem-platform /var/lib/kubelet/pki -type f"
        " ( -name *.key -o -name *.pem -o -name *.conf ) -exec grep -sHE . {} +"
    )
    for node in NODES:
        texts: dict[str, list[str]] = {}
        for line in lab.ssh(node, f"set -f; {listing}".replace("(", r"\(").replace(")", r"\)")).splitlines():
            path, _colon, content = line.partition(":")
            texts.setdefault(path, []).append(content)
        for path, lines in texts.items():
            text = "\n".join(lines)
            found |= private_key_lines(text, f"{node}:{path}")
            for encoded in re.findall(r"client-key-data: (\S+)", text):
                found[f"{node}:{path} client key"] = encoded
                found |= private_key_lines(base64.b64decode(encoded).decode(), f"{node}:{path} client key")
    encryption = lab.ssh("cp1", "cat /etc/kubernetes/platform/encryption.yaml")
    for number, key in enumerate(re.findall(r"secret: [\"']?([A-Za-z0-9+/=]{40,})", encryption)):
        found[f"encryption key {number}"] = key
        found[f"encryption key {number}, decoded"] = base64.b64decode(key).decode(errors="replace")
    for path in lab.state.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 20:
            text = path.read_text(errors="replace")
            found |= private_key_lines(text, f"controller:{path.name}")
            for encoded in re.findall(r"client-key-data[\"']?: [\"']?([A-Za-z0-9+/=]+)", text):
                found |= private_key_lines(base64.b64decode(encoded).decode(), f"controller:{path.name}")
    return found


def secrets_of_application(lab: PlatformLab, namespace: str) -> dict[str, str]:
    """Return APP_KEY and the passwords that Vault issued to the application's pods, from their memory volumes."""
    found = {}
    for pod in lab.objects("pods", "-n", namespace, "--field-selector=status.phase=Running"):
        name = pod["metadata"]["name"]
        for container in {one["name"] for one in pod["spec"]["containers"]} & {"app", "worker"}:
            command = ("-c", container, "--", "php", "-r", "readfile('/vault/secrets/.env');")
            text = lab.kubectl("exec", "-n", namespace, name, *command)
            for key, secret in re.findall(r'^(\w*(?:KEY|PASSWORD)\w*)="?(.*?)"?$', text, re.MULTILINE):
                if len(secret) >= SHORTEST:
                    found[f"{key} of pod {name}"] = secret
    return found


def texts_of_repository(root: Path) -> Iterable[tuple[str, str]]:
    """Yield every tracked file of the repository, and every one that is about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        path = root / name
        if path.is_file():
            yield name, path.read_text(errors="replace")
