# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills a bundle directory from a lock file: compares, makes only what differs, and says what it did."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ._bundle_cache import Cache, exclusive_lock
from ._bundle_common import BundleError, Report, human_size
from ._bundle_index import Entry, Index
from ._bundle_kinds import Workshop, kinds
from ._bundle_lock import Artefact, Component, Lock, Program, Tree, read_pins, record_pins, with_pin
from ._bundle_upstream import Upstream
from ._oci_layout import OciLayout

PRODUCERS = ("auto", "source", "upstream")
BUILD_SPACE = 25e9
"""Bytes that must be free before anything is compiled: COMPONENT_SPACE, and for packages that components share."""
_COUNTED = {"present": "present", "cache": "from the cache", "download": "to download", "build": "to build"}


@dataclass
class Result:
    """What the bundle has, or would have, of one artefact of the lock.

    :ivar action: ``present`` (nothing to do), ``cache`` (taken from the cache), ``build``, ``download``, or
        ``left_out`` (optional, and not to be had here).
    :ivar reason: why it is left out.
    :ivar size: bytes; 0 as long as it is not known.
    :ivar seconds: what making it took in this run.
    """

    kind: str
    name: str
    version: str
    licence: str
    producer: str
    action: str
    notice: str = ""
    differs_from_upstream: list[str] = field(default_factory=list)
    size: int = 0
    seconds: float = 0.0
    reason: str = ""

    @property
    def pending(self) -> bool:
        """Tell whether there is something to make."""
        return self.action not in ("present", "left_out")


@dataclass
class Outcome:
    """What a run did, or would do.

    :ivar results: one for each wanted artefact, in the order of making.
    :ivar obsolete: what was removed because the lock does not have it, or has it in another form that is left out.
    :ivar compiled: programs that were built, which takes compilers, time and disk.
    """

    changed: bool
    results: list[Result]
    obsolete: list[str]
    compiled: list[str]


class Bundle:
    """One bundle directory and the lock that says what belongs into it."""

    def __init__(
        self,
        directory: Path,
        lock: Lock,
        cache: Cache,
        upstream: Upstream,
        producer: str,
        report: Report,
        pins: Path | None = None,
    ) -> None:
        """Prepare.

        :param producer: one of :data:`PRODUCERS`.
        :param pins: file with checksums that complete the lock; what is accepted on first use is added to it.
        :raises BundleError: the pins file is no pins file.
        """
        self.directory, self.cache, self.upstream, self.report, self.pins = directory, cache, upstream, report, pins
        if pins is not None:
            known = read_pins(pins)
            lock = dataclasses.replace(lock, artefacts=tuple(with_pin(a, known) for a in lock.artefacts))
        self.lock = lock
        self.workshop = Workshop(lock, cache, upstream, producer, report)
        self.kinds = kinds(self.workshop)

    def plan(self, names: Sequence[str] = ()) -> list[tuple[Artefact, Result]]:
        """Compare the bundle with the lock.

        :param names: ``name`` or ``kind/name`` of artefacts, all when empty.
        :returns: every wanted artefact in the order of making, with what it needs.
        :raises BundleError: an unknown name, or upstream files that nobody has pinned. What is optional is then left
            out, unless it is asked for by name.
        """
        known = {name for a in self.lock.artefacts for name in (a.name, f"{a.kind}/{a.name}")}
        unknown = sorted(set(names) - known)
        if unknown:
            has = ", ".join(sorted({a.name for a in self.lock.artefacts}))
            raise BundleError(f"The lock has no {', '.join(unknown)}. It has: {has}.")
        index = Index(self.directory)
        self.workshop.recorded_go_version = index.go_version
        order = list(self.kinds)
        wanted = [a for a in self.lock.artefacts if not names or {a.name, f"{a.kind}/{a.name}"} & set(names)]
        steps = [
            (a, self._compare(index, a, asked=bool(names))) for a in sorted(wanted, key=lambda a: order.index(a.kind))
        ]
        unpinned = [a.address for a, result in steps if result.action == "download" and a.has_upstream and not a.pinned]
        if unpinned and not self.upstream.trust_on_first_use:
            raise BundleError(
                "These upstream files have no checksum in the lock and no pin, so they are not downloaded:\n  "
                + "\n  ".join(dict.fromkeys(unpinned))
                + "\nAdd their published checksums to the pins file, or allow trust_on_first_use for one run and "
                "review the pins that it records, or use producer: source."
            )
        return steps

    def _compare(self, index: Index, artefact: Artefact, asked: bool) -> Result:
        kind, entries = self.kinds[artefact.kind], index.of(artefact.identity)
        if entries and all(kind.intact(index, entry) for entry in entries):
            producer, recipe = entries[0]["producer"], entries[0]["recipe"]
            # With `auto` either producer's result may stay: asking upstream on every run would only cost time.
            acceptable = [self.workshop.producer] if self.workshop.producer != "auto" else ["source", "upstream"]
            possible = (producer == "source" and artefact.source) or (producer == "upstream" and artefact.has_upstream)
            fixed = not (artefact.source and artefact.has_upstream)
            if possible and (fixed or producer in acceptable) and recipe == kind.key(artefact, producer):
                return _result(artefact, producer, "present", sum(entry["size"] for entry in entries))
        producer = self.workshop.choose(artefact)
        if kind.cached(artefact, producer):
            return _result(artefact, producer, "cache")
        reason = "" if asked or not artefact.optional else self._why_not(artefact)
        if reason:
            return dataclasses.replace(_result(artefact, producer, "left_out"), reason=reason)
        fetched = producer == "upstream" or artefact.kind == "package"
        return _result(artefact, producer, "download" if fetched else "build")

    def _why_not(self, artefact: Artefact) -> str:
        """Return why an artefact without a recipe cannot be had now; nothing when it can."""
        if not artefact.pinned and not self.upstream.trust_on_first_use:
            return f"it cannot be built, and there is no checksum for {artefact.address}; add one to the pins file"
        if not self.upstream.reachable(artefact.address):
            return f"it cannot be built, and the server of {artefact.address} does not answer"
        return ""

    def obsolete(self, steps: Sequence[tuple[Artefact, Result]], names: Sequence[str] = ()) -> list[str]:
        """Return what the bundle has and is not to have; nothing when only some artefacts are asked for."""
        wanted = {artefact.identity for artefact, result in steps if result.action != "left_out"}
        return [] if names else sorted({entry["artefact"] for entry in Index(self.directory).entries} - wanted)

    def preview(self, names: Sequence[str] = ()) -> Outcome:
        """Return what :meth:`fill` would do."""
        steps = self.plan(names)
        obsolete = self.obsolete(steps, names)
        todo = [(artefact, result) for artefact, result in steps if result.pending]
        compiled = _programs(self._needed(todo))
        return Outcome(bool(todo or obsolete), [result for _artefact, result in steps], obsolete, compiled)

    def fill(self, names: Sequence[str] = ()) -> Outcome:
        """Make what is not there or not as the lock says.

        :param names: names of artefacts; the rest of the bundle stays as it is. All when empty, and then what the
            lock does not have is removed.
        :raises BundleError: something cannot be made; what was finished before stays in the bundle.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(self.directory / ".lock", self.report, f"the bundle {self.directory}"):
            steps = self.plan(names)
            index = Index(self.directory)
            index.platform = self.lock.platform
            todo = [(artefact, result) for artefact, result in steps if result.pending]
            self._announce(steps)
            changed = False
            position = 0

            def finish(artefact: Artefact, result: Result) -> None:
                nonlocal changed, position
                position += 1
                changed = self._make(artefact, result, index, f"[{position}/{len(todo)}]") or changed

            remaining = dict.fromkeys(artefact.identity for artefact, _result in todo)
            needed = self._needed(todo)
            if _programs(needed):
                self.cache.require_space(BUILD_SPACE)
            try:
                for items in self._build(needed):
                    for artefact, result in todo:
                        if artefact.kind == "file" and self._item(artefact, result) in [item.name for item in items]:
                            finish(artefact, result)
                            del remaining[artefact.identity]
            finally:
                if _programs(needed):
                    self.workshop.go.forget_compiled()
            for artefact, result in todo:
                if artefact.identity in remaining:
                    finish(artefact, result)
            for artefact, result in steps:
                if result.action == "present":
                    index.replace(artefact.identity, [{**e, **_told(result)} for e in index.of(artefact.identity)])
            obsolete = self.obsolete(steps, names)
            for identity in obsolete:
                index.replace(identity, [])
            if not names and (self.directory / "images").exists():
                images = {f"{e['repository']}:{e['tag']}" for e in index.entries if e["kind"] == "image"}
                OciLayout(self.directory / "images").keep_only(images)
            changed = index.write() or changed
            return Outcome(changed, [result for _artefact, result in steps], obsolete, _programs(needed))

    def _build(self, needed: dict[str, list[Program | Tree]]) -> Iterator[list[Program | Tree]]:
        """Build one component after the other, as two would only share the processors; yield what each has given."""
        if not needed:
            return
        builder, waiting = self.workshop.go, list(needed.items())
        with builder.ahead() as ahead:
            for position, (name, items) in enumerate(waiting):
                component = self.lock.components[name]
                with ahead.session(component) as prepared:
                    for following, wanted in waiting[position + 1 : position + 2]:
                        ahead.begin(self.lock.components[following], wanted)
                    builder.build(component, items, prepared)
                yield items

    def _announce(self, steps: list[tuple[Artefact, Result]]) -> None:
        counts = {action: sum(r.action == action for _a, r in steps) for action in ("present", "cache", "download")}
        counts["build"] = sum(result.action == "build" for _artefact, result in steps)
        text = ", ".join(f"{count} {_COUNTED[action]}" for action, count in counts.items())
        total = sum(result.action != "left_out" for _artefact, result in steps)
        self.report(f"bundle {self.directory}: {total} artefacts: {text}")

    def _item(self, artefact: Artefact, result: Result) -> str | None:
        return str(artefact.source["item"]) if result.producer == "source" and "item" in artefact.source else None

    def _needed(self, todo: list[tuple[Artefact, Result]]) -> dict[str, list[Program | Tree]]:
        """Return component -> what is needed of it and not in the cache, in the order of the lock."""
        names: dict[str, None] = {}
        for artefact, result in todo:
            if result.action == "build":
                for name in self.kinds[artefact.kind].inputs(artefact):
                    if not self.workshop.from_upstream(name):
                        names[name] = None
        found: dict[str, list[Program | Tree]] = {component: [] for component in self.lock.components}
        for name in names:
            component, item = self.workshop.item(name)
            if self.cache.get(self.workshop.go.key(component, item)) is None:
                found[component.name].append(item)
        return {
            component: _ordered(self.lock.components[component], items) for component, items in found.items() if items
        }

    def _make(self, artefact: Artefact, result: Result, index: Index, position: str) -> bool:
        """Make one artefact and write it into the index at once, so that a killed run keeps what it finished."""
        started = time.monotonic()
        kind = self.kinds[artefact.kind]
        before = index.of(artefact.identity)
        made = kind.make(artefact, result.producer, index)
        if self.pins is not None and self.upstream.pins:
            record_pins(self.pins, self.upstream.pins)
        artefact = with_pin(artefact, self.upstream.pins)
        entries = [self._entry(artefact, result, entry) for entry in made]
        index.replace(artefact.identity, entries)
        if result.producer == "source" and "item" in artefact.source:
            index.go_version = self.workshop.go.go_version
        index.write()
        result.size = sum(entry["size"] for entry in entries)
        result.seconds = round(time.monotonic() - started, 1)
        self.report(
            f"{position} {artefact.kind} {artefact.name} {artefact.version}: {human_size(result.size)}, "
            f"{result.producer}, {result.seconds:.0f} s"
        )
        return entries != before

    def _entry(self, artefact: Artefact, result: Result, made: Entry) -> Entry:
        return {
            "kind": artefact.kind,
            "name": artefact.name,
            "version": artefact.version,
            "producer": result.producer,
            "artefact": artefact.identity,
            "recipe": self.kinds[artefact.kind].key(artefact, result.producer),
            **_told(result),
            **made,
        }

    def verify(self) -> list[str]:
        """Check the whole bundle offline, every byte of it; return what is wrong or missing."""
        if not (self.directory / "index.json").exists():
            return [f"{self.directory / 'index.json'}: missing"]
        index = Index(self.directory)
        has = {entry["artefact"] for entry in index.entries}
        missing = [
            f"{a.identity}: the lock has it, the bundle does not"
            for a in self.lock.artefacts
            if a.identity not in has and not a.optional
        ]
        versions = {a.identity: a.version for a in self.lock.artefacts if a.kind != "package"}
        other = [
            f"{entry['artefact']}: the bundle has {entry['version']}, the lock {versions[entry['artefact']]}"
            for entry in index.entries
            if entry["version"] != versions.get(entry["artefact"], entry["version"])
        ]
        return missing + other + index.problems()


def _programs(needed: Mapping[str, list[Program | Tree]]) -> list[str]:
    return [item.name for items in needed.values() for item in items if isinstance(item, Program)]


def _told(result: Result) -> Entry:
    """Return what the lock tells about an artefact that has no part in its content: it may change without a rebuild."""
    told: Entry = {"licence": result.licence, "differs_from_upstream": result.differs_from_upstream}
    return {**told, "notice": result.notice} if result.notice else told


def _ordered(component: Component, items: list[Program | Tree]) -> list[Program | Tree]:
    """Return items in the order in which the lock lists them, each once."""
    names = {item.name for item in items}
    offered: list[Program | Tree] = [*component.programs.values(), *component.trees.values()]
    return [item for item in offered if item.name in names]


def _result(artefact: Artefact, producer: str, action: str, size: int = 0) -> Result:
    return Result(
        kind=artefact.kind,
        name=artefact.name,
        version=artefact.version,
        licence=artefact.licence,
        producer=producer,
        action=action,
        notice=artefact.notice,
        differs_from_upstream=list(artefact.differs_from_upstream) if producer == "source" else [],
        size=size,
    )
