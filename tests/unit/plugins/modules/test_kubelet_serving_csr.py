# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests of kubelets are approved; requests are real ones."""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.onprem.platform.plugins.modules import kubelet_serving_csr as module

ALLOWED = {"w1": {"w1", "192.0.2.21"}}
ADDRESS = x509.IPAddress(ipaddress.ip_address("192.0.2.21"))


def request(
    node: str = "w1",
    names: list[x509.GeneralName] | None = None,
    organization: str = "system:nodes",
    common_name: str = "",
    **spec: Any,
) -> dict[str, Any]:
    """A CertificateSigningRequest object as a kubelet makes it."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name or f"system:node:{node}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(
        x509.SubjectAlternativeName(names if names is not None else [x509.DNSName(node), ADDRESS]), critical=False
    )
    pem = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
    return {
        "metadata": {"name": f"csr-{node}"},
        "spec": {
            "username": f"system:node:{node}",
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"],
            "request": base64.b64encode(pem).decode(),
            **spec,
        },
        "status": {},
    }


def test_own_names_are_approved() -> None:
    assert module.refusal(request(), ALLOWED) == ""


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(node="w9"), "system:node:w9 is no node of the inventory"),
        (request(username="alice"), "alice is no node of the inventory"),
        (request(groups=["system:authenticated"]), "is not in the group system:nodes"),
        (request(usages=["digital signature", "client auth"]), "its usages are"),
        (request(usages=["server auth", "client auth"]), "its usages are"),
        (request(common_name="system:node:cp1"), "its subject is"),
        (request(organization="system:masters"), "its subject is"),
        (
            request(names=[x509.DNSName("w1"), x509.DNSName("api.platform.internal")]),
            "it asks for api.platform.internal",
        ),
        (request(names=[x509.IPAddress(ipaddress.ip_address("192.0.2.11"))]), "it asks for 192.0.2.11"),
        (request(names=[x509.DNSName("w1"), x509.UniformResourceIdentifier("https://x")]), "neither DNS names"),
        (request(names=[x509.DNSName("w1"), x509.RFC822Name("a@b.example")]), "neither DNS names"),
        (request(request=base64.b64encode(b"nonsense").decode()), "it cannot be read"),
    ],
)
def test_everything_else_stays_pending(asked: dict[str, Any], reason: str) -> None:
    assert reason in module.refusal(asked, ALLOWED)


class Api:
    """Requests; the signer issues as soon as one is approved."""

    def __init__(self, *requests: dict[str, Any]) -> None:
        """Start with these pending."""
        self.requests = {entry["metadata"]["name"]: entry for entry in requests}
        self.writes: list[str] = []

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Answer like the server."""
        if method == "GET":
            return {"items": list(self.requests.values())}
        name = path.split("/")[-2]
        self.writes.append(name)
        self.requests[name] = {**body, "status": {**body["status"], "certificate": "issued"}}
        return self.requests[name]


def sweep(api: Api, check: bool = False, **more: Any) -> dict[str, Any]:
    """Run the module's core."""
    nodes = [{"name": "w1", "names": ["192.0.2.21"]}]
    return module.sweep(api, {"nodes": nodes, "wait_for": [], "timeout": 0, **more}, check)  # type: ignore[arg-type]


def test_approve_once_and_report_the_rest() -> None:
    api = Api(request(), request(node="w9"))
    planned = sweep(api, check=True)
    assert (planned["changed"], planned["approved"], api.writes) == (True, ["w1"], [])
    done = sweep(api, wait_for=["w1"], timeout=5)
    assert (done["changed"], done["approved"], api.writes) == (True, ["w1"], ["csr-w1"])
    assert done["refused"] == ["csr-w9: system:node:w9 is no node of the inventory"]
    again = sweep(api)
    assert (again["changed"], again["refused"]) == (False, ["csr-w9: system:node:w9 is no node of the inventory"])


def test_awaited_node_without_request_is_named() -> None:
    with pytest.raises(module.KubeadmError, match="no serving certificate for w1"):
        sweep(Api(), wait_for=["w1"])
