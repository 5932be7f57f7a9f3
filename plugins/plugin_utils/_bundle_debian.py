# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages of the bundle: what is selected, which versions are pinned, and how they are fetched.

``debian/selections.yml`` names what is wanted; ``debian/pins.yml`` holds, for every selection, the closure of packages
with version, path and SHA-256, as apt resolved it from signed package lists. A build reads the pins only, so it needs
neither apt nor root, and equal pins give equal content whatever the mirror has become since.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import tempfile
import time
import urllib.error
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.urls import open_url

from ._bundle_common import (
    CHUNK,
    BundleError,
    Report,
    file_digest,
    human_size,
    read_mapping,
    run_tool,
    write_atomically,
)

UPSTREAM = "https://deb.debian.org"
SNAPSHOT = "https://snapshot.debian.org/archive"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ATTEMPTS = 3
HEADER = """\
# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Written by playbooks/bundle_pins.yml from selections.yml; do not edit.
---
"""
_STATUS_DROPS = re.compile(
    r"^(?:Depends|Pre-Depends|Recommends|Suggests|Enhances|Conflicts|Breaks|Replaces|Filename|Size|SHA256|MD5sum|"
    r"Description.*|Tag|Status):.*\n(?:[ \t].*\n)*",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Package:
    """One pinned package. ``path`` is relative to the archive (``debian`` or ``debian-security``); size in bytes."""

    name: str
    version: str
    architecture: str
    archive: str
    path: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """The package's file name as the archive has it."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Selection:
    """Packages that are wanted together.

    :ivar packages: names (or apt patterns) whose closure is pinned.
    :ivar provided: packages that count as installed although they are not, with all that only they need: tools that
        run at installation time, and what an image has no use for.
    :ivar relative_to: selections whose packages are there already.
    :ivar fetched: whether the packages themselves are of use; false for a selection that others are relative to only.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    provided: tuple[str, ...] = ()
    relative_to: tuple[str, ...] = ()
    fetched: bool = True


class DebianPackages:
    """The selections and pins below one directory, and a cache of fetched packages.

    :param directory: has ``selections.yml`` and ``pins.yml``.
    :param cache: where fetched packages are kept by their SHA-256.
    :param mirrors: addresses by archive name, tried first; see :func:`configured_mirrors`.
    """

    def __init__(
        self, directory: Path, cache: Path, mirrors: Mapping[str, Sequence[str]] | None = None, report: Report = print
    ) -> None:
        self.directory, self.cache, self.mirrors, self.report = directory, cache, dict(mirrors or {}), report
        self.pins_file = directory / "pins.yml"
        data = read_mapping(directory / "selections.yml")
        self.suites: dict[str, list[dict[str, str]]] = data["suites"]
        self.selections = {name: _selection(name, values) for name, values in data["selections"].items()}
        pins = read_mapping(self.pins_file) if self.pins_file.exists() else {}
        self.snapshot: str = pins.get("snapshot", "")
        self._pinned: dict[str, list[str]] = pins.get("selections", {})
        self._packages: dict[str, dict[str, dict[str, Any]]] = pins.get("packages", {})

    def packages(self, selection: str) -> list[Package]:
        """Return the pinned packages of a selection by name.

        :raises BundleError: no such selection, or it was changed after the pins were made.
        """
        if selection not in self.selections:
            raise BundleError(f"{selection!r} is no selection of {self.directory / 'selections.yml'}.")
        names = self._pinned.get(selection)
        if names is None:
            raise BundleError(f"The Debian selection {selection} has no pins. Run playbooks/bundle_pins.yml.")
        suite = self.selections[selection].suite
        return [Package(name=name, **self._packages[suite][name]) for name in names]

    def pinned(self) -> dict[str, list[str]]:
        """Return the names of the pinned packages by selection."""
        return {name: list(packages) for name, packages in self._pinned.items()}

    def _place(self, package: Package) -> Path:
        return self.cache / package.sha256[:2] / package.sha256

    def cached(self, package: Package) -> bool:
        """Tell whether the package was fetched before; what is in the cache had its checksum when it came there."""
        place = self._place(package)
        return place.is_file() and place.stat().st_size == package.size

    def fetch(self, package: Package) -> Path:
        """Return the package's file in the cache; download it when it is absent, and check its SHA-256."""
        place = self._place(package)
        if self.cached(package):
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        addresses = [f"{base.rstrip('/')}/{package.path}" for base in self.mirrors.get(package.archive, ())]
        addresses.append(f"{UPSTREAM}/{package.archive}/{package.path}")
        if self.snapshot:
            addresses.append(f"{SNAPSHOT}/{package.archive}/{self.snapshot}/{package.path}")
        reasons: list[str] = []
        for address in dict.fromkeys(addresses):
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as stream:
                try:
                    reason = _download(address, Path(stream.name), package)
                    if reason is None:
                        Path(stream.name).chmod(0o644)
                        Path(stream.name).replace(place)
                        return place
                finally:
                    Path(stream.name).unlink(missing_ok=True)
            reasons.append(f"{address}: {reason}")
        raise BundleError(
            f"Debian package {package.name} {package.version} cannot be had; a mirror drops versions that were "
            "superseded. Name a mirror that keeps them in this machine's apt sources, or pin the present versions with "
            "playbooks/bundle_pins.yml.\n  " + "\n  ".join(reasons)
        )

    def fetch_all(self, packages: Sequence[Package]) -> list[Path]:
        """Return the files of some packages in the cache, in their order; what is absent is downloaded, four at once.

        :raises BundleError: see :meth:`fetch`.
        """
        missing = [package for package in packages if not self.cached(package)]
        if missing:
            total = human_size(sum(package.size for package in missing))
            self.report(f"Debian: fetching {len(missing)} of {len(packages)} packages, {total}")
        with ThreadPoolExecutor(max_workers=4) as pool:
            return list(pool.map(self.fetch, packages))

    def fetch_packages(self, selection: str, destination: Path) -> list[Path]:
        """Put every package file of a selection into a directory, under its own name.

        :raises BundleError: a package cannot be had from any mirror, or is not what the pins say.
        """
        destination.mkdir(parents=True, exist_ok=True)
        packages = self.packages(selection)
        placed = []
        for package, cached in zip(packages, self.fetch_all(packages)):
            target = destination / package.filename
            if not target.exists() or file_digest(target) != package.sha256:
                target.unlink(missing_ok=True)
                try:
                    os.link(cached, target)
                except OSError:
                    shutil.copyfile(cached, target)
            placed.append(target)
        return placed

    def newest(self, suite: str, names: Iterable[str], keyring: Path = KEYRING) -> dict[str, Package]:
        """Return the newest version that the mirrors have of some packages of a suite, by name.

        What the suite does not have is left out.

        :raises BundleError: apt is absent or refuses a list, or the suite is not one of ``selections.yml``.
        """
        _need_apt(keyring)
        if suite not in self.suites:
            raise BundleError(f"{suite!r} is no suite of {self.directory / 'selections.yml'}.")
        with tempfile.TemporaryDirectory(prefix="bundle-apt-") as directory:
            apt = _Apt(Path(directory), self._sources(suite, keyring))
            return {package.name: package for package in map(_package, apt.show(sorted(names)))}

    def refresh(self, write: bool = True, keyring: Path = KEYRING) -> dict[str, tuple[str, str]]:
        """Pin the present versions of all selections.

        apt resolves them from the package lists of the configured mirrors, whose signatures it checks.

        :param write: whether the pins are written; without it they are compared only.
        :param keyring: the archive's keys, from Debian's package debian-archive-keyring.
        :returns: ``suite/package`` -> (version before, version now), "" where there is none.
        :raises BundleError: apt is absent, or refuses a list or a selection.
        """
        _need_apt(keyring)
        snapshot = datetime.now(timezone.utc).strftime("%Y%m%dT000000Z")
        closures: dict[str, list[str]] = {}
        packages: dict[str, dict[str, dict[str, Any]]] = {suite: {} for suite in sorted(self.suites)}
        for suite in packages:
            with tempfile.TemporaryDirectory(prefix="bundle-apt-") as directory:
                apt = _Apt(Path(directory), self._sources(suite, keyring))
                for selection in self.selections.values():
                    if selection.suite == suite:
                        found = self._resolve(apt, selection, closures)
                        closures[selection.name] = sorted(package.name for package in found)
                        self.report(f"{suite}: {selection.name} needs {len(found)} packages")
                        for package in found if selection.fetched else ():
                            packages[suite][package.name] = {k: v for k, v in asdict(package).items() if k != "name"}
        pinned = {name: closures[name] for name in sorted(closures) if self.selections[name].fetched}
        content = {
            "snapshot": snapshot,
            "selections": pinned,
            "packages": {suite: dict(sorted(found.items())) for suite, found in packages.items()},
        }
        changes = _changes(self._packages, packages)
        if write and (changes or self._pinned != pinned):
            write_atomically(self.pins_file, HEADER + yaml.safe_dump(content, sort_keys=False, width=120, indent=2))
        self.snapshot, self._pinned, self._packages = snapshot, pinned, packages
        return changes

    def _sources(self, suite: str, keyring: Path) -> str:
        lines = []
        for part in self.suites[suite]:
            base = next(iter(self.mirrors.get(part["archive"], ())), f"{UPSTREAM}/{part['archive']}")
            lines.append(f"deb [arch=amd64 signed-by={keyring}] {base} {part['suite']} main\n")
        return "".join(lines)

    def _resolve(self, apt: _Apt, selection: Selection, closures: Mapping[str, list[str]]) -> list[Package]:
        present = set(selection.provided)
        for other in selection.relative_to:
            if other not in closures:
                raise BundleError(f"selection {selection.name}: {other} must come before it, in the same suite.")
            present |= {*closures[other], *self.selections[other].provided}
        return apt.closure(selection.packages, sorted(present))


def _need_apt(keyring: Path) -> None:
    if shutil.which("apt-get") is None or not keyring.exists():
        raise BundleError(
            f"Reading Debian's package lists needs apt and {keyring}. On Debian and Ubuntu: "
            "apt-get install apt debian-archive-keyring"
        )


def _selection(name: str, values: Mapping[str, Any]) -> Selection:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return Selection(name, **fields)
    except TypeError as error:
        raise BundleError(f"Debian selection {name}: {error}") from error


class _Apt:
    """apt with package lists and state of its own; the machine's installed packages do not matter to it."""

    def __init__(self, directory: Path, sources: str) -> None:
        directory.chmod(0o755)
        self.status = directory / "status"
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True)
        (directory / "sources.list").write_text(sources, encoding="utf-8")
        # What is present has lost its dependencies (see closure); apt must not put the complete package in its place.
        (directory / "preferences").write_text("Package: *\nPin: release a=now\nPin-Priority: 1001\n", encoding="utf-8")
        self.status.touch()
        settings = {
            "Dir::State": directory,
            "Dir::State::lists": directory / "lists",
            "Dir::State::status": self.status,
            "Dir::State::extended_states": directory / "extended",
            "Dir::Cache": directory / "cache",
            "Dir::Etc::sourcelist": directory / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": directory / "preferences",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
        }
        self.options = [f"-o{key}={value}" for key, value in settings.items()]
        run_tool(["apt-get", *self.options, "--error-on=any", "update"])

    def show(self, names: Iterable[str]) -> list[str]:
        """Return the control stanza of each package (``name`` or ``name=version``)."""
        output = run_tool(["apt-cache", *self.options, "show", "--no-all-versions", *names])
        return [stanza.strip() + "\n" for stanza in output.split("\n\n") if stanza.strip()]

    def closure(self, names: Sequence[str], present: Sequence[str]) -> list[Package]:
        """Return what apt would install for some packages on a system that has others."""
        stanzas = self.show(present) if present else []
        installed = [_STATUS_DROPS.sub("", s).rstrip("\n") + "\nStatus: install ok installed\n" for s in stanzas]
        self.status.write_text("\n".join(installed), encoding="utf-8")
        plan = run_tool(["apt-get", *self.options, "--simulate", "install", *names])
        chosen = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", plan, re.MULTILINE)
        if not chosen:
            return []
        return [_package(stanza) for stanza in self.show(f"{name}={version}" for name, version in chosen)]


def _package(stanza: str) -> Package:
    fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
    path = fields["Filename"]
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        # The security archive keeps its pool below pool/updates, the main archive never does.
        archive="debian-security" if path.startswith("pool/updates/") else "debian",
        path=path,
        size=int(fields["Size"]),
        sha256=fields["SHA256"],
    )


def _changes(
    before: Mapping[str, Mapping[str, Mapping[str, Any]]], now: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, tuple[str, str]]:
    def versions(pins: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
        return {f"{suite}/{name}": str(pin["version"]) for suite, part in pins.items() for name, pin in part.items()}

    old, new = versions(before), versions(now)
    return {
        name: (old.get(name, ""), new.get(name, "")) for name in sorted({*old, *new}) if old.get(name) != new.get(name)
    }


def _download(address: str, target: Path, package: Package) -> str | None:
    """Fetch one address, three times when it fails in passing; return why it is not the package, or None when it is."""
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(attempt)
        try:
            answer = open_url(address, timeout=60, use_netrc=False, decompress=False)
            with answer, target.open("wb") as output:
                shutil.copyfileobj(answer, output, CHUNK)
        except urllib.error.HTTPError as error:
            reason = str(error)
            if error.code < 500:
                break
        except (OSError, http.client.HTTPException) as error:
            reason = str(error)
        else:
            found = file_digest(target)
            if found == package.sha256:
                return None
            reason = f"SHA-256 is {found}, the pin says {package.sha256}"
    return reason


def configured_mirrors(directory: Path = Path("/etc/apt")) -> dict[str, list[str]]:
    """Return the mirrors that this machine's apt is configured for: ``debian`` and ``debian-security`` -> addresses.

    Both formats of sources.list(5) are read; an address counts by the last part of its path. A machine that is no
    Debian has none.
    """
    files = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]
    found: dict[str, list[str]] = {}
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if path.suffix == ".sources":
            words = " ".join(re.findall(r"^URIs:[ \t]*(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)).split()
        else:
            words = re.findall(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)", text, re.MULTILINE)
        for address in words:
            archive = address.rstrip("/").rpartition("/")[2]
            known = found.setdefault(archive, [])
            if address.startswith(("http://", "https://")) and address not in known:
                known.append(address)
    return {archive: found[archive] for archive in ("debian", "debian-security") if found.get(archive)}
