# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages and Go modules, read from layers; and the statements that are made of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout, sha256_digest
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_statements import (
    TOOL,
    image_materials,
    image_sbom,
    made_by_this_tool,
    provenance,
)
from ansible_collections.onprem.platform.plugins.plugin_utils._image_contents import (
    Contents,
    DebianPackage,
    GoModule,
    GoProgram,
    contents,
    debian_packages,
    go_program,
)
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout

INFORMATION = (
    "path\texample.test/cmd\nmod\texample.test/wrapper\t(devel)\t\n"
    "dep\texample.test/one\tv1.0.0\th1:YWFhYQ==\n"
    "dep\texample.test/two\tv2.0.0\n=>\texample.test/fork\tv2.0.1\th1:YmJiYg==\n"
    "dep\texample.test/three\tv3.0.0\n=>\t./src\t\t\nbuild\t-trimpath=true\n"
)


def go_binary(information: str, version: str = "go1.26.8", shift: int = 0) -> bytes:
    """Return an ELF file as Go's linker leaves it, as far as build information goes."""
    magic = b"\xff Go buildinf:"
    # A program that looks for build information has the same bytes in its own data.
    head = b"\x7fELF" + b"\0" * 12 + magic + b"\x08\x00" + b"\0" * 16
    head += b"\0" * (-len(head) % 16 + shift)
    header = magic + b"\x08\x02" + b"\0" * 16

    def text(value: bytes) -> bytes:
        length, encoded = len(value), b""
        while length > 0x7F:
            encoded += bytes([length & 0x7F | 0x80])
            length >>= 7
        return encoded + bytes([length]) + value

    return head + header + text(version.encode()) + text(b"s" * 16 + information.encode() + b"e" * 16) + b"\0" * 64


def test_go_program() -> None:
    found = go_program("bin/x", go_binary(INFORMATION))
    assert found == GoProgram(
        "bin/x",
        "go1.26.8",
        (
            GoModule("example.test/wrapper", "(devel)", ""),
            GoModule("example.test/one", "v1.0.0", "h1:YWFhYQ=="),
            GoModule("example.test/fork", "v2.0.1", "h1:YmJiYg=="),
            GoModule("example.test/three", "v3.0.0", ""),
        ),
    )
    assert go_program("bin/x", b"\x7fELF nothing of Go") is None
    assert go_program("bin/x", go_binary(INFORMATION, version="text")) is None
    assert go_program("bin/x", go_binary(INFORMATION, shift=5)) is None
    assert go_program("bin/x", go_binary(INFORMATION)[:80]) is None


def layer(files: dict[str, tuple[bytes, int]], compressed: bool = True) -> tuple[bytes, str]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, (content, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    kind = "application/vnd.oci.image.layer.v1.tar"
    return (gzip.compress(stream.getvalue()), f"{kind}+gzip") if compressed else (stream.getvalue(), kind)


def image(directory: Path, *layers: tuple[bytes, str]) -> Layout:
    layout = OciLayout(directory)
    descriptors = []
    for content, kind in layers:
        descriptors.append({"mediaType": kind, "digest": layout.add_blob(content), "size": len(content)})
    layout.add_image("app:1", {}, descriptors, {})
    return Layout(directory)


def status(name: str, version: str, state: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {state}\nArchitecture: amd64\nVersion: {version}\nDescription: x\n more\n"


def test_layers_are_read_from_below(tmp_path: Path) -> None:
    lower = layer(
        {
            "var/lib/dpkg/status.d/libc6": (status("libc6", "2.41-1").encode(), 0o644),
            "usr/lib/os-release": (b"ID=debian\nVERSION_CODENAME=trixie\n", 0o644),
            "./usr/bin/x": (go_binary("mod\told\tv1\th1:YQ==\n"), 0o755),
            "usr/bin/script": (b"#!/bin/sh\n", 0o755),
            "usr/lib/data": (go_binary(INFORMATION), 0o644),
        }
    )
    packages = "\n".join([status("libc6", "2.41-2"), status("gone", "1", "deinstall ok config-files")])
    upper = layer(
        {"var/lib/dpkg/status": (packages.encode(), 0o644), "usr/bin/x": (go_binary(INFORMATION), 0o755)}, False
    )
    found = contents(image(tmp_path, lower, upper), "app:1")
    assert found.debian == [DebianPackage("libc6", "2.41-2", "amd64")]
    assert [(program.path, len(program.modules)) for program in found.go] == [("usr/bin/x", 4)]
    assert found.release == "trixie"


def test_source_packages() -> None:
    text = status("libgcc-s1", "14.2.0-19+b1") + "Source: gcc-14 (14.2.0-19)\n\n" + status("bash", "5.2.37-2+b3")
    given, same = debian_packages(text)
    assert (given.source_name, given.source_version) == ("gcc-14", "14.2.0-19")
    assert (same.source_name, same.source_version) == ("bash", "5.2.37-2")


def test_damaged_layers_are_told(tmp_path: Path) -> None:
    content, kind = layer({"a": (b"a" * 5000, 0o755)})
    with pytest.raises(BundleError, match=r"no layer of an image|cannot be unpacked"):
        contents(image(tmp_path / "one", (content[: len(content) // 2], kind)), "app:1")
    with pytest.raises(BundleError, match="has no image other:1"):
        contents(image(tmp_path / "two"), "other:1")


ENTRY: dict[str, Any] = {
    "kind": "image",
    "artefact": "image/app:1",
    "name": "app",
    "repository": "app",
    "tag": "1",
    "version": "1",
    "licence": "MIT",
    "producer": "source",
    "recipe": "r",
    "digest": sha256_digest(b"app"),
    "differs_from_upstream": ["smaller"],
}
SETTINGS = {
    "builder": "https://b.test",
    "commit": "c" * 40,
    "go": "go1.26.8",
    "platform": "p",
    "lock": "l",
    "finished": "t",
}
FOUND = Contents(
    [DebianPackage("libc6", "2.41-1+b1", "amd64")],
    [GoProgram("x", "go1.26.8 X:a", (GoModule("E.test/x", "v1", "h1:YWE="),))],
)


def test_bill_of_materials() -> None:
    document = image_sbom(ENTRY, FOUND, "2026-01-01T00:00:00Z")
    packages = {item["name"]: item for item in document["packages"]}
    assert packages["app"]["licenseDeclared"] == "MIT" and packages["app"]["sourceInfo"] == "smaller"
    assert packages["app"]["checksums"][0]["checksumValue"] == ENTRY["digest"][7:]
    references = {name: item["externalRefs"][0]["referenceLocator"] for name, item in packages.items()}
    assert references == {
        "app": f"pkg:oci/app@sha256%3A{ENTRY['digest'][7:]}?tag=1",
        "libc6": "pkg:deb/debian/libc6@2.41-1%2Bb1?arch=amd64",
        "E.test/x": "pkg:golang/e.test/x@v1",
        "stdlib": "pkg:golang/stdlib@1.26.8",
    }
    assert made_by_this_tool(document)
    assert not made_by_this_tool({**document, "creationInfo": {"creators": ["Tool: other"]}})
    unnamed = image_sbom({**ENTRY, "licence": "LicenseRef-Debian"}, FOUND, "2026-01-01T00:00:00Z")
    assert unnamed["packages"][0]["licenseDeclared"] == "NOASSERTION"


def test_provenance() -> None:
    made = provenance(ENTRY, image_materials(ENTRY, FOUND, {("libc6", "2.41-1+b1"): "d" * 64}, ""), SETTINGS)
    assert made_by_this_tool(made) and not made_by_this_tool({"buildDefinition": {}}) and not made_by_this_tool(None)
    assert made["buildDefinition"]["internalParameters"]["tool"] == TOOL
    digests = [item["digest"] for item in made["buildDefinition"]["resolvedDependencies"]]
    assert digests == [{"sha256": "l"}, {"gitCommit": "c" * 40}, {"sha256": "d" * 64}, {"dirHash1": b"aa".hex()}]
    upstream = {**ENTRY, "producer": "upstream"}
    pulled = provenance(upstream, image_materials(upstream, FOUND, {}, "r.test/app:1"), {**SETTINGS, "commit": ""})
    assert pulled["buildDefinition"]["resolvedDependencies"][1] == {
        "uri": "oci://r.test/app:1",
        "digest": {"sha256": ENTRY["digest"][7:]},
    }
