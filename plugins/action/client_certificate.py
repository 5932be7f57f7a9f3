# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a short-lived client certificate on the controller, signed on a managed host."""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import tempfile
from dataclasses import dataclass
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    CRYPTOGRAPHY_ERROR: Exception | None = None
except ImportError as error:
    CRYPTOGRAPHY_ERROR = error

MODULE = "onprem.platform.client_certificate"


@dataclass
class Credential:
    """Private key and certificate, both PEM; ``server`` and ``authority`` only inside a kubeconfig."""

    private_key: str
    certificate: str
    authority: str = ""
    server: str = ""
    tls_server_name: str = ""


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare the credential on the controller, have a new one signed when needed, write it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if CRYPTOGRAPHY_ERROR is not None:
            raise AnsibleActionFail(
                f"the Python library cryptography is missing on the controller ({CRYPTOGRAPHY_ERROR}). Install it: "
                "pip install cryptography"
            ) from CRYPTOGRAPHY_ERROR
        arguments = dict(self._task.args)
        kubeconfig = arguments.get("kubeconfig_path")
        if not kubeconfig and not (arguments.get("certificate_path") and arguments.get("private_key_path")):
            raise AnsibleActionFail("set kubeconfig_path, or certificate_path and private_key_path")
        if kubeconfig and not arguments.get("server"):
            raise AnsibleActionFail("kubeconfig_path needs server, the address of the API server")

        reply = self._execute_module(MODULE, {**arguments, "request": None}, task_vars=task_vars)
        if reply.get("failed"):
            return {**result, **reply}
        present = _read(arguments)
        reasons = compare(present, reply["authority"], arguments, datetime.datetime.now(datetime.timezone.utc))
        wanted = reply["authority"]
        path = arguments.get("authority_path")
        copy = bool(path and wanted and _text_or_nothing(path) != wanted)
        if copy and not self._task.check_mode:
            _replace(str(path), wanted, 0o644)
        result.update(changed=bool(reasons) or copy, reasons=reasons)
        if present is not None and not reasons:
            result["not_after"] = _end(x509.load_pem_x509_certificate(present.certificate.encode()))
            return result
        if self._task.check_mode:
            return result
        key = ec.generate_private_key(ec.SECP256R1())
        request = _request(
            key, str(arguments["common_name"]), [str(name) for name in arguments.get("organizations", [])]
        )
        reply = self._execute_module(MODULE, {**arguments, "request": request}, task_vars=task_vars)
        if reply.get("failed"):
            return {**result, **reply}
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        _write(arguments, Credential(pem, reply["certificate"], reply["authority"]))
        result["not_after"] = reply["not_after"]
        return result


def compare(present: Credential | None, authority: str, arguments: dict[str, Any], now: datetime.datetime) -> list[str]:
    """Why a new certificate is needed; empty when the present one does."""
    if present is None:
        return ["there is no credential"]
    if not authority:
        return ["the authority does not exist yet"]
    try:
        found = x509.load_pem_x509_certificate(present.certificate.encode())
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
        key = serialization.load_pem_private_key(present.private_key.encode(), None)
    except (ValueError, TypeError, InvalidSignature):
        return ["it is unreadable, or another authority issued it"]
    reasons = []
    if key.public_key() != found.public_key():
        reasons.append("the private key belongs to another certificate")
    names = [str(item.value) for item in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(item.value) for item in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if names != [arguments["common_name"]] or sorted(groups) != sorted(arguments.get("organizations", [])):
        reasons.append("the subject differs")
    if found.not_valid_after_utc - now < datetime.timedelta(minutes=int(arguments.get("minimum_minutes", 120))):
        reasons.append("its time is nearly over")
    if arguments.get("kubeconfig_path"):
        wanted = (arguments["server"], arguments.get("tls_server_name", ""), authority.strip())
        if (present.server, present.tls_server_name, present.authority.strip()) != wanted:
            reasons.append("the API server or its authority differs")
    return reasons


def _end(certificate: x509.Certificate) -> str:
    return certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def _request(key: ec.EllipticCurvePrivateKey, common_name: str, organizations: list[str]) -> str:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _read(arguments: dict[str, Any]) -> Credential | None:
    """The credential on the controller; None when it is missing or not in the form that this action writes."""
    try:
        if not arguments.get("kubeconfig_path"):
            return Credential(_text(arguments["private_key_path"]), _text(arguments["certificate_path"]))
        content = yaml.safe_load(_text(arguments["kubeconfig_path"]))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        return Credential(
            private_key=base64.b64decode(user["client-key-data"]).decode(),
            certificate=base64.b64decode(user["client-certificate-data"]).decode(),
            authority=base64.b64decode(cluster["certificate-authority-data"]).decode(),
            server=cluster["server"],
            tls_server_name=cluster.get("tls-server-name", ""),
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, yaml.YAMLError):
        return None


def _text_or_nothing(path: str) -> str:
    try:
        return _text(path)
    except OSError:
        return ""


def _text(path: str) -> str:
    with open(os.path.expanduser(path), encoding="ascii") as stream:
        return stream.read()


def _write(arguments: dict[str, Any], credential: Credential) -> None:
    if not arguments.get("kubeconfig_path"):
        _replace(arguments["private_key_path"], credential.private_key)
        _replace(arguments["certificate_path"], credential.certificate)
        return
    name = str(arguments.get("cluster_name", "kubernetes"))
    cluster = {
        "certificate-authority-data": _encode(credential.authority),
        "server": str(arguments["server"]),
        **({"tls-server-name": str(arguments["tls_server_name"])} if arguments.get("tls_server_name") else {}),
    }
    user = {
        "client-certificate-data": _encode(credential.certificate),
        "client-key-data": _encode(credential.private_key),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "administrator", "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "administrator"}}],
        "current-context": name,
    }
    _replace(arguments["kubeconfig_path"], yaml.safe_dump(content, sort_keys=False))


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _replace(path: str, text: str, mode: int = 0o600) -> None:
    """Write a file in one step; only its owner can read it unless told otherwise."""
    path = os.path.expanduser(path)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
