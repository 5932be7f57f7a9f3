# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Initialising and unsealing a real cluster of three servers with TLS, and the platform's whole order of modules."""

from __future__ import annotations

import base64
import json
import stat
import subprocess

import pytest

from ansible_collections.onprem.platform.plugins.modules import (
    vault_audit,
    vault_auth_method,
    vault_database_connection,
    vault_database_role,
    vault_database_rotate_root,
    vault_init,
    vault_kubernetes_auth_config,
    vault_kubernetes_role,
    vault_kv2_secret,
    vault_lease,
    vault_login,
    vault_mount,
    vault_policy,
    vault_raft_info,
    vault_raft_peer,
    vault_raft_snapshot,
    vault_root_token,
    vault_seal_info,
    vault_unseal,
)
from ansible_collections.onprem.platform.tests.integration.vault.services import AuditLog, vault_binary, wait

SHARES = {"secret_shares": 3, "secret_threshold": 2}


@pytest.fixture
def cluster(run_module, raft, authority, tmp_path):
    """Return ``cluster(module, check=False, **params)`` for modules that ask all servers."""

    def run(module, check=False, **params):
        common = {"peers": [node.url for node in raft], "ca_cert": str(authority.path), "retries": 2}
        if module is not vault_seal_info and "keys" not in params:
            common["key_file"] = str(tmp_path / "keys" / "vault.json")
        return run_module(module.main, {**common, **params}, check=check)

    return run


@pytest.fixture
def keys(tmp_path):
    """Return the content of the key file."""
    return lambda: json.loads((tmp_path / "keys" / "vault.json").read_text())


def test_from_nothing_to_unsealed_and_after_a_power_loss(cluster, raft, keys, tmp_path):
    planned = cluster(vault_init, check=True, **SHARES)
    assert planned["changed"] and not cluster(vault_seal_info)["initialized"]
    result = cluster(vault_init, **SHARES)
    assert result["changed"] and result["diff"] == planned["diff"], result
    stored = keys()
    assert len(stored["keys_base64"]) == 3 and stored["root_token"] not in str(result)
    assert stat.S_IMODE((tmp_path / "keys" / "vault.json").stat().st_mode) == 0o600
    assert not cluster(vault_init, **SHARES)["changed"]

    result = cluster(vault_unseal)
    assert result["changed"] and len(result["unsealed"]) == 3, result
    assert not cluster(vault_unseal)["changed"]
    info = cluster(vault_seal_info)
    assert not info["sealed"] and info["active"], info
    assert len({peer["cluster_id"] for peer in info["peers"]}) == 1

    configuration = raft[0].request("GET", "sys/storage/raft/configuration", token=stored["root_token"]).json()
    servers = configuration["data"]["config"]["servers"]
    wait(lambda: len(servers) == 3, "three servers are in the raft configuration", 1)

    for node in raft:
        node.restart()
    assert cluster(vault_init, **SHARES)["changed"] is False
    raft[1].request("PUT", "sys/unseal", {"key": base64.b64encode(b"x" * 33).decode()})
    assert raft[1].request("GET", "sys/seal-status").json()["progress"] == 1
    result = cluster(vault_unseal)
    assert len(result["unsealed"]) == 3, "the share of a stranger was reset and our first share not lost"
    assert not cluster(vault_seal_info)["sealed"]


def test_a_follower_is_not_initialised(cluster, raft, run_module, authority, tmp_path):
    """Only the last server is initialised; the others have not joined yet and say so."""
    alone = {"url": raft[2].url, "ca_cert": str(authority.path), **SHARES}
    raft[0].kill()
    raft[1].kill()
    assert run_module(vault_init.main, {**alone, "key_file": str(tmp_path / "keys" / "vault.json")})["changed"]
    del raft[0].configuration["storage"]["raft"]["retry_join"]
    raft[0].start()
    raft[1].start()
    assert raft[0].request("GET", "sys/init").json() == {"initialized": False}
    result = cluster(vault_init, **SHARES)
    assert result["changed"] is False, result
    assert raft[0].request("GET", "sys/init").json() == {"initialized": False}


def test_a_silent_server_stops_initialisation(cluster, raft):
    raft[2].kill()
    result = cluster(vault_init, retries=0, **SHARES)
    assert result["failed"] and "second cluster" in result["msg"]
    assert raft[0].request("GET", "sys/init").json() == {"initialized": False}


def test_lost_keys_stop_with_the_remedy_which_works(cluster, raft, tmp_path):
    """A run was killed between Vault's answer and the key file."""
    raft[0].request("PUT", "sys/init", SHARES)
    result = cluster(vault_init, **SHARES)
    assert result["failed"] and "delete the storage of all servers" in result["msg"]
    for node in raft:
        node.kill()
        node.wipe()
        node.start()
    assert cluster(vault_init, **SHARES)["changed"]
    assert cluster(vault_unseal)["changed"]


def test_wrong_keys_are_refused(cluster, raft):
    cluster(vault_init, **SHARES)
    wrong = [base64.b64encode(bytes([number]) * 33).decode() for number in (1, 2)]
    result = cluster(vault_unseal, keys=wrong)
    assert result["failed"] and "another cluster" in result["msg"] and wrong[0] not in str(result)
    assert cluster(vault_unseal)["changed"]


def test_pgp_keys(cluster, raft, keys, tmp_path):
    """Each holder alone can decrypt a share; together they unseal."""
    armored = []
    for name in ("alice", "bob"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
        make = [*gpg, "--passphrase", "", "--quick-generate-key", f"{name}@example.org", "rsa2048", "encrypt", "never"]
        subprocess.run(make, check=True, capture_output=True)
        armored.append(subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True, text=True).stdout)
    shares = {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": armored, "root_token_pgp_key": armored[0]}
    result = cluster(vault_init, **shares)
    assert result.get("encrypted"), result
    assert "encrypted with PGP" in cluster(vault_unseal)["msg"]

    def decrypt(name: str, message: str) -> str:
        gpg = ["gpg", "--homedir", str(tmp_path / name), "--batch", "--quiet", "--decrypt"]
        done = subprocess.run(gpg, input=base64.b64decode(message), check=True, capture_output=True)
        return done.stdout.decode()

    shares = [decrypt(name, share) for name, share in zip(("alice", "bob"), keys()["keys_base64"])]
    assert cluster(vault_unseal, keys=shares)["changed"]
    token = decrypt("alice", keys()["root_token"])
    assert raft[0].request("GET", "auth/token/lookup-self", token=token).ok


def test_auto_unseal_by_another_vault(cluster, raft, keys, dev):
    """The transit engine of a second Vault holds the key: no unseal keys, only recovery keys, and nobody is needed."""
    dev.request("POST", "sys/mounts/transit", {"type": "transit"})
    dev.request("POST", "transit/keys/platform", {})
    seal = {"address": dev.url, "token": dev.token, "key_name": "platform", "mount_path": "transit/"}
    for node in raft:
        node.kill()
        node.wipe()
        node.configuration["seal"] = {"transit": seal}
        node.start()
    assert "Set recovery_shares" in cluster(vault_init, **SHARES)["msg"], "this kind of seal has no unseal keys"
    shares = {"recovery_shares": 3, "recovery_threshold": 2}
    planned = cluster(vault_init, check=True, **shares)
    result = cluster(vault_init, **shares)
    assert result["changed"] and result["diff"] == planned["diff"], result
    assert keys()["recovery"] and len(keys()["keys_base64"]) == 3 and keys()["keys_base64"][0] not in str(result)
    assert not cluster(vault_init, **shares)["changed"]

    def all_unsealed() -> bool:
        return not any(node.request("GET", "sys/seal-status").json()["sealed"] for node in raft)

    wait(all_unsealed, "all servers joined and unsealed themselves")
    assert not cluster(vault_unseal)["changed"]
    for node in raft:
        node.restart()
    wait(all_unsealed, "all servers unsealed themselves after a power loss")
    assert not cluster(vault_unseal)["changed"]
    wait(lambda: bool(cluster(vault_seal_info)["active"]), "one of them leads")


def test_leases_live_through_a_step_down(cluster, raft, keys, run_module, authority, mariadb):
    """Tokens and database users outlive their leader, and the new one revokes them."""
    cluster(vault_init, **SHARES)
    cluster(vault_unseal)
    root = keys()["root_token"]
    active = cluster(vault_seal_info)["active"]
    leader = next(node for node in raft if node.url == active)
    others = [node for node in raft if node is not leader]
    base = {"url": others[0].url, "ca_cert": str(authority.path), "token": root}
    run_module(vault_mount.main, {**base, "path": "kv", "type": "kv-v2"})
    run_module(vault_mount.main, {**base, "type": "database"})
    mariadb.add_user("stepdown")
    connection = {
        "name": "app",
        "plugin_name": "mysql-database-plugin",
        "connection_url": mariadb.vault_url,
        "connection_username": "stepdown",
        "connection_password": mariadb.first_password,
        "allowed_roles": ["app"],
    }
    creation = ["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"]
    role = {"name": "app", "connection_name": "app", "creation_statements": creation, "default_ttl": "1h"}
    assert run_module(vault_database_connection.main, {**base, **connection})["changed"]
    assert run_module(vault_database_role.main, {**base, **role})["changed"]
    lease = leader.request("GET", "database/creds/app", token=root).json()
    user = lease["data"]["username"], lease["data"]["password"]
    assert mariadb.login(*user)
    token = leader.request("POST", "auth/token/create", {"ttl": "1h", "policies": ["default"]}, root).json()["auth"]
    leader.request("PUT", "sys/step-down", {}, root)
    result = run_module(vault_kv2_secret.main, {**base, "path": "a", "data": {"a": "1"}})
    assert result.get("changed"), "the module waits for the new leader"
    assert not run_module(vault_kv2_secret.main, {**base, "path": "a", "data": {"a": "1"}})["changed"]
    assert others[1].request("GET", "auth/token/lookup-self", token=token["client_token"]).ok
    assert not run_module(vault_database_connection.main, {**base, **connection})["changed"]
    assert not run_module(vault_database_role.main, {**base, **role})["changed"]
    renewed = others[1].request("PUT", "sys/leases/renew", {"lease_id": lease["lease_id"]}, root)
    assert renewed.json()["lease_duration"] == 3600 and mariadb.login(*user)
    assert run_module(vault_lease.main, {**base, "lease_ids": [lease["lease_id"]]})["changed"]
    assert not mariadb.login(*user), "the new leader drops the user of the old one"


@pytest.fixture
def unsealed(cluster, raft, keys, run_module, authority):
    """An unsealed cluster: ``(active server, call(module, check=False, **params) as root at a standby)``."""
    cluster(vault_init, **SHARES)
    cluster(vault_unseal)
    leader = next(node for node in raft if node.url == cluster(vault_seal_info)["active"])
    standby = next(node for node in raft if node is not leader)
    base = {"url": standby.url, "ca_cert": str(authority.path)}

    def call(module, check=False, **params):
        return run_module(module.main, {**base, "token": keys()["root_token"], **params}, check=check)

    call(vault_mount, path="kv", type="kv-v2")
    call(vault_kv2_secret, path="a", data={"a": "of the snapshot"})
    return leader, call


def test_snapshots(unsealed, raft, keys, tmp_path, cluster):
    """A snapshot by way of a standby, back to it, and all of it in a new cluster with other keys."""
    leader, call = unsealed
    root = keys()["root_token"]
    audit = AuditLog(tmp_path / "audit.log")
    call(vault_audit, path="file", options={"file_path": str(audit.path)})
    path = tmp_path / "snapshots" / "vault.snap"
    save = {"path": str(path), "max_age": "1h"}
    assert call(vault_raft_snapshot)["failed"]
    assert call(vault_raft_snapshot, check=True, **save)["changed"] and not path.exists()
    saved = call(vault_raft_snapshot, **save)
    assert saved["changed"] and stat.S_IMODE(path.stat().st_mode) == 0o600, saved
    assert saved["snapshot"]["size"] == path.stat().st_size and saved["snapshot"]["index"] > 10
    audit.start()
    assert not call(vault_raft_snapshot, **save)["changed"] and audit.writes() == []
    inspected = subprocess.run(
        [vault_binary(), "operator", "raft", "snapshot", "inspect", "-format=json", str(path)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path)},
        check=False,
    )
    assert inspected.returncode == 0 and str(saved["snapshot"]["index"]) in inspected.stdout, inspected
    limited = leader.request("POST", "auth/token/create", {"policies": ["default"]}, root).json()["auth"]
    refused = call(vault_raft_snapshot, path=str(tmp_path / "refused"), token=limited["client_token"])
    assert refused["failure"]["kind"] == "permission_denied" and not (tmp_path / "refused").exists()

    call(vault_kv2_secret, path="a", data={"a": "later"})
    back = {"path": str(path), "state": "restored"}
    assert "this is the cluster" in call(vault_raft_snapshot, **back, confirm_cluster="another")["msg"]
    name = leader.request("GET", "sys/seal-status").json()["cluster_name"]
    assert call(vault_raft_snapshot, check=True, **back, confirm_cluster=name)["changed"]
    assert leader.request("GET", "kv/data/a", token=root).json()["data"]["data"] == {"a": "later"}
    restored = call(vault_raft_snapshot, **back, confirm_cluster=name)
    assert restored["changed"] and not restored["sealed"], restored
    assert not call(vault_kv2_secret, path="a", data={"a": "of the snapshot"})["changed"]

    old = keys()
    for node in raft:
        node.kill()
        node.wipe()
    alone = raft[0]
    del alone.configuration["storage"]["raft"]["retry_join"]
    alone.start()
    # as many shares as the old cluster: a server remembers their number until it restarts
    shares = alone.request("PUT", "sys/init", SHARES).json()
    states = [alone.request("PUT", "sys/unseal", {"key": share}).json()["sealed"] for share in shares["keys"][:2]]
    assert states == [True, False]
    new = {"url": alone.url, "token": shares["root_token"]}
    wait(lambda: alone.request("GET", "sys/leader").json().get("is_self"), "the new cluster has a leader")
    name = alone.request("GET", "sys/seal-status").json()["cluster_name"]
    other_keys = call(vault_raft_snapshot, **back, **new, confirm_cluster=name)
    assert other_keys["failed"] and alone.request("GET", "kv/data/a", token=shares["root_token"]).status_code == 404
    forced = call(vault_raft_snapshot, **back, **new, confirm_cluster=name, force=True)
    assert forced["changed"] and forced["sealed"], forced
    opened = call(vault_unseal, url=alone.url, keys=old["keys_base64"][:2])
    assert opened["changed"], opened
    assert not call(vault_kv2_secret, url=alone.url, path="a", data={"a": "of the snapshot"})["changed"]


def test_peers(unsealed, raft, keys, tmp_path):
    """The servers and their health; one is taken out, but not the leader and not one that a majority needs."""
    leader, call = unsealed
    audit = AuditLog(tmp_path / "audit.log")
    call(vault_audit, path="file", options={"file_path": str(audit.path)})
    wait(lambda: call(vault_raft_info)["failure_tolerance"] == 1, "autopilot knows three healthy servers")
    info = call(vault_raft_info)
    assert info["healthy"] and [peer["name"] for peer in info["peers"]] == ["vault-0", "vault-1", "vault-2"], info
    assert f"vault-{raft.index(leader)}" == info["leader"]
    assert "is the leader" in call(vault_raft_peer, name=info["leader"])["msg"]
    limited = leader.request("POST", "auth/token/create", {"policies": ["default"]}, keys()["root_token"]).json()
    refused = call(vault_raft_peer, name="vault-2", token=limited["auth"]["client_token"])
    assert refused["failure"]["kind"] == "permission_denied"
    first, last = (peer["name"] for peer in info["peers"] if not peer["leader"])
    audit.start()
    planned = call(vault_raft_peer, check=True, name=first)
    assert planned["changed"] and len(call(vault_raft_info)["peers"]) == 3 and audit.writes() == []
    removed = call(vault_raft_peer, name=first, url=leader.url)
    assert removed["diff"] == planned["diff"] and audit.writes() == [("update", "sys/storage/raft/remove-peer")]
    audit.start()
    assert not call(vault_raft_peer, name=first, url=leader.url)["changed"]
    assert not call(vault_raft_peer, name="never-there", url=leader.url)["changed"]
    assert audit.writes() == [] and audit.entries()
    assert len(call(vault_raft_info, url=leader.url)["peers"]) == 2
    assert call(vault_raft_peer, name=last, url=leader.url)["changed"], "the leader alone is a majority of one"
    assert "the only server" in call(vault_raft_peer, name=info["leader"], url=leader.url, force=True)["msg"]


def test_a_server_that_lost_its_storage_joins_again(unsealed, cluster, raft, keys):
    """Under its old name, from the others; nothing has to be taken out or restored before."""
    leader, call = unsealed
    lost = next(node for node in raft if node is not leader)
    wait(lambda: call(vault_raft_info, url=leader.url)["failure_tolerance"] == 1, "three healthy servers")
    lost.kill()
    lost.wipe()
    lost.start()
    wait(lambda: lost.request("GET", "sys/seal-status").json()["initialized"], "it has joined")
    assert cluster(vault_unseal)["unsealed"] == [lost.url]
    wait(lambda: call(vault_raft_info, url=leader.url)["failure_tolerance"] == 1, "three healthy servers again")
    assert not call(vault_kv2_secret, url=lost.url, path="a", data={"a": "of the snapshot"})["changed"]


def test_break_glass(cluster, raft, keys, tmp_path, authority):
    """With a quorum of unseal keys, ``vault operator generate-root`` makes a root token when none is left."""
    cluster(vault_init, **SHARES)
    cluster(vault_unseal)
    dead = keys()["root_token"]
    leader = next(node for node in raft if node.url == cluster(vault_seal_info)["active"])
    assert leader.request("POST", "auth/token/revoke-self", token=dead).ok
    environment = {"VAULT_ADDR": leader.url, "VAULT_CACERT": str(authority.path), "HOME": str(tmp_path)}

    def operator(*arguments: str, typed: str = "") -> dict:
        argv = [vault_binary(), "operator", "generate-root", "-format=json", *arguments]
        done = subprocess.run(argv, env=environment, input=typed, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    started = operator("-init")
    for share in keys()["keys_base64"][:2]:
        done = operator(f"-nonce={started['nonce']}", "-", typed=share)
    encoded = base64.b64decode(done["encoded_root_token"] + "==")
    token = bytes(a ^ b for a, b in zip(encoded, started["otp"].encode())).decode()
    assert leader.request("GET", "auth/token/lookup-self", token=token).json()["data"]["policies"] == ["root"]


ADMIN_POLICY = """
path "sys/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "auth/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "kv/*" { capabilities = ["create", "read", "update", "delete", "list", "patch"] }
path "database/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"""


def test_the_platforms_order(run_module, raft, authority, kubernetes, mariadb, tmp_path):
    """From empty servers to rotating credentials, all through port-forwards; the second run writes nothing."""
    for number, node in enumerate(raft):
        kubernetes.pods[f"vault-{number}"] = ("127.0.0.1", node.port)
    kubeconfig = kubernetes.kubeconfig(tmp_path)
    kubernetes.issue("vault", "ansible")
    kubernetes.issue("shop", "shop")
    key_file = str(tmp_path / "keys" / "vault.json")
    peers = [f"https://vault-{number}.vault-internal:8200" for number in range(3)]
    base = {
        "url": peers[0],
        "ca_cert": authority.path.read_text(),
        "kubernetes_port_forward": {"kubeconfig": kubeconfig, "namespace": "vault"},
    }
    first_login = {"auth_method": "token_file", "token_path": str(tmp_path / "keys"), "token_file": "vault.json"}
    account = {"kubeconfig": kubeconfig, "namespace": "vault", "service_account": "ansible"}
    later_login = {"auth_method": "kubernetes", "role": "ansible", "kubernetes_token_request": account}
    audit = AuditLog(tmp_path / "audit.log")
    role = {"bound_service_account_namespaces": ["vault"], "bound_service_account_names": ["ansible"]}
    steps = [
        (vault_audit, {"path": "file", "options": {"file_path": str(audit.path)}}),
        (vault_mount, {"path": "kv", "type": "kv-v2"}),
        (vault_mount, {"type": "database", "default_lease_ttl": "1h", "max_lease_ttl": "24h"}),
        (vault_auth_method, {"type": "kubernetes"}),
        (vault_kubernetes_auth_config, {"kubernetes_host": kubernetes.url, "disable_local_ca_jwt": True}),
        (
            vault_policy,
            {
                "policies": [
                    {"name": "ansible", "policy": ADMIN_POLICY},
                    {"name": "shop", "policy": 'path "kv/data/shop" { capabilities = ["read"] }'},
                ]
            },
        ),
        (
            vault_kubernetes_role,
            {
                "roles": [
                    {"name": "ansible", "token_policies": ["ansible"], "token_ttl": "10m", **role},
                    {
                        "name": "shop",
                        "token_policies": ["shop"],
                        "bound_service_account_namespaces": ["shop"],
                        "bound_service_account_names": ["shop"],
                    },
                ]
            },
        ),
        (vault_kv2_secret, {"path": "shop", "method": "add", "data": {"APP_KEY": "canary-app-key"}}),
        (
            vault_database_connection,
            {
                "name": "shop",
                "plugin_name": "mysql-database-plugin",
                "connection_url": mariadb.vault_url,
                "connection_username": "vault",
                "connection_password": mariadb.first_password,
                "allowed_roles": ["shop"],
            },
        ),
        (
            vault_database_role,
            {
                "name": "shop",
                "connection_name": "shop",
                "creation_statements": ["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"],
                "default_ttl": "1h",
            },
        ),
        (vault_database_rotate_root, {"name": "shop"}),
    ]
    results = []

    def run(module, **params):
        result = run_module(module.main, {**base, **params})
        assert not result.get("failed"), (module.__name__, result)
        results.append(result)
        return result

    def prepare() -> list[bool]:
        initialised = run(vault_init, peers=peers, key_file=key_file, **SHARES)
        return [initialised["changed"], run(vault_unseal, peers=peers, key_file=key_file)["changed"]]

    def finish() -> bool:
        return run(vault_root_token, key_file=key_file, other_root_tokens="revoke", **later_login)["changed"]

    assert prepare() == [True, True]
    stored = json.loads((tmp_path / "keys" / "vault.json").read_text())
    changed = {
        module.__name__.rsplit(".", 1)[1]: run(module, **first_login, **params)["changed"] for module, params in steps
    }
    assert all(changed.values()), changed
    assert not mariadb.login("vault", mariadb.first_password)
    assert finish()
    assert not raft[0].request("GET", "auth/token/lookup-self", token=stored["root_token"]).ok

    results.clear()
    audit.start()
    session = run(vault_login, **later_login)["login"]
    assert prepare() == [False, False]
    again = [run(module, token=session["token"], **params)["changed"] for module, params in steps]
    assert not any(again) and not finish()
    assert audit.writes() == [] and len(audit.entries()) > 10
    assert session["policies"] == ["ansible", "default"] and session["lease_duration"] == 600

    told = str(results[1:])
    for secret in (stored["root_token"], *stored["keys_base64"], "canary-app-key", mariadb.first_password):
        assert secret not in told and secret not in audit.text()
    assert [len({forward[1] for forward in kubernetes.forwards})] == [3]

    # a snapshot leaves and comes back through a forward to the active server
    active = next(peer for peer, node in zip(peers, raft) if node.request("GET", "sys/leader").json()["is_self"])
    there = {"url": active, "token": session["token"], "path": str(tmp_path / "vault.snap")}
    assert run(vault_raft_snapshot, **there)["snapshot"]["size"] == (tmp_path / "vault.snap").stat().st_size
    name = raft[0].request("GET", "sys/seal-status").json()["cluster_name"]
    restored = run(vault_raft_snapshot, **there, state="restored", confirm_cluster=name)
    assert restored["changed"] and not restored["sealed"]
    assert not run(vault_policy, url=active, token=session["token"], **steps[5][1])["changed"]
