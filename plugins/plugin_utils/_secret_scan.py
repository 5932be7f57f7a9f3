# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for secrets: by the rules of gitleaks, and for given ones in every form that they take.

What is to be searched is laid out below one directory first: text files of a repository, of images, of archives. Given
secrets are looked for in everything, binary files included. What was found is told by place and rule, never by value.
Source: https://github.com/gitleaks/gitleaks (commands, report format, configuration).
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..module_utils._oci import Layout, OciError, Registry
from ._bundle_common import BundleError, run_tool
from ._bundle_layer import inner_path

SHORTEST = 12
"""Shorter text is found by chance."""
LARGEST_TEXT = 5 << 20
"""Bytes; longer text in an image is data, which is searched for given secrets only."""
_HEAD = 8192


def forms(secret: str) -> set[str]:
    """Return how a secret looks in plain text, in JSON, and in Base64 at any position of a larger text."""
    data = secret.encode()
    found = {secret, json.dumps(secret)[1:-1]}
    for offset in range(3):
        # Characters that also depend on neighbours are cut off.
        text = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        first = (offset * 8 + 5) // 6
        last = len(text) if (offset + len(data)) % 3 == 0 else len(text) - 1
        found.add(text[first:last])
    return {form for form in found if len(form) >= SHORTEST}


def leaked(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that occur in a text."""
    return sorted(name for name, secret in secrets.items() if any(form in text for form in forms(secret)))


@dataclass(frozen=True)
class SecretFinding:
    """Something that looks like a secret, or a given one (``rule`` is ``given-secret``)."""

    place: str
    line: int
    rule: str
    description: str


@dataclass
class Collection:
    """What is searched: text files below a directory, and what was found on the way there.

    :ivar names: first part of a path below the directory -> what it stands for.
    :ivar size: bytes that were read.
    """

    directory: Path
    given: Mapping[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    files: int = 0
    size: int = 0
    found: list[SecretFinding] = field(default_factory=list)

    def __post_init__(self) -> None:
        short = sorted(name for name, secret in self.given.items() if not forms(secret))
        if short:
            raise BundleError(
                f"Secrets shorter than {SHORTEST} characters are found by chance, so they cannot be searched for: "
                + ", ".join(short)
            )
        self._forms = {name: [form.encode() for form in sorted(forms(s))] for name, s in self.given.items()}

    def part(self, name: str) -> str:
        """Return a new first part of paths, which stands for a name."""
        label = f"{len(self.names):04d}"
        self.names[label] = name
        return label

    def add(self, part: str, path: str, content: bytes) -> None:
        """Take in one file; archives are opened.

        :param path: where it lies in the part.
        """
        if path.endswith((".tgz", ".tar.gz")):
            self._add_archive(part, path, content)
            return
        self.files += 1
        self.size += len(content)
        for name, patterns in self._forms.items():
            if any(pattern in content for pattern in patterns):
                self.found.append(SecretFinding(self._place(part, path), 0, "given-secret", name))
        if len(content) > LARGEST_TEXT or b"\0" in content[:_HEAD]:
            return
        target = self.directory / part / inner_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def _add_archive(self, part: str, path: str, content: bytes) -> None:
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
                for inner, data in _members(archive):
                    self.add(part, f"{path}!/{inner}", data)
        except tarfile.TarError as error:
            raise BundleError(f"{self._place(part, path)} cannot be opened: {error}") from error

    def _place(self, part: str, path: str) -> str:
        return f"{self.names[part]}: {path}" if path else self.names[part]

    def place(self, path: Path) -> str:
        """Return what a path below the directory stands for."""
        part, *rest = path.relative_to(self.directory).parts
        return self._place(part, "/".join(rest))

    def add_path(self, path: Path) -> None:
        """Take in a file, or all files below a directory."""
        if path.is_dir():
            part = self.part(str(path))
            for file in sorted(path.rglob("*")):
                if file.is_file() and not file.is_symlink():
                    self.add(part, file.relative_to(path).as_posix(), file.read_bytes())
        elif path.is_file():
            self.add(self.part(str(path.parent)), path.name, path.read_bytes())
        else:
            raise BundleError(f"{path} does not exist, so it cannot be searched for secrets.")

    def add_repository(self, root: Path) -> None:
        """Take in the files of a Git repository that are tracked, or would be by ``git add``."""
        output = run_tool(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        )
        part = self.part(str(root))
        for name in filter(None, output.split("\0")):
            if (root / name).is_file() and not (root / name).is_symlink():
                self.add(part, name, (root / name).read_bytes())

    def add_images(self, layout: Layout, images: Sequence[str]) -> None:
        """Take in configuration and layers of images; a layer that several have is read once.

        :raises OciError: the layout does not have one.
        """
        layers: dict[str, list[str]] = {}
        for image in images:
            manifest = layout.manifest(image)
            parts = json.loads(manifest.content)
            with manifest.blobs[parts["config"]["digest"]][0]() as stream:
                self.add(self.part(f"image {image}"), "configuration.json", stream.read())
            for layer in parts["layers"]:
                layers.setdefault(layer["digest"], []).append(image)
        for digest, users in layers.items():
            part = self.part(f"image {', '.join(users)}")
            blob = layout.directory / "blobs" / digest.replace(":", "/")
            # zstd passes on what is not compressed, and undoes gzip.
            with subprocess.Popen(["zstd", "-dcqf", str(blob)], stdout=subprocess.PIPE) as unpacked:
                try:
                    with tarfile.open(fileobj=unpacked.stdout, mode="r|") as archive:
                        for path, content in _members(archive):
                            self.add(part, path, content)
                    while unpacked.stdout and unpacked.stdout.read(1 << 20):
                        pass
                except tarfile.TarError as error:
                    raise BundleError(f"{blob} is no layer of an image: {error}") from error
            if unpacked.returncode:
                raise BundleError(f"{blob} cannot be unpacked: zstd ended with status {unpacked.returncode}.")

    def add_artifacts(self, registry: Registry, artifacts: Sequence[str]) -> None:
        """Take in artifacts of a registry, such as the platform tree that Flux applies.

        :param artifacts: ``<repository>:<tag>``.
        :raises OciError: the registry does not have one.
        """
        for artifact in artifacts:
            repository, _colon, tag = artifact.rpartition(":")
            found = registry.manifest(repository, tag)
            if found is None:
                raise OciError(f"Registry {registry.address} has no {artifact}.")
            part = self.part(f"artifact {artifact}")
            self.add(part, "manifest.json", found[1])
            parts = json.loads(found[1])
            for descriptor in (parts["config"], *parts["layers"]):
                name = descriptor["digest"].partition(":")[2][:12]
                suffix = ".tar.gz" if "tar" in descriptor["mediaType"] else ".json"
                self.add(part, name + suffix, registry.blob(repository, descriptor["digest"]))


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of an archive's files."""
    for member in archive:
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is not None:
            yield inner_path(member.name.removeprefix("./")), stream.read()


class Gitleaks:
    """The program gitleaks with one configuration."""

    def __init__(self, program: Path, configuration: Path) -> None:
        """Prepare.

        :raises BundleError: a file is missing.
        """
        for path in (program, configuration):
            if not path.is_file():
                raise BundleError(f"{path} does not exist. Fill the bundle with onprem.platform.bundle.")
        self.program, self.configuration = program, configuration

    def scan(self, collection: Collection) -> list[SecretFinding]:
        """Return what looks like a secret in the text files of a collection.

        :raises BundleError: gitleaks ended with an error.
        """
        with tempfile.TemporaryDirectory(prefix="secret-scan-") as work:
            report = Path(work) / "report.json"
            arguments = [
                str(self.program), "dir", str(collection.directory), "--config", str(self.configuration),
                "--report-format", "json", "--report-path", str(report), "--exit-code", "0", "--redact=100",
                # Nothing that is searched may decide by itself that it is harmless.
                "--ignore-gitleaks-allow", "--gitleaks-ignore-path", work,
                "--no-banner", "--no-color", "--log-level", "error",
            ]  # fmt: skip
            environment = {key: value for key, value in os.environ.items() if not key.startswith("GITLEAKS_")}
            run_tool(arguments, environment=environment)
            try:
                entries = json.loads(report.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise BundleError(f"gitleaks wrote no report: {error}") from error
        found = {
            SecretFinding(
                collection.place(Path(entry["File"])), int(entry["StartLine"]), entry["RuleID"], entry["Description"]
            )
            for entry in entries
        }
        return sorted(found, key=lambda one: (one.place, one.line, one.rule))
