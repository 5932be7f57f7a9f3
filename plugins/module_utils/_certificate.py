# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""X.509 certificates on a host: read, compare with what is wanted, issue. Standard library and the openssl command.

Runs on nodes, so nothing beyond Python 3.9 and OpenSSL 1.1.1 is used. Private keys are created inside a directory of
mode 0700 on the file system of their destination and renamed, so that no moment shows a half-written or readable key.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

CURVES = {"ecdsa-p256": "P-256", "ecdsa-p384": "P-384"}
USAGES = {"server": "serverAuth", "client": "clientAuth"}
_USAGE_TEXT = {
    "TLS Web Server Authentication": "server",
    "TLS Web Client Authentication": "client",
}
# A certificate is valid from a little before its issue, because the clocks of two hosts never agree exactly.
BACKDATE = datetime.timedelta(minutes=5)
_DNS_NAME = re.compile(r"^(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$")
_DN_VALUE = re.compile(r"^[A-Za-z0-9 ._:@/=-]{1,64}$")


class CertificateError(Exception):
    """A certificate cannot be read, checked or issued; the text names the cause and the remedy."""


@dataclass(frozen=True)
class Wanted:
    """What a certificate shall say.

    ``validity`` is its whole lifetime; ``usages`` are keys of ``USAGES`` and ignored for an authority.
    """

    common_name: str
    validity: datetime.timedelta
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    usages: tuple[str, ...] = ("server",)
    authority: bool = False

    def validate(self) -> None:
        """Refuse names that no certificate may carry (RFC 1123, RFC 5280 upper bounds) before they reach a file."""
        for value in (self.common_name, *self.organizations):
            if not _DN_VALUE.match(value):
                raise CertificateError(
                    f"'{value}' cannot be a subject name: use 1 to 64 letters, digits, spaces and . _ : @ / = -"
                )
        for name in self.dns_names:
            if len(name) > 253 or not _DNS_NAME.match(name):
                raise CertificateError(f"'{name}' is not a DNS name (RFC 1123)")
        for address in self.ip_addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise CertificateError(f"'{address}' is not an IP address") from error
        unknown = set(self.usages) - set(USAGES)
        if unknown:
            raise CertificateError(f"unknown usages {', '.join(sorted(unknown))}: use {', '.join(sorted(USAGES))}")
        if self.validity <= datetime.timedelta(0):
            raise CertificateError("the validity of a certificate must be positive")


@dataclass(frozen=True)
class Certificate:
    """What an existing certificate says; times are UTC, the fingerprint is SHA-256 of the DER form, hexadecimal."""

    pem: str
    fingerprint: str
    subject: str
    issuer: str
    common_name: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    public_key: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    authority: bool = False

    def public(self) -> dict[str, object]:
        """The form that modules return."""
        return {
            "fingerprint": self.fingerprint,
            "subject": self.subject,
            "issuer": self.issuer,
            "common_name": self.common_name,
            "dns_names": list(self.dns_names),
            "ip_addresses": list(self.ip_addresses),
            "usages": list(self.usages),
            "authority": self.authority,
            "not_before": self.not_before.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "not_after": self.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def utc_now() -> datetime.datetime:
    """Current time, UTC, aware."""
    return datetime.datetime.now(datetime.timezone.utc)


def openssl(arguments: list[str], data: str | None = None) -> str:
    """Run openssl; return its standard output. Raises CertificateError with the last lines that it printed."""
    try:
        # Called by functions that know no module; the request goes through standard input.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            ["openssl", *arguments], input=data, capture_output=True, text=True, check=False, timeout=60
        )
    except FileNotFoundError as error:
        raise CertificateError("the openssl command is missing on this host: install the package openssl") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        # openssl ends with a dump of its error queue; the first line without an address says what went wrong.
        plain = [line for line in lines if ":error:" not in line] or lines
        raise CertificateError(f"openssl {arguments[0]} failed: {' / '.join(plain[-3:])}")
    return done.stdout


def read(path: str) -> Certificate | None:
    """Read the first certificate of a PEM file; None when the file is missing or empty."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    return parse(text) if text.strip() else None


def parse(pem: str) -> Certificate:
    """Decode one PEM certificate. Raises CertificateError when it is none."""
    extensions = "subjectAltName,extendedKeyUsage,basicConstraints"
    shown = ["-fingerprint", "-sha256", "-subject", "-issuer", "-dates", "-nameopt", "RFC2253", "-pubkey"]
    output = openssl(["x509", "-noout", *shown, "-ext", extensions], pem)
    pairs = dict(re.findall(r"^(subject|issuer|notBefore|notAfter|[Ss][Hh][Aa]256 Fingerprint)=\s*(.*)$", output, re.M))
    fingerprint = next((value for key, value in pairs.items() if key.lower() == "sha256 fingerprint"), "")
    names = re.findall(r"(DNS|IP Address):([^\s,]+)", output)
    # openssl says on standard error, not here, when an extension is absent: the patterns just find nothing.
    usages = sorted(short for text, short in _USAGE_TEXT.items() if text in output)
    public_key = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", output, re.S)
    body = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.S)
    return Certificate(
        pem=f"{body.group(0)}\n" if body else "",
        fingerprint=fingerprint.replace(":", "").lower(),
        subject=pairs.get("subject", ""),
        issuer=pairs.get("issuer", ""),
        common_name=_attribute(pairs.get("subject", ""), "CN")[0] if "CN=" in pairs.get("subject", "") else "",
        organizations=tuple(sorted(_attribute(pairs.get("subject", ""), "O"))),
        not_before=_time(pairs["notBefore"]),
        not_after=_time(pairs["notAfter"]),
        public_key=public_key.group(0) if public_key else "",
        dns_names=tuple(sorted(value for kind, value in names if kind == "DNS")),
        ip_addresses=tuple(sorted(str(ipaddress.ip_address(value)) for kind, value in names if kind == "IP Address")),
        usages=tuple(usages),
        authority="CA:TRUE" in output,
    )


def _attribute(name: str, attribute: str) -> list[str]:
    return re.findall(rf"(?:^|[,+]){attribute}=((?:\\.|[^,+\\])*)", name)


def _time(text: str) -> datetime.datetime:
    parsed = datetime.datetime.strptime(text.strip(), "%b %d %H:%M:%S %Y GMT")
    return parsed.replace(tzinfo=datetime.timezone.utc)


def public_key_of(path: str) -> str | None:
    """Public half of a private key file as PEM; None when the file is missing. Raises when it is not a key."""
    if not os.path.exists(path):
        return None
    return openssl(["pkey", "-in", path, "-pubout"]).strip()


def signed_by(certificate_path: str, authority_path: str) -> bool:
    """Whether the certificate's signature is one of the authority's key (times are judged elsewhere)."""
    try:
        openssl(["verify", "-no_check_time", "-partial_chain", "-trusted", authority_path, certificate_path])
    except CertificateError:
        return False
    return True


@dataclass
class Comparison:
    """Why a certificate must be issued anew; ``reasons`` is empty when the present one does."""

    reasons: list[str] = field(default_factory=list)
    new_key: bool = False


def compare(
    wanted: Wanted,
    present: Certificate | None,
    key: str | None,
    issued_by_authority: bool,
    now: datetime.datetime,
    renew_below: float = 1 / 3,
) -> Comparison:
    """Judge an existing certificate.

    ``key`` is the public half of the private key file, ``issued_by_authority`` the result of ``signed_by``;
    it is renewed when less than ``renew_below`` of its own lifetime is left. The key is kept where it can be:
    peers that pin it, and requests in flight, stay valid.
    """
    result = Comparison()
    if key is None:
        result.new_key = True
        result.reasons.append("there is no private key")
    if present is None:
        result.reasons.append("there is no certificate")
        return result
    if key is not None and key != present.public_key:
        result.reasons.append("the private key belongs to another certificate")
    if not issued_by_authority:
        result.reasons.append("another authority issued it")
    if present.common_name != wanted.common_name:
        result.reasons.append(f"the common name is {present.common_name or 'empty'}, not {wanted.common_name}")
    if present.organizations != tuple(sorted(wanted.organizations)):
        result.reasons.append("the organizations differ")
    if present.authority != wanted.authority:
        result.reasons.append("it is an authority" if present.authority else "it is no authority")
    if not wanted.authority:
        addresses = tuple(sorted({str(ipaddress.ip_address(value)) for value in wanted.ip_addresses}))
        if present.dns_names != tuple(sorted(set(wanted.dns_names))) or present.ip_addresses != addresses:
            result.reasons.append("the names differ")
        if present.usages != tuple(sorted(set(wanted.usages))):
            result.reasons.append("the usages differ")
    lifetime = present.not_after - present.not_before
    left = present.not_after - now
    if left < lifetime * renew_below:
        days = left.total_seconds() / 86400
        result.reasons.append(
            f"{max(days, 0):.1f} days are left of {lifetime.days}" if left.days >= 0 else "it expired"
        )
    return result


@contextlib.contextmanager
def private_directory(near: str) -> Iterator[str]:
    """Yield a 0700 directory on the file system of ``near``; removed afterwards whatever happens."""
    os.makedirs(near, mode=0o755, exist_ok=True)
    directory = tempfile.mkdtemp(prefix=".certificate-", dir=near)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def create_key(path: str, algorithm: str) -> None:
    """Write a new private key (PKCS 8 PEM, mode 0600) inside a directory that only root may enter."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[algorithm]}", "-out", path])


def create_request(wanted: Wanted, key_path: str, directory: str) -> str:
    """PEM certificate signing request for ``wanted`` with the given key; names beside the subject are set on issue."""
    lines = ["[req]", "prompt=no", "string_mask=utf8only", "distinguished_name=name", "[name]"]
    lines += [f"{index}.O={value}" for index, value in enumerate(wanted.organizations)]
    lines += [f"CN={wanted.common_name}"]
    configuration = os.path.join(directory, "request.cnf")
    with open(configuration, "w", encoding="ascii") as stream:
        stream.write("\n".join(lines) + "\n")
    return openssl(["req", "-new", "-utf8", "-key", key_path, "-config", configuration])


def issue(
    wanted: Wanted,
    request: str,
    authority_certificate: str | None,
    authority_key: str,
    directory: str,
    now: datetime.datetime,
) -> str:
    """Sign a request and return the certificate as PEM.

    Only the public key and the subject come from the request; every extension comes from ``wanted``.
    ``authority_certificate`` is None for a self-signed authority. ``openssl ca`` is used because it is the only
    command that takes an end time to the second in every supported OpenSSL release.
    """
    wanted.validate()
    end = now + wanted.validity
    if authority_certificate is not None:
        issuer = read(authority_certificate)
        if issuer is None:
            raise CertificateError(f"the authority's certificate {authority_certificate} is missing on this host")
        if issuer.public_key != public_key_of(authority_key):
            raise CertificateError(f"{authority_key} is not the key of {authority_certificate}")
        # A certificate that outlives its issuer fails when the issuer ends, without warning before.
        end = min(end, issuer.not_after)
    if end <= now:
        raise CertificateError(f"the authority {authority_certificate} has expired: renew it first")
    request_path = os.path.join(directory, "request.pem")
    with open(request_path, "w", encoding="ascii") as stream:
        stream.write(request)
    with open(os.path.join(directory, "index.txt"), "w", encoding="ascii"):
        pass
    configuration = os.path.join(directory, "ca.cnf")
    with open(configuration, "w", encoding="ascii") as stream:
        stream.write(_authority_configuration(wanted, directory))
    signer = ["-selfsign"] if authority_certificate is None else ["-cert", authority_certificate]
    output = os.path.join(directory, "certificate.pem")
    openssl(
        [
            *("ca", "-batch", "-notext", "-utf8", "-preserveDN", "-md", "sha256", "-config", configuration),
            *("-keyfile", authority_key, *signer, "-in", request_path, "-out", output),
            *("-startdate", _asn1_time(now - BACKDATE), "-enddate", _asn1_time(end)),
        ]
    )
    with open(output, encoding="ascii") as stream:
        return stream.read()


def _asn1_time(value: datetime.datetime) -> str:
    return value.strftime("%Y%m%d%H%M%SZ")


def _authority_configuration(wanted: Wanted, directory: str) -> str:
    lines = [
        "[ca]",
        "default_ca=authority",
        "[authority]",
        f"database={directory}/index.txt",
        f"new_certs_dir={directory}",
        "unique_subject=no",
        "rand_serial=yes",
        "policy=any",
        "x509_extensions=extensions",
        "copy_extensions=none",
        "[any]",
        "commonName=supplied",
        "organizationName=optional",
        "[extensions]",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if wanted.authority:
        lines += [
            "basicConstraints=critical,CA:TRUE,pathlen:0",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        ]
        return "\n".join(lines) + "\n"
    lines += ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    lines += [f"extendedKeyUsage={','.join(USAGES[usage] for usage in sorted(set(wanted.usages)))}"]
    names = [f"DNS:{name}" for name in wanted.dns_names] + [f"IP:{address}" for address in wanted.ip_addresses]
    if names:
        lines += [f"subjectAltName={','.join(names)}"]
    return "\n".join(lines) + "\n"


def write(path: str, text: str, mode: int) -> None:
    """Replace a file in one step, with its mode set before its name appears."""
    directory = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(prefix=".certificate-", dir=directory)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
