# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each kind of artefact is made: its cache key, what it needs first, and the making itself."""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from pathlib import Path

from ..module_utils._oci import Layout, OciError, archive, directory_files
from ._bundle_cache import Cache, CachedObject
from ._bundle_common import BundleError, Report, key_of, run_tool
from ._bundle_debian import DebianPackages, Package, configured_mirrors
from ._bundle_go import GoBuilder
from ._bundle_image import ImageAssembler, recipe_inputs
from ._bundle_index import Entry, Index
from ._bundle_lock import Artefact, Component, Download, Lock, Program, Tree, with_pin
from ._bundle_upstream import Upstream
from ._oci_layout import OciLayout


class Workshop:
    """What all kinds share: the lock, the cache, both producers, and the choice between them."""

    def __init__(self, lock: Lock, cache: Cache, upstream: Upstream, producer: str, report: Report) -> None:
        """Prepare.

        :param producer: ``source``, ``upstream``, or ``auto``: upstream for what is pinned and reachable.
        """
        self.lock, self.cache, self.upstream, self.producer, self.report = lock, cache, upstream, producer, report
        self.recorded_go_version = ""
        self.debian = DebianPackages(
            lock.directory / "debian", cache.directory / "debian", configured_mirrors(), report
        )
        self.images = ImageAssembler(lock.directory / "images", self.debian)
        self._go: GoBuilder | None = None
        self._chosen: dict[str, str] = {}

    @property
    def go(self) -> GoBuilder:
        """The Go builder. Without Go a finished bundle can still be compared: it says which Go it was made with."""
        if self._go is None:
            try:
                self._go = GoBuilder.create(self.cache, self.lock.sources, self.report)
            except BundleError:
                if not self.recorded_go_version:
                    raise
                self._go = GoBuilder(self.cache, self.lock.sources, self.recorded_go_version, self.report)
        return self._go

    def choose(self, artefact: Artefact) -> str:
        """Return the producer of an artefact: ``source`` or ``upstream``."""
        if artefact.identity not in self._chosen:
            chosen = self.producer
            if not artefact.has_upstream:
                chosen = "source"
            elif not artefact.source:
                chosen = "upstream"
            elif chosen == "auto":
                chosen = "upstream" if artefact.pinned and self.upstream.reachable(artefact.address) else "source"
            self._chosen[artefact.identity] = chosen
        return self._chosen[artefact.identity]

    def item(self, name: str) -> tuple[Component, Program | Tree]:
        """Return a component's program or tree by name.

        :raises BundleError: no component has it.
        """
        found = self.lock.find(name)
        if found is None:
            raise BundleError(f"A recipe of the lock names {name}, which is neither a file nor part of a component.")
        return found

    def file(self, name: str) -> Artefact | None:
        """Return the file artefact of a name."""
        return next((a for a in self.lock.artefacts if a.kind == "file" and a.name == name), None)

    def from_upstream(self, name: str) -> Download | None:
        """Return the download of a file of the bundle when upstream is its producer."""
        artefact = self.file(name)
        return artefact.upstream if artefact is not None and self.choose(artefact) == "upstream" else None

    def input_key(self, name: str) -> str:
        """Return the key of something a recipe names: a file of the bundle, or a program or tree of a component."""
        download = self.from_upstream(name)
        return self.upstream.file_key(download) if download is not None else self.go.key(*self.item(name))

    def input(self, name: str) -> Path:
        """Return the path of something a recipe names, in the cache; it is made when it is absent."""
        download = self.from_upstream(name)
        if download is not None:
            return self.upstream.file(download).content
        component, item = self.item(name)
        return self.go.build(component, [item])[name].content


class Kind(ABC):
    """One kind of artefact."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    @abstractmethod
    def key(self, artefact: Artefact, producer: str) -> str:
        """Return the key that decides whether what the bundle has is the wanted one."""

    @abstractmethod
    def inputs(self, artefact: Artefact) -> list[str]:
        """Return the names of files, programs and trees that making it from source needs."""

    @abstractmethod
    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """Make the artefact, place it in the bundle, and return its entries (without what all entries share)."""

    def cached(self, artefact: Artefact, producer: str) -> bool:
        """Tell whether making it only takes it out of the cache."""
        return self.workshop.cache.get(self.key(artefact, producer)) is not None

    def intact(self, index: Index, entry: Entry) -> bool:
        """Tell cheaply whether the bundle still has what the entry says."""
        return index.intact(entry)


def _file_entry(index: Index, path: str, content: CachedObject, mode: int = 0o644) -> Entry:
    entry: Entry = {"path": path, "sha256": content.meta["sha256"], "size": content.meta["size"]}
    index.place(entry, content.content, mode)
    return entry


class FileKind(Kind):
    """Executables: a program of a component, or a download (or member of a downloaded archive)."""

    def key(self, artefact: Artefact, producer: str) -> str:
        """See the base class."""
        if producer == "upstream" and artefact.upstream is not None:
            return self.workshop.upstream.file_key(artefact.upstream)
        return self.workshop.go.key(*self.workshop.item(str(artefact.source["item"])))

    def inputs(self, artefact: Artefact) -> list[str]:
        """See the base class."""
        return [str(artefact.source["item"])]

    def content(self, artefact: Artefact, producer: str) -> CachedObject:
        """Return the file or tree itself."""
        if producer == "upstream" and artefact.upstream is not None:
            return self.workshop.upstream.file(artefact.upstream)
        name = str(artefact.source["item"])
        component, item = self.workshop.item(name)
        return self.workshop.go.build(component, [item])[name]

    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """See the base class."""
        return [_file_entry(index, f"files/{artefact.name}", self.content(artefact, producer), 0o755)]


class ChartKind(FileKind):
    """Helm charts: packaged from the module's directory without time stamps, or downloaded."""

    def key(self, artefact: Artefact, producer: str) -> str:
        """See the base class."""
        content = super().key(artefact, producer)
        if producer == "upstream":
            return content
        return key_of({"recipe": "chart/1", "tree": content, "path": artefact.source["path"], "name": artefact.name})

    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """See the base class."""
        cache, key = self.workshop.cache, self.key(artefact, producer)
        content = cache.get(key)
        if content is None:
            content = self.content(artefact, producer)
            if producer == "source":
                with self.workshop.cache.scratch(artefact.name) as scratch:
                    packed = scratch / "chart.tgz"
                    packed.write_bytes(package_chart(artefact.name, content.content / str(artefact.source["path"])))
                    content = cache.put(key, packed, {"name": artefact.name})
        return [_file_entry(index, f"charts/{artefact.name}-{artefact.version}.tgz", content)]


class ManifestKind(FileKind):
    """Kubernetes manifests: directories of the release's tree that ``kubectl kustomize`` renders, and single files."""

    def key(self, artefact: Artefact, producer: str) -> str:
        """See the base class."""
        tree = super().key(artefact, producer)
        inputs = {"recipe": "manifest/1", "tree": tree, "kustomize": list(artefact.kustomize)}
        return key_of(inputs | ({"documents": list(artefact.documents)} if artefact.documents else {}))

    def inputs(self, artefact: Artefact) -> list[str]:
        """See the base class."""
        return [*super().inputs(artefact), "kubectl"]

    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """See the base class."""
        cache, key = self.workshop.cache, self.key(artefact, producer)
        content = cache.get(key)
        if content is None:
            tree = self.content(artefact, producer).content
            kubectl = self.workshop.input("kubectl")
            kubectl.chmod(0o755)
            documents = [run_tool([str(kubectl), "kustomize", str(tree / part)]) for part in artefact.kustomize]
            documents += [(tree / part).read_text(encoding="utf-8") for part in artefact.documents]
            with self.workshop.cache.scratch(artefact.name) as scratch:
                joined = scratch / "manifest.yaml"
                joined.write_text(
                    "---\n".join(document.rstrip("\n") + "\n" for document in documents), encoding="utf-8"
                )
                content = cache.put(key, joined, {"name": artefact.name})
        return [_file_entry(index, f"manifests/{artefact.name}.yaml", content)]


class ImageKind(Kind):
    """Container images: assembled by the image recipes, or pulled by digest. Each is cached as a layout of its own."""

    def key(self, artefact: Artefact, producer: str) -> str:
        """See the base class."""
        if producer == "upstream":
            return key_of({"recipe": "pull/1", "name": _reference(artefact), "digest": artefact.digest})
        return key_of(
            {
                "recipe": "image/1",
                "name": _reference(artefact),
                "labels": _labels(artefact),
                "image": self.workshop.images.fingerprint(artefact.source),
                "inputs": {name: self.workshop.input_key(name) for name in self.inputs(artefact)},
            }
        )

    def inputs(self, artefact: Artefact) -> list[str]:
        """See the base class."""
        return recipe_inputs(artefact.source)

    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """See the base class."""
        reference = _reference(artefact)
        cached = self.workshop.cache.get(self.key(artefact, producer))
        if cached is None:
            with self.workshop.cache.scratch(artefact.name) as scratch:
                layout = OciLayout(scratch / "layout")
                if producer == "upstream":
                    self.workshop.upstream.image(artefact.address, artefact.digest, layout, reference)
                    pinned = with_pin(artefact, self.workshop.upstream.pins)
                else:
                    pinned = artefact
                    self.workshop.images.build(
                        artefact.source,
                        self.workshop.input,
                        layout,
                        scratch,
                        reference=reference,
                        labels=_labels(artefact),
                    )
                key = self.key(pinned, producer)
                cached = self.workshop.cache.put(key, layout.directory, {"name": reference})
        target = OciLayout(index.directory / "images")
        digest = target.copy_image(OciLayout(cached.content), reference)
        size = sum(blob[1] for blob in Layout(target.directory).manifest(reference).blobs.values())
        common: Entry = {"repository": artefact.repository, "tag": artefact.tag}
        return [{**common, "digest": digest, "path": "images", "size": size}]

    def intact(self, index: Index, entry: Entry) -> bool:
        """See the base class: the layout names the digest, and every blob has its size."""
        try:
            manifest = Layout(index.path(entry)).manifest(f"{entry['repository']}:{entry['tag']}")
        except OciError:
            return False
        return bool(manifest.digest == entry["digest"])


class PackageKind(Kind):
    """Debian packages: one artefact is a selection with its dependencies; each package is an entry of the bundle."""

    def key(self, artefact: Artefact, producer: str) -> str:
        """See the base class."""
        sums = [package.sha256 for package in self._packages(artefact)]
        return key_of({"recipe": "packages/1", "distribution": artefact.distribution, "packages": sums})

    def inputs(self, artefact: Artefact) -> list[str]:
        """See the base class."""
        return []

    def make(self, artefact: Artefact, producer: str, index: Index) -> list[Entry]:
        """See the base class."""
        entries = []
        for package in self._packages(artefact):
            entry: Entry = {
                "name": package.name,
                "version": package.version,
                "distribution": artefact.distribution,
                "path": f"packages/{package.filename}",
                "sha256": package.sha256,
                "size": package.size,
            }
            index.place(entry, self.workshop.debian.fetch(package), 0o644)
            entries.append(entry)
        return entries

    def cached(self, artefact: Artefact, producer: str) -> bool:
        """See the base class."""
        store = self.workshop.debian.cache
        return all((store / p.sha256[:2] / p.sha256).is_file() for p in self._packages(artefact))

    def _packages(self, artefact: Artefact) -> list[Package]:
        return self.workshop.debian.packages(str(artefact.source["selection"]))


def kinds(workshop: Workshop) -> dict[str, Kind]:
    """Return the kinds by name, in the order in which they are made: images come last, they need the others."""
    return {
        "package": PackageKind(workshop),
        "file": FileKind(workshop),
        "chart": ChartKind(workshop),
        "manifest": ManifestKind(workshop),
        "image": ImageKind(workshop),
    }


def package_chart(name: str, directory: Path) -> bytes:
    """Return a chart archive whose bytes depend on the chart alone; patterns of ``.helmignore`` stay out."""
    ignore = directory / ".helmignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    files = {
        f"{name}/{path}": content
        for path, content in directory_files(directory).items()
        if not any(fnmatch.fnmatch(part, pattern) for part in Path(path).parts for pattern in patterns)
    }
    return archive(files)


def _reference(artefact: Artefact) -> str:
    return f"{artefact.repository}:{artefact.tag}"


def _labels(artefact: Artefact) -> dict[str, str]:
    """Return labels of the image specification's annotation keys."""
    labels = {
        "title": artefact.name,
        "version": artefact.version,
        "licenses": artefact.licence,
        "source": "https://github.com/onprem-platform/onprem.platform",
    }
    return {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
