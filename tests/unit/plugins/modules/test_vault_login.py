# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_login and vault_root_token against a server with a memory."""

from __future__ import annotations

import json

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_login, vault_root_token
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT

login, root_token = vault_login.main, vault_root_token.main
ADMIN = "hvs.admin"


@pytest.fixture(autouse=True)
def methods(vault):
    vault.issue(ADMIN, "admin")
    vault.state.auth.update({"approle/": {}, "kubernetes/": {}, "people/": {}})
    vault.state.logins.update(
        {
            ("auth/approle/login", "secret-1"): ADMIN,
            ("auth/kubernetes/login", "jwt-1"): ADMIN,
            ("auth/people/login/ada", "password-1"): ADMIN,
        }
    )


@pytest.fixture
def run(run_module, vault):
    def call(main, check=False, **params):
        return run_module(main, {"url": vault.url, "retries": 0, **params}, check=check)

    return call


APPROLE = {"auth_method": "approle", "role_id": "role-1", "secret_id": "secret-1"}


@pytest.mark.parametrize("check", [False, True])
def test_methods(run, vault, tmp_path, check):
    (tmp_path / "jwt").write_text("jwt-1\n")
    for params in (
        APPROLE,
        {"auth_method": "kubernetes", "role": "ansible", "jwt": "jwt-1"},
        {"auth_method": "kubernetes", "role": "ansible", "jwt_path": str(tmp_path / "jwt")},
        {"auth_method": "userpass", "mount_point": "people", "username": "ada", "password": "password-1"},
        {"token": ADMIN},
    ):
        result = run(login, check=check, **params)
        assert result["changed"] is False and result["login"]["policies"] == ["admin"], params
    assert result["login"]["accessor"] == vault.state.tokens[ADMIN]["accessor"]


def test_token_files(run, tmp_path, monkeypatch):
    (tmp_path / ".vault-token").write_text(f"{ADMIN}\n")
    (tmp_path / "keys.json").write_text(json.dumps({"root_token": ROOT}))
    (tmp_path / "empty").write_text("")
    (tmp_path / "broken").write_text("{")
    files = {"auth_method": "token_file", "token_path": str(tmp_path)}
    assert run(login, **files)["login"]["policies"] == ["admin"]
    assert run(login, **files, token_file="keys.json")["login"]["policies"] == ["root"]
    assert "holds no token" in run(login, **files, token_file="empty")["msg"]
    assert "no valid JSON" in run(login, **files, token_file="broken")["msg"]
    assert "cannot be read" in run(login, **files, token_file="none")["msg"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(login)["login"]["policies"] == ["admin"]
    monkeypatch.setenv("VAULT_TOKEN", ROOT)
    assert run(login)["login"]["policies"] == ["root"]
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("VAULT_TOKEN")
    assert "There is no Vault token" in run(login)["msg"]


def test_refusals(run, vault):
    wrong = run(login, **{**APPROLE, "secret_id": "wrong-secret"})
    assert wrong["failure"]["kind"] == "login_failed" and "wrong-secret" not in wrong["msg"]
    assert run(login, **APPROLE, mount_point="elsewhere")["failure"]["kind"] == "missing_mount"
    assert "needs role_id" in run(login, auth_method="approle")["msg"]
    assert "jwt, jwt_path or" in run(login, auth_method="kubernetes", role="a")["msg"]
    assert "cannot be read" in run(login, auth_method="kubernetes", role="a", jwt_path="/nonexistent")["msg"]
    assert "no login" in run(login, auth_method="none")["msg"]
    dead = run(login, token="hvs.dead", token_validate=True)
    assert dead["failure"]["kind"] == "token_rejected" and "hvs.dead" not in str(dead)


def test_revoke_the_root_token_and_prove_it(run, vault, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys_base64": ["k"], "root_token": ROOT}))
    planned = run(root_token, check=True, key_file=str(file), **APPROLE)
    assert planned["changed"] and planned["revoked"] and ROOT in vault.state.tokens
    result = run(root_token, key_file=str(file), **APPROLE)
    assert result["revoked"] and result["diff"] == planned["diff"] and ROOT not in str(result)
    assert ROOT not in vault.state.tokens and json.loads(file.read_text()) == {"keys_base64": ["k"]}
    vault.forget()
    assert not run(root_token, key_file=str(file), **APPROLE)["changed"] and not vault.requests
    gone = run(root_token, root_token=ROOT, **APPROLE)
    assert not gone["changed"] and not gone["revoked"]


def test_nobody_is_locked_out(run, vault):
    assert "No login is given" in run(root_token, root_token=ROOT, auth_method="none")["msg"]
    assert "root token itself" in run(root_token, root_token=ROOT, token=ROOT)["msg"]
    assert "left alive" in run(root_token, root_token=ROOT, token="hvs.dead")["msg"]
    assert run(root_token, root_token=ROOT, **{**APPROLE, "secret_id": "x"})["failure"]["kind"] == "login_failed"
    assert "is no root token" in run(root_token, root_token=vault.issue("hvs.b", "base"), **APPROLE)["msg"]
    assert ROOT in vault.state.tokens
    assert run(root_token, root_token=ROOT, auth_method="none", without_successor=True)["revoked"]


def test_other_root_tokens(run, vault):
    stray = vault.issue("hvs.stray", "root")
    accessor = vault.state.tokens[stray]["accessor"]
    params = {"root_token": ROOT, **APPROLE}
    assert run(root_token, **params, other_root_tokens="report")["other_root_tokens"] == [accessor]
    assert stray in vault.state.tokens
    assert run(root_token, **params, other_root_tokens="revoke")["changed"]
    assert stray not in vault.state.tokens
    assert not run(root_token, **params, other_root_tokens="revoke")["changed"]


def test_an_encrypted_root_token(run, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"root_token": "wcBM...", "root_token_encrypted": True}))
    assert "encrypted" in run(root_token, key_file=str(file), **APPROLE)["msg"]
