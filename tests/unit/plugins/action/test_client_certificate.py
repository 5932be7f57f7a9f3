# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's credentials: kept while they do, made anew for a reason, readable by their owner only."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.onprem.platform.plugins.action import client_certificate as action
from ansible_collections.onprem.platform.plugins.modules import client_certificate as module
from ansible_collections.onprem.platform.plugins.modules import platform_certificate

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the arguments of a kubeconfig; the authority is real."""
    paths = {"certificate_path": str(tmp_path / "ca.crt"), "private_key_path": str(tmp_path / "ca.key")}
    defaults = {key: option.get("default") for key, option in platform_certificate.ARGUMENTS.items()}
    platform_certificate.ensure({**defaults, "authority": True, "common_name": "ca", **paths}, check_mode=False)
    monkeypatch.setattr(module.certificate, "private_directory", _near(tmp_path, module.certificate.private_directory))
    return {
        "common_name": "onprem-platform",
        "organizations": ["kubeadm:cluster-admins"],
        "authority_certificate_path": paths["certificate_path"],
        "authority_private_key_path": paths["private_key_path"],
        "kubeconfig_path": str(tmp_path / "state" / "kubeconfig"),
        "server": "https://192.0.2.11:6443",
        "tls_server_name": "api.platform.internal",
    }


def _near(directory: Path, make: Any) -> Any:
    return lambda _near: make(str(directory))


def write(arguments: dict[str, Any], minutes: int = 480) -> action.Credential:
    """What the action does when there is a reason: key here, signature there, file here."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = action._request(key, arguments["common_name"], arguments["organizations"])
    signed = module.sign({**arguments, "validity_minutes": minutes, "request": request})
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    action._write(arguments, action.Credential(pem, signed["certificate"], signed["authority"]))
    found = action._read(arguments)
    assert found is not None
    return found


def authority(arguments: dict[str, Any]) -> str:
    """The authority's certificate."""
    return Path(arguments["authority_certificate_path"]).read_text(encoding="ascii")


def test_fresh_credential_is_kept(arguments: dict[str, Any]) -> None:
    assert action.compare(action._read(arguments), "", arguments, NOW) == ["there is no credential"]
    found = write(arguments)
    assert action.compare(found, authority(arguments), arguments, NOW) == []
    path = Path(arguments["kubeconfig_path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"server": "https://192.0.2.12:6443"}, "the API server or its authority differs"),
        ({"organizations": ["system:masters"]}, "the subject differs"),
        ({"common_name": "other"}, "the subject differs"),
        ({"minimum_minutes": 600}, "its time is nearly over"),
    ],
)
def test_reasons_for_a_new_one(arguments: dict[str, Any], change: dict[str, Any], reason: str) -> None:
    found = write(arguments)
    assert action.compare(found, authority(arguments), {**arguments, **change}, NOW) == [reason]


def test_authority_that_was_made_anew_replaces_it(arguments: dict[str, Any]) -> None:
    found = write(arguments)
    for name in ("authority_certificate_path", "authority_private_key_path"):
        Path(arguments[name]).unlink()
    paths = {
        "certificate_path": arguments["authority_certificate_path"],
        "private_key_path": arguments["authority_private_key_path"],
    }
    defaults = {key: option.get("default") for key, option in platform_certificate.ARGUMENTS.items()}
    platform_certificate.ensure({**defaults, "authority": True, "common_name": "ca", **paths}, check_mode=False)
    reasons = action.compare(found, authority(arguments), arguments, NOW)
    assert reasons == ["it is unreadable, or another authority issued it"]


def test_damaged_file_counts_as_none(arguments: dict[str, Any]) -> None:
    write(arguments)
    Path(arguments["kubeconfig_path"]).write_text("users: []\n", encoding="ascii")
    assert action._read(arguments) is None


def test_two_files_instead_of_a_kubeconfig(arguments: dict[str, Any], tmp_path: Path) -> None:
    pair = {"certificate_path": str(tmp_path / "push.crt"), "private_key_path": str(tmp_path / "push.key")}
    arguments = {**{key: value for key, value in arguments.items() if key != "kubeconfig_path"}, **pair}
    found = write(arguments)
    assert action.compare(found, authority(arguments), arguments, NOW) == []
    assert [stat.S_IMODE(Path(path).stat().st_mode) for path in pair.values()] == [0o600, 0o600]


def test_request_for_another_subject_is_not_signed(arguments: dict[str, Any]) -> None:
    request = action._request(ec.generate_private_key(ec.SECP256R1()), "intruder", ["system:masters"])
    with pytest.raises(module.certificate.CertificateError, match="names another subject"):
        module.sign({**arguments, "validity_minutes": 10, "request": request})
