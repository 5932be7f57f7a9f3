# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_kubernetes_auth_config and vault_kubernetes_role against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import (
    vault_auth_method,
    vault_kubernetes_auth_config,
    vault_kubernetes_role,
)

HOST = "https://api.example.org:6443"
CA = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n"
JWT = "eyJhbGciOiJSUzI1NiJ9.canary.signature"


@pytest.fixture(autouse=True)
def kubernetes(call, vault):
    call(vault_auth_method.main, type="kubernetes")
    vault.forget()


def configuration(vault):
    return vault.state.objects["auth/kubernetes/config"]


def test_life_of_a_configuration(call, vault):
    main = vault_kubernetes_auth_config.main
    assert "kubernetes_host" in call(main)["msg"]
    assert call(main, check=True, kubernetes_host=HOST)["changed"] and not vault.writes
    assert call(main, kubernetes_host=HOST, kubernetes_ca_cert=CA)["objects"][0]["action"] == "created"
    vault.forget()
    same = CA.replace("\n", "\r\n") + "\r\n"
    assert not call(main, kubernetes_host=HOST, kubernetes_ca_cert=same)["changed"] and not vault.writes
    assert not call(main, disable_iss_validation=True)["changed"]
    assert call(main, kubernetes_host=f"{HOST}/")["objects"][0]["options"] == ["kubernetes_host"]
    assert configuration(vault)["kubernetes_ca_cert"] == CA


def test_a_full_replacement_keeps_the_reviewer_token(call, vault):
    main = vault_kubernetes_auth_config.main
    call(main, kubernetes_host=HOST, kubernetes_ca_cert=CA, token_reviewer_jwt=JWT)
    assert configuration(vault)["token_reviewer_jwt"] == JWT
    vault.forget()
    assert not call(main, kubernetes_host=HOST, token_reviewer_jwt=JWT)["changed"] and not vault.writes

    refused = call(main, kubernetes_host="https://other.example.org")
    assert refused["failed"] and "would drop it" in refused["msg"] and not vault.writes
    assert configuration(vault)["token_reviewer_jwt"] == JWT

    result = call(main, kubernetes_host="https://other.example.org", token_reviewer_jwt=JWT)
    assert result["objects"][0]["options"] == ["kubernetes_host"]
    assert configuration(vault)["token_reviewer_jwt"] == JWT
    assert JWT not in str(result)

    assert call(main, token_reviewer_jwt="")["objects"][0]["options"] == ["token_reviewer_jwt"]
    assert configuration(vault)["token_reviewer_jwt"] == ""
    assert configuration(vault)["kubernetes_host"] == "https://other.example.org"
    assert not call(main, token_reviewer_jwt="")["changed"]


def test_the_reviewer_token_is_sent_again_only_on_demand(call, vault):
    main = vault_kubernetes_auth_config.main
    call(main, kubernetes_host=HOST, token_reviewer_jwt=JWT)
    assert not call(main, token_reviewer_jwt="another")["changed"]
    assert call(main, token_reviewer_jwt="another", update_jwt="always")["changed"]
    assert configuration(vault)["token_reviewer_jwt"] == "another"


ROLE = {
    "name": "Shop",
    "bound_service_account_names": ["shop", "jobs"],
    "bound_service_account_namespaces": ["shop"],
    "token_policies": ["shop", "base"],
    "token_ttl": "24h",
}


def test_life_of_a_role(call, vault):
    main = vault_kubernetes_role.main
    planned = call(main, check=True, **ROLE)
    assert planned["changed"] and not vault.writes
    assert call(main, **ROLE)["diff"] == planned["diff"]
    vault.forget()
    equal = {**ROLE, "token_policies": ["base", "shop"], "token_ttl": "86400", "audience": "", "token_type": "default"}
    assert not call(main, **equal)["changed"] and not vault.writes
    updated = call(main, **{**ROLE, "token_policies": ["shop"]})
    assert updated["objects"][0]["options"] == ["token_policies"]
    assert vault.bodies[-1] == {"token_policies": ["shop"]}
    vault.state.objects["auth/kubernetes/role/shop"]["token_ttl"] = 7
    assert call(main, **ROLE)["changed"]
    assert call(main, name="shop", state="absent")["changed"]
    vault.forget()
    assert not call(main, name="shop", state="absent")["changed"] and not vault.writes


def test_an_update_keeps_the_namespace_selector(call, vault):
    selector = '{"matchLabels": {"team": "shop"}}'
    call(vault_kubernetes_role.main, **ROLE, bound_service_account_namespace_selector=selector)
    yaml_text = "matchLabels:\n  team: shop\n"
    assert not call(vault_kubernetes_role.main, **ROLE, bound_service_account_namespace_selector=yaml_text)["changed"]
    call(vault_kubernetes_role.main, **{**ROLE, "token_ttl": "1h"})
    stored = vault.state.objects["auth/kubernetes/role/shop"]
    assert stored["bound_service_account_namespace_selector"] == selector
    assert stored["token_ttl"] == 3600


def test_roles_in_one_call(call, vault):
    roles = [{**ROLE, "name": f"r{number}"} for number in range(10)]
    assert call(vault_kubernetes_role.main, roles=roles)["changed"]
    vault.forget()
    assert not call(vault_kubernetes_role.main, roles=roles)["changed"]
    assert len(vault.requests) == 10 and not vault.writes
    gone = call(vault_kubernetes_role.main, roles=[{"name": "r0"}, {"name": "r1"}], state="absent")
    assert [entry["action"] for entry in gone["objects"]] == ["deleted", "deleted"]


def test_wrong_input(call, vault):
    main = vault_kubernetes_role.main
    assert "bound_service_account_names" in call(main, name="a", token_ttl="1h")["msg"]
    assert "is no duration" in call(main, **{**ROLE, "token_ttl": "1 hour"})["msg"]
    missing = call(main, **ROLE, auth_path="elsewhere")
    assert missing["failure"]["kind"] == "missing_mount"
