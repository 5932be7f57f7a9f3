# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that were made to be found: without them, that a search found nothing would prove nothing.

Each kind is planted in each kind of place. The values are random, and belong to nothing. Letters and digits take turns
in them: gitleaks passes over what has one of some thousand words in it, and one of fifty random texts has one.
"""

from __future__ import annotations

import base64
import io
import secrets
import string
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..module_utils._oci import Layout
from ._bundle_common import run_tool
from ._oci_layout import OciLayout
from ._secret_scan import Collection, Gitleaks

_IMAGE = "canary:1"


@dataclass(frozen=True)
class Canary:
    """A secret to be planted, as text, and the rule of gitleaks that has to find it."""

    rule: str
    text: str


def make_canaries() -> dict[str, Canary]:
    """Return new canaries by name."""
    alphabets = (string.ascii_letters, string.digits)

    def random(length: int) -> str:
        return "".join(secrets.choice(alphabets[place % 2]) for place in range(length))

    body = random(128)
    # In two parts, so that this file has no key itself.
    marks = [f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END")]
    pem = "\n".join([marks[0], body[:64], body[64:], marks[1], ""])
    return {
        "private key": Canary("private-key", pem),
        "private key in Base64": Canary("encoded-private-key", base64.b64encode(pem.encode()).decode()),
        "Vault token": Canary("vault-service-token", f"hvs.{random(95)}"),
        "GitHub token": Canary("github-pat", f"ghp_{random(36)}"),
        "application key": Canary("laravel-app-key", f"base64:{random(43)}="),
        "database password": Canary("generic-api-key", f'DB_PASSWORD = "{random(64)}"'),
    }


def missed(directory: Path, gitleaks: Gitleaks, canaries: Mapping[str, Canary]) -> tuple[int, list[str]]:
    """Plant every canary in a repository, an image, an archive, a manifest and a log; return how many were planted, and
    those that a search of these places does not find, each by its rule and as a given secret.

    :param directory: empty directory, which keeps the canaries until it is removed.
    :raises BundleError: git or gitleaks ended with an error.
    """
    text = "\n".join(canary.text for canary in canaries.values())
    collection = Collection(directory / "searched", {name: canary.text for name, canary in canaries.items()})
    (directory / "searched").mkdir()
    repository = directory / "repository"
    repository.mkdir()
    run_tool(["git", "init", "--quiet", str(repository)])
    (repository / "settings.php").write_text(text, encoding="utf-8")
    collection.add_repository(repository)
    collection.add_images(_image(directory / "layout", text.encode()), [_IMAGE])
    for name, content in {
        "chart.tgz": _archive("chart/values.yaml", text.encode()),
        "manifest.yaml": text.encode(),
        "run.log": f"TASK [x]\nok: [host] => {{}}\n{text}\n".encode(),
    }.items():
        (directory / name).write_bytes(content)
        collection.add_path(directory / name)
    found = [*collection.found, *gitleaks.scan(collection)]
    places = ("settings.php", "etc/canary.conf", "chart.tgz", "manifest.yaml", "run.log")
    lacking = []
    for place in places:
        here = {
            (one.rule, one.description if one.rule == "given-secret" else "") for one in found if place in one.place
        }
        for name, canary in canaries.items():
            lacking += [f"{name} in {place} by {canary.rule}"] if (canary.rule, "") not in here else []
            lacking += [f"{name} in {place} as a given secret"] if ("given-secret", name) not in here else []
    return len(places) * len(canaries), lacking


def _archive(path: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _image(directory: Path, content: bytes) -> Layout:
    layout = OciLayout(directory)
    packed = _archive("etc/canary.conf", content)
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    layer = {"mediaType": kind, "digest": layout.add_blob(packed), "size": len(packed)}
    layout.add_image(_IMAGE, {"os": "linux", "architecture": "amd64"}, [layer], {})
    return Layout(directory)
