# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison and issue of certificates with the real openssl command."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _certificate as certificate

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
WANTED = certificate.Wanted(
    common_name="registry.platform.internal",
    dns_names=("registry.platform.internal", "cp1"),
    ip_addresses=("192.0.2.11", "2001:db8::1"),
    validity=90 * DAY,
)
PRESENT = certificate.Certificate(
    pem="PEM",
    fingerprint="00",
    subject="CN=registry.platform.internal",
    issuer="CN=authority",
    common_name="registry.platform.internal",
    not_before=NOW - 10 * DAY,
    not_after=NOW + 80 * DAY,
    public_key="KEY",
    dns_names=("cp1", "registry.platform.internal"),
    ip_addresses=("192.0.2.11", "2001:db8::1"),
    usages=("server",),
)


def test_good_certificate_is_kept() -> None:
    assert certificate.compare(WANTED, PRESENT, "KEY", True, NOW).reasons == []


@pytest.mark.parametrize(
    ("present", "key", "signed", "reason"),
    [
        (PRESENT, None, True, "there is no private key"),
        (None, "KEY", False, "there is no certificate"),
        (PRESENT, "OTHER", True, "the private key belongs to another certificate"),
        (PRESENT, "KEY", False, "another authority issued it"),
        (dataclasses.replace(PRESENT, common_name="x"), "KEY", True, "the common name is x"),
        (dataclasses.replace(PRESENT, organizations=("y",)), "KEY", True, "the organizations differ"),
        (dataclasses.replace(PRESENT, dns_names=("cp1",)), "KEY", True, "the names differ"),
        (dataclasses.replace(PRESENT, ip_addresses=("192.0.2.11",)), "KEY", True, "the names differ"),
        (dataclasses.replace(PRESENT, usages=("client", "server")), "KEY", True, "the usages differ"),
        (dataclasses.replace(PRESENT, authority=True), "KEY", True, "it is an authority"),
        (dataclasses.replace(PRESENT, not_after=NOW + 4 * DAY), "KEY", True, "4.0 days are left of 14"),
        (dataclasses.replace(PRESENT, not_after=NOW - DAY), "KEY", True, "it expired"),
    ],
)
def test_reasons(present: certificate.Certificate | None, key: str | None, signed: bool, reason: str) -> None:
    comparison = certificate.compare(WANTED, present, key, signed, NOW)
    assert any(text.startswith(reason) for text in comparison.reasons), comparison.reasons
    assert comparison.new_key is (key is None)


@pytest.mark.parametrize("left", [29, 31])
def test_renewal_begins_below_a_third(left: int) -> None:
    present = dataclasses.replace(PRESENT, not_before=NOW - (90 - left) * DAY, not_after=NOW + left * DAY)
    assert bool(certificate.compare(WANTED, present, "KEY", True, NOW).reasons) is (left < 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"common_name": "a\nsubjectAltName=DNS:evil"}, "cannot be a subject name"),
        ({"common_name": ""}, "cannot be a subject name"),
        ({"dns_names": ("a,DNS:evil",)}, "is not a DNS name"),
        ({"dns_names": ("UPPER",)}, "is not a DNS name"),
        ({"ip_addresses": ("192.0.2.256",)}, "is not an IP address"),
        ({"usages": ("codeSigning",)}, "unknown usages"),
        ({"validity": -DAY}, "must be positive"),
    ],
)
def test_names_that_no_certificate_may_carry(change: dict[str, object], message: str) -> None:
    with pytest.raises(certificate.CertificateError, match=message):
        dataclasses.replace(WANTED, **change).validate()  # type: ignore[arg-type]


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Return a directory with ca.crt and ca.key."""
    wanted = certificate.Wanted(common_name="authority", validity=365 * DAY, authority=True)
    key = tmp_path / "ca.key"
    certificate.create_key(str(key), "ecdsa-p384")
    with certificate.private_directory(str(tmp_path)) as directory:
        request = certificate.create_request(wanted, str(key), directory)
        pem = certificate.issue(wanted, request, None, str(key), directory, certificate.utc_now())
    certificate.write(str(tmp_path / "ca.crt"), pem, 0o644)
    return tmp_path


def _issue(directory: Path, wanted: certificate.Wanted) -> str:
    key = directory / "tls.key"
    if not key.exists():
        certificate.create_key(str(key), "ecdsa-p256")
    with certificate.private_directory(str(directory)) as private:
        request = certificate.create_request(wanted, str(key), private)
        ca = (str(directory / "ca.crt"), str(directory / "ca.key"))
        return certificate.issue(wanted, request, *ca, private, certificate.utc_now())


def test_issued_certificate_says_what_was_wanted(authority: Path) -> None:
    pem = _issue(authority, WANTED)
    path = authority / "tls.crt"
    certificate.write(str(path), pem, 0o644)
    found = certificate.parse(pem)
    assert (found.common_name, found.usages, found.authority) == (WANTED.common_name, ("server",), False)
    assert found.ip_addresses == ("192.0.2.11", "2001:db8::1")
    assert certificate.signed_by(str(path), str(authority / "ca.crt"))
    key = certificate.public_key_of(str(authority / "tls.key"))
    assert certificate.compare(WANTED, found, key, True, certificate.utc_now()).reasons == []
    assert (authority / "tls.key").stat().st_mode & 0o777 == 0o600
    assert not list(authority.glob(".certificate-*"))


def test_certificate_ends_with_its_authority(authority: Path) -> None:
    long = dataclasses.replace(WANTED, validity=5000 * DAY)
    ca = certificate.read(str(authority / "ca.crt"))
    assert ca is not None
    assert ca.authority
    assert certificate.parse(_issue(authority, long)).not_after == ca.not_after


def test_key_of_another_authority_is_refused(authority: Path) -> None:
    (authority / "ca.key").unlink()
    certificate.create_key(str(authority / "ca.key"), "ecdsa-p384")
    with pytest.raises(certificate.CertificateError, match=r"is not the key of"):
        _issue(authority, WANTED)


def test_unreadable_certificate_names_the_cause(tmp_path: Path) -> None:
    (tmp_path / "x.crt").write_text("no certificate", encoding="ascii")
    with pytest.raises(certificate.CertificateError, match="openssl x509 failed"):
        certificate.read(str(tmp_path / "x.crt"))
    assert certificate.read(str(tmp_path / "none.crt")) is None
