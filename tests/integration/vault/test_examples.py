# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules' documentation are run as they are, but for addresses; twice, by ansible-playbook."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import requests

from ansible_collections.onprem.platform.tests.integration.vault.services import RaftNode, wait

PACKAGE = "ansible_collections.onprem.platform.plugins.modules"
ADMIN = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
ROOT = Path(__file__).parents[3]
ONE_SERVER = [
    "vault_policy",
    "vault_mount",
    "vault_auth_method",
    "vault_kubernetes_auth_config",
    "vault_kubernetes_role",
    "vault_audit",
    "vault_kv2_secret",
    "vault_approle_role",
    "vault_kv2_config",
    "vault_mount_info",
    "vault_auth_method_info",
    "vault_policy_info",
    "vault_kubernetes_role_info",
    "vault_approle_role_info",
    "vault_database_connection",
    "vault_database_role",
    "vault_database_static_role",
    "vault_database_rotate_root",
    "vault_database_info",
    "vault_lease",
    "vault_lease_info",
    "vault_token_cleanup",
    "vault_configuration",
]
BEGINNING, LOGIN, STORAGE, END = (
    ["vault_init", "vault_unseal", "vault_seal_info"],
    ["vault_login"],
    ["vault_raft_info", "vault_raft_peer", "vault_raft_snapshot"],
    ["vault_root_token"],
)


def playbook(modules: list[str], replaced: dict[str, str], directory: Path, variables: dict[str, Any]) -> Path:
    """Write a playbook of all examples of the modules and return its path."""
    text = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n"
    for module in modules:
        text += textwrap.indent(importlib.import_module(f"{PACKAGE}.{module}").EXAMPLES.strip() + "\n", "    ")
    for old, new in replaced.items():
        text = text.replace(old, new)
    (directory / "variables.json").write_text(json.dumps(variables))
    path = directory / f"{modules[0]}.yml"
    path.write_text(text)
    return path


def play(path: Path, **environment: str) -> dict[str, int]:
    """Run a playbook and return the counts of its recap for localhost."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", "localhost,", str(path), "-e", f"@{path.parent}/variables.json"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    recap = done.stdout.rpartition("PLAY RECAP")[2]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


def healthy(node: RaftNode, token: str) -> set[str]:
    """Return the names of the servers that the leader finds healthy; none while there is no leader."""
    try:
        answer = node.request("GET", "sys/storage/raft/autopilot/state", token=token).json()
    except requests.RequestException:  # it leads to a leader that is dead
        return set()
    return {name for name, server in (answer.get("data") or {}).get("servers", {}).items() if server["healthy"]}


def test_no_module_is_left_out():
    modules = [path.stem for path in (ROOT / "plugins" / "modules").glob("vault_*.py")]
    assert sorted(modules) == sorted([*ONE_SERVER, *BEGINNING, *LOGIN, *STORAGE, *END])


def test_examples_against_one_server(dev, mariadb, postgresql, kubernetes, tmp_path):
    for path in ("kubernetes", "kubernetes-elsewhere", "approle"):
        dev.request("POST", f"sys/auth/{path}", {"type": path.partition("-")[0]})
    replaced = {
        "https://vault.example.org:8200": dev.url,
        # this server runs in no pod, whose authority it would use
        "kubernetes.default.svc:443\n": "kubernetes.default.svc:443\n        disable_local_ca_jwt: true\n",
        "tcp(mariadb.shop.svc:3306)": f"tcp(127.0.0.1:{mariadb.port})",
        "/vault/audit/audit.log": str(tmp_path / "audit.log"),
        "tcp(mariadb.library.svc:3306)": f"tcp(127.0.0.1:{mariadb.port})",
        "postgresql.library.svc:5432/library?sslmode=verify-full": f"127.0.0.1:{postgresql.port}/postgres",
    }
    variables = {
        "vault_token": dev.token,
        "sms_token": "canary-sms",
        "cluster_authority": "",
        "reviewer_token": "canary-jwt",
        "first_password": mariadb.first_password,
    }
    path = playbook(ONE_SERVER, replaced, tmp_path, variables)
    before, after = path.read_text().split("name: library-postgresql", 1)
    after = after.replace("{{ first_password }}", postgresql.first_password, 1)
    path.write_text(f"{before}name: library-postgresql{after}")
    for user in ("librarian", "reports"):
        mariadb.add_user(user)
    kubeconfig = kubernetes.kubeconfig(tmp_path)  # of a cluster without the service account: the token is needed
    first = play(path, KUBECONFIG=kubeconfig)
    # what is retired never existed: a policy, a role and a secret are reported with their siblings or unchanged
    assert first["changed"] >= 15, first
    dev.audit.start()
    second = play(path, KUBECONFIG=kubeconfig)
    assert second["changed"] == 0 and second["ok"] == first["ok"], second
    assert dev.audit.writes() == []


def test_examples_against_a_cluster(raft, authority, kubernetes, dev, tmp_path):
    account = {"bound_service_account_names": "ansible", "bound_service_account_namespaces": "vault"}
    kubernetes.issue("vault", "ansible")
    for number, node in enumerate(raft):
        kubernetes.pods[f"vault-{number}"] = ("127.0.0.1", node.port)
    replaced = {f"https://vault-{number}.vault-internal:8200": node.url for number, node in enumerate(raft)}
    replaced |= {"/etc/ssl/platform-ca.pem": str(authority.path), "~/vault": str(tmp_path / "keys")}
    first_part = playbook(BEGINNING, replaced, tmp_path, {})
    text = first_part.read_text()
    # the second example of vault_init and of vault_unseal meet a server that is initialised and unsealed
    text = text.replace("https://vault.example.org:8200", dev.url)
    for name in ("alice", "bob", "carol"):
        (tmp_path / f"{name}.asc").write_text("not read, because the server is initialised")
    first_part.write_text(text)
    variables = {"typed_keys": ["a", "b", "c"]}
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    assert play(first_part)["changed"] == 2
    assert play(first_part)["changed"] == 0

    keys = json.loads((tmp_path / "keys" / "keys.json").read_text())
    token = keys["root_token"]
    wait(lambda: len(healthy(raft[0], token)) == 3, "three healthy servers")
    for method, path, body in (
        ("POST", "sys/auth/kubernetes", {"type": "kubernetes"}),
        ("POST", "auth/kubernetes/config", {"kubernetes_host": kubernetes.url, "disable_local_ca_jwt": True}),
        ("PUT", "sys/policies/acl/admin", {"policy": ADMIN}),
        ("POST", "auth/kubernetes/role/ansible", {**account, "token_policies": "admin", "token_ttl": "10m"}),
        ("POST", "sys/auth/approle", {"type": "approle"}),
        ("POST", "auth/approle/role/admin", {"token_policies": "admin", "token_ttl": "10m"}),
    ):
        answer = raft[0].request(method, path, body, token)
        assert answer.ok, answer.text
    role_id = raft[0].request("GET", "auth/approle/role/admin/role-id", token=token).json()["data"]["role_id"]
    secret_id = raft[0].request("POST", "auth/approle/role/admin/secret-id", token=token).json()["data"]["secret_id"]
    named = {"/etc/ssl/platform-ca.pem": str(authority.path)}
    sessions = playbook(LOGIN, named, tmp_path, {})
    kubeconfig = kubernetes.kubeconfig(tmp_path)
    assert play(sessions, KUBECONFIG=kubeconfig)["changed"] == 1
    assert play(sessions, KUBECONFIG=kubeconfig)["changed"] == 0

    replaced["https://vault.example.org:8200"] = f"{raft[0].url}\n        ca_cert: {authority.path}"
    cluster = raft[0].request("GET", "sys/seal-status").json()["cluster_name"]
    raft[2].kill()
    wait(lambda: healthy(raft[0], token) == {"vault-0", "vault-1"}, "two servers go on without the third")
    storage = playbook(STORAGE, replaced, tmp_path, {"vault_token": token, "cluster_name": cluster})
    assert play(storage)["changed"] == 3, "one server removed, a snapshot saved and restored"
    assert play(storage)["changed"] == 1, "restored again"

    last = playbook(END, replaced, tmp_path, {"role_id": role_id, "secret_id": secret_id})
    assert play(last)["changed"] == 1
    assert play(last)["changed"] == 0
    assert not raft[0].request("GET", "auth/token/lookup-self", token=token).ok
