# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: every artefact of the platform with its version, licence, upstream address and source recipe.

The format is described in docs/bundle.md. Loading is strict: an unknown key, a name that could leave the bundle
directory, or a reference to something that is not there is an error at load time, never in the middle of a build.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ._bundle_common import BundleError, read_mapping, write_atomically

SCHEMA = 1
KINDS = ("file", "image", "chart", "manifest", "package")
ADDED_KINDS = ("file", "image", "chart", "manifest")
"""What a site may add to the lock."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9._+-]*[a-z0-9])?")
_HEX = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Edit:
    """One replacement in a copied module: ``old`` must occur exactly once; None makes a file that is not there."""

    path: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Program:
    """One executable of a component: a Go ``package``, or one C file of the module (``c_source``) with gcc ``flags``.

    The finished program is started with ``arguments`` and ``environment`` and must print ``prints``.
    """

    name: str
    prints: str
    package: str | None = None
    c_source: str | None = None
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """Files and directories taken from a component's module as they are."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Component:
    """One Go module with the programs and trees that are made of it."""

    name: str
    module: str
    version: str
    licence: str
    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    cgo: bool = False
    copy_sum: str | None = None
    edits: tuple[Edit, ...] = ()
    differs_from_upstream: tuple[str, ...] = ()
    programs: Mapping[str, Program] = field(default_factory=dict)
    trees: Mapping[str, Tree] = field(default_factory=dict)

    def item(self, name: str) -> Program | Tree | None:
        """Return the program or tree of a name."""
        return self.programs.get(name) or self.trees.get(name)


@dataclass(frozen=True)
class Download:
    """One upstream file. ``sha256`` is None while nobody has pinned it.

    ``member`` is what is wanted of an archive: a file, for manifests a directory.
    """

    url: str
    sha256: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class Artefact:
    """One entry of the bundle.

    :ivar upstream: download address, None when upstream publishes none.
    :ivar reference: upstream image as ``registry/repository:tag``; ``digest`` pins it (``sha256:...``) or is None.
    :ivar source: the recipe; its keys depend on the kind.
    :ivar kustomize: directories of the source tree that a manifest is rendered from.
    :ivar documents: files of the source tree that a manifest has beside them, as they are.
    :ivar notice: what the licence asks of a user; shown by every run.
    :ivar optional: the platform works without it, so it is left out where it can be neither built nor downloaded.
    """

    kind: str
    name: str
    version: str
    licence: str
    upstream: Download | None = None
    reference: str | None = None
    digest: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    differs_from_upstream: tuple[str, ...] = ()
    repository: str = ""
    tag: str = ""
    distribution: str = ""
    kustomize: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    notice: str = ""
    optional: bool = False

    @property
    def identity(self) -> str:
        """Return ``kind/name``, with the tag for images: two tags of one repository are two entries."""
        return f"{self.kind}/{self.repository}:{self.tag}" if self.kind == "image" else f"{self.kind}/{self.name}"

    @property
    def has_upstream(self) -> bool:
        """Tell whether an upstream address is known."""
        return self.upstream is not None or self.reference is not None

    @property
    def pinned(self) -> bool:
        """Tell whether every upstream address has its checksum."""
        return self.digest is not None or (self.upstream is not None and self.upstream.sha256 is not None)

    @property
    def address(self) -> str:
        """Return the upstream address for messages and reachability; empty when there is none."""
        return self.upstream.url if self.upstream is not None else self.reference or ""


@dataclass(frozen=True)
class Lock:
    """The whole lock file. ``sources`` is the directory of the wrapper modules, ``directory`` the lock's own."""

    directory: Path
    platform: str
    components: Mapping[str, Component]
    artefacts: tuple[Artefact, ...]

    @property
    def sources(self) -> Path:
        """Return the directory that has one wrapper module per component."""
        return self.directory / "sources"

    def find(self, item: str) -> tuple[Component, Program | Tree] | None:
        """Return the component and item of a program's or tree's name; the names are unique in the lock."""
        for component in self.components.values():
            found = component.item(item)
            if found is not None:
                return component, found
        return None

    def checksum(self, component: Component) -> str:
        """Return the checksum of a component's module as go.sum writes it; empty when nothing pins it."""
        if component.copy_sum:
            return component.copy_sum
        start = f"{component.module} {component.version} "
        lines = (self.sources / component.name / "go.sum").read_text(encoding="utf-8").splitlines()
        return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


def load_lock(path: Path, additions: Iterable[str | Path] = ()) -> Lock:
    """Read and check a lock file.

    :param additions: files of a site with artefacts beside those of the lock; they are downloaded, never built.
    :raises BundleError: unreadable, or not what the format says; the message names the entry.
    """
    data = read_mapping(path)
    _known(path.name, data, {"schema", "platform", "components", "files", "images", "charts", "manifests", "packages"})
    _check_schema(path, data)
    components = {
        name: _component(path.parent, name, values) for name, values in (data.get("components") or {}).items()
    }
    artefacts = [_artefact(kind, values, components) for kind in KINDS for values in data.get(f"{kind}s") or []]
    artefacts += [artefact for addition in additions for artefact in _additions(Path(addition))]
    lock = Lock(path.parent, str(data.get("platform")), components, tuple(artefacts))
    _refuse_duplicates("component item", [n for c in components.values() for n in (*c.programs, *c.trees)])
    _refuse_duplicates("artefact", [a.identity for a in artefacts])
    for artefact in artefacts:
        item = artefact.source.get("item")
        if item is not None and lock.find(str(item)) is None:
            raise BundleError(f"{artefact.identity}: source item {item!r} is in no component of {path}.")
    return lock


def _additions(path: Path) -> list[Artefact]:
    """Read what a site adds to the lock. Recipes need what lies beside the lock, so there are none in here."""
    data = read_mapping(path)
    _known(path.name, data, {"schema", *(f"{kind}s" for kind in ADDED_KINDS)})
    _check_schema(path, data)
    artefacts = [_artefact(kind, values, {}) for kind in ADDED_KINDS for values in data.get(f"{kind}s") or []]
    for artefact in artefacts:
        if artefact.source:
            raise BundleError(f"{path}: {artefact.identity} has a source, but what a site adds is downloaded.")
    return artefacts


def read_pins(path: Path) -> dict[str, str]:
    """Read a pins file (URL or image reference -> checksum), as ``record_pins`` writes it; a missing one is empty."""
    if not path.exists():
        return {}
    pins = read_mapping(path)
    for key, value in pins.items():
        if not isinstance(value, str) or not _HEX.fullmatch(value.removeprefix("sha256:")):
            raise BundleError(f"{path}: the pin of {key} is not a SHA-256.")
    return pins


def record_pins(path: Path, pins: Mapping[str, str]) -> None:
    """Add checksums that were accepted on first use to a pins file; pins that it has stay as they are."""
    merged = {**pins, **read_pins(path)}
    write_atomically(path, yaml.safe_dump(merged, sort_keys=True, explicit_start=True))


def with_pin(artefact: Artefact, pins: Mapping[str, str]) -> Artefact:
    """Return an artefact with the checksum of a pins file filled in where the lock itself has none."""
    upstream = artefact.upstream
    if upstream is not None and upstream.sha256 is None:
        upstream = dataclasses.replace(upstream, sha256=pins.get(upstream.url))
    digest = artefact.digest or (pins.get(artefact.reference) if artefact.reference else None)
    return dataclasses.replace(artefact, upstream=upstream, digest=digest)


def _check_schema(path: Path, data: Mapping[str, Any]) -> None:
    if data.get("schema") != SCHEMA:
        raise BundleError(f"{path}: schema is {data.get('schema')!r}, this version of the collection reads {SCHEMA}.")


def _known(where: str, values: Any, allowed: set[str]) -> None:
    if not isinstance(values, dict):
        raise BundleError(f"{where}: expected a mapping, found {values!r}.")
    unknown = sorted(set(values) - allowed)
    if unknown:
        raise BundleError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(allowed))}.")


def _make(kind: Callable[..., _T], where: str, values: Mapping[str, Any], **more: Any) -> _T:
    """Build a dataclass from a mapping: lists become tuples, unknown and missing keys become clear errors."""
    fields = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _known(where, values, fields - set(more))
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, **more)
    except TypeError as error:
        raise BundleError(f"{where}: {error}") from error


def _component(directory: Path, name: str, values: Mapping[str, Any]) -> Component:
    where = f"component {name}"
    _check_name(where, name)
    wrapper = directory / "sources" / name
    if not (wrapper / "go.mod").is_file() or not (wrapper / "go.sum").is_file():
        raise BundleError(f"{where}: {wrapper} has no go.mod and go.sum.")
    edits: tuple[Edit, ...] = ()
    if (wrapper / "edits.yml").is_file():
        listed = read_mapping(wrapper / "edits.yml").get("edits") or []
        edits = tuple(_make(Edit, f"{where}: edits.yml", edit) for edit in listed)
    for edit in edits:
        _check_relative(f"{where}: edits.yml", edit.path)
    programs = {n: _make(Program, f"program {n}", v, name=n) for n, v in (values.get("programs") or {}).items()}
    trees = {n: Tree(n, tuple(paths)) for n, paths in (values.get("trees") or {}).items()}
    for program in programs.values():
        _check_name(f"{where}: program", program.name)
        if (program.package is None) == (program.c_source is None) or not program.prints:
            raise BundleError(f"program {program.name}: needs prints, and either package or c_source.")
    for tree in trees.values():
        _check_name(f"{where}: tree", tree.name)
        for relative in tree.paths:
            _check_relative(f"tree {tree.name}", relative)
    rest = {k: v for k, v in values.items() if k not in ("programs", "trees")}
    component = _make(Component, where, rest, name=name, edits=edits, programs=programs, trees=trees)
    _check_texts(where, component.differs_from_upstream)
    if edits and not component.copy_sum:
        raise BundleError(f"{where}: edits.yml needs copy_sum, the checksum of the module that it edits.")
    return component


def _artefact(kind: str, values: Any, components: Mapping[str, Component]) -> Artefact:
    where = f"{kind} {values.get('name', values)!r}" if isinstance(values, dict) else f"{kind} {values!r}"
    keys = {"name", "version", "licence", "upstream", "source", "differs_from_upstream", "notice", "optional"}
    keys |= {"image": {"repository", "tag"}, "manifest": {"kustomize", "documents"}, "package": {"distribution"}}.get(
        kind, set()
    )
    _known(where, values, keys)
    for required in ("name", "version", "licence"):
        if not isinstance(values.get(required), str) or not values[required]:
            raise BundleError(f"{where}: {required} is missing or no text.")
    _check_name(where, values["name"])
    source = dict(values.get("source") or {})
    differs = list(values.get("differs_from_upstream") or [])
    _check_texts(where, differs)
    for component in components.values():
        # Trees are the module's files as they are; only programs differ.
        if set(component.programs) & set(_inputs(source)):
            differs += component.differs_from_upstream
    more: dict[str, Any] = {"source": source, "differs_from_upstream": tuple(differs)}
    upstream = values.get("upstream")
    if kind == "image":
        more |= {"repository": values.get("repository", values["name"]), "tag": values.get("tag", values["version"])}
        if upstream:
            _known(where, upstream, {"reference", "digest"})
            more |= {"reference": upstream.get("reference"), "digest": upstream.get("digest")}
            _check_hash(where, (upstream.get("digest") or "").removeprefix("sha256:"))
    elif upstream:
        part = _make(Download, where, upstream)
        _check_hash(where, part.sha256)
        if not re.match(r"https?://", part.url):
            raise BundleError(f"{where}: {part.url!r} is no http(s) address.")
        more["upstream"] = part
    if kind == "package":
        more["distribution"] = values.get("distribution", "")
    if kind == "manifest":
        more["kustomize"] = tuple(values.get("kustomize") or ())
        if not more["kustomize"]:
            raise BundleError(f"{where}: kustomize, the directories to render, is missing.")
        more["documents"] = tuple(values.get("documents") or ())
        for relative in (*more["kustomize"], *more["documents"]):
            _check_relative(where, relative)
    if not source and not upstream:
        raise BundleError(f"{where}: has neither upstream nor source.")
    more |= {"notice": values.get("notice", ""), "optional": values.get("optional", False)}
    if not isinstance(more["optional"], bool) or (more["optional"] and source):
        raise BundleError(
            f"{where}: optional is true or false, and only for what has no source: the rest can be built."
        )
    return Artefact(kind, values["name"], values["version"], values["licence"], **more)


def _inputs(source: Mapping[str, Any]) -> list[str]:
    """Return the names of programs and trees that a recipe is made of: one item, or the files of an image's layers."""
    files = [entry for layer in source.get("layers", ()) for entry in layer.get("files", ())]
    return [str(name) for name in (source.get("item"), *(entry.get("artefact") for entry in files)) if name is not None]


def _check_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BundleError(f"{where}: {name!r} is no valid name (lower-case letters, digits, '.', '_', '+' and '-').")


def _check_relative(where: str, path: str) -> None:
    if path.startswith("/") or ".." in Path(path).parts:
        raise BundleError(f"{where}: {path!r} must be a path inside the module.")


def _check_texts(where: str, differences: Iterable[Any]) -> None:
    for difference in differences:
        if not isinstance(difference, str):
            raise BundleError(f"{where}: differs_from_upstream has {difference!r}, which is no text; quote it.")


def _check_hash(where: str, value: str | None) -> None:
    if value and not _HEX.fullmatch(value):
        raise BundleError(f"{where}: {value!r} is no SHA-256 in lower-case hexadecimal digits.")


def _refuse_duplicates(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BundleError(f"The lock has the {what} {', '.join(twice)} more than once.")
