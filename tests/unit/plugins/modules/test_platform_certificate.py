# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform_certificate and platform_certificate_info with the real openssl command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import platform_certificate, platform_certificate_info

Runner = Callable[..., dict[str, Any]]


@pytest.fixture
def authority(tmp_path: Path, run_module: Runner) -> dict[str, Any]:
    """Return the paths of an authority that the module made."""
    paths = {"certificate_path": str(tmp_path / "pki/ca.crt"), "private_key_path": str(tmp_path / "pki/ca.key")}
    made = run_module(platform_certificate.main, {"authority": True, "common_name": "authority", **paths})
    assert made["changed"] is True
    return {
        "authority_certificate_path": paths["certificate_path"],
        "authority_private_key_path": paths["private_key_path"],
    }


@pytest.fixture
def arguments(tmp_path: Path, authority: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a server certificate."""
    return {
        "common_name": "registry.platform.internal",
        "dns_names": ["registry.platform.internal"],
        "certificate_path": str(tmp_path / "tls/tls.crt"),
        "private_key_path": str(tmp_path / "tls/tls.key"),
        **authority,
    }


def test_missing_authority_is_named(run_module: Runner, tmp_path: Path) -> None:
    paths = {"certificate_path": str(tmp_path / "a"), "private_key_path": str(tmp_path / "b")}
    answer = run_module(platform_certificate.main, {"common_name": "x", **paths})
    assert answer["failed"]
    assert "authority_certificate_path" in answer["msg"]


def test_life_of_a_certificate(run_module: Runner, arguments: dict[str, Any]) -> None:
    planned = run_module(platform_certificate.main, arguments, check=True)
    assert planned["changed"] is True
    assert not Path(arguments["certificate_path"]).exists()

    first = run_module(platform_certificate.main, arguments)
    assert first["changed"] is True
    key = Path(arguments["private_key_path"]).read_bytes()
    assert "PRIVATE" not in str(first)

    again = run_module(platform_certificate.main, arguments)
    assert (again["changed"], again["reasons"]) == (False, [])
    assert again["diff"]["before"] == again["diff"]["after"]

    more = {**arguments, "dns_names": ["registry.platform.internal", "cp1"]}
    changed = run_module(platform_certificate.main, more)
    assert changed["reasons"] == ["the names differ"]
    assert changed["details"]["dns_names"] == ["cp1", "registry.platform.internal"]
    assert Path(arguments["private_key_path"]).read_bytes() == key
    assert run_module(platform_certificate.main, more)["changed"] is False

    Path(arguments["private_key_path"]).chmod(0o644)
    assert run_module(platform_certificate.main, more)["changed"] is True
    assert Path(arguments["private_key_path"]).stat().st_mode & 0o777 == 0o600

    Path(arguments["private_key_path"]).unlink()
    assert run_module(platform_certificate.main, more)["reasons"] == ["there is no private key"]


def test_fresh_check_run_without_authority(run_module: Runner, arguments: dict[str, Any]) -> None:
    Path(arguments["authority_certificate_path"]).unlink()
    assert run_module(platform_certificate.main, arguments, check=True)["changed"] is True
    answer = run_module(platform_certificate.main, arguments)
    assert "the authority's certificate" in answer["msg"]


def test_info_says_whose_key_it_is(run_module: Runner, arguments: dict[str, Any], tmp_path: Path) -> None:
    run_module(platform_certificate.main, arguments)
    pairs = [
        {"certificate_path": arguments["certificate_path"], "private_key_path": arguments["private_key_path"]},
        {
            "certificate_path": arguments["certificate_path"],
            "private_key_path": arguments["authority_private_key_path"],
        },
        {"certificate_path": arguments["certificate_path"]},
        {"certificate_path": str(tmp_path / "none"), "private_key_path": str(tmp_path / "none.key")},
    ]
    answer = run_module(platform_certificate_info.main, {"certificates": pairs})
    found = answer["certificates"]
    assert [entry["private_key"] for entry in found] == ["matches", "differs", "unknown", "absent"]
    assert [entry["exists"] for entry in found] == [True, True, True, False]
    assert answer["changed"] is False
