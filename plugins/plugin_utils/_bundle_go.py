# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Producer ``source`` for programs and source trees of published Go modules.

A component is a wrapper module (``sources/<component>/go.mod`` and ``go.sum``) that pins its module and all of that
module's dependencies. Its programs are compiled with a private module cache, which is gone afterwards; each program is
started once before it is stored. Module checksums are verified by the Go tool against ``go.sum``. What the compiler
made of packages that several components use, the standard library at least, is kept until the run has compiled all.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._bundle_cache import Cache, CachedObject, remove_tree
from ._bundle_common import BundleError, Report, human_size, key_of, run_tool, tree_digests
from ._bundle_lock import Component, Edit, Program, Tree

GO_ENVIRONMENT = {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1", "GOTOOLCHAIN": "local", "GOWORK": "off"}
COMPONENT_SPACE = 15e9
"""Bytes that the caches of the largest component take. Where fewer are free, compiled packages are thrown away."""

_PACKAGE = re.compile(r"[\w.~/-]+")
"""What `go build -v` prints for each package that it compiles."""


@dataclass(frozen=True)
class GoBuilder:
    """Builds what a component offers.

    :ivar sources: directory that has one directory per component.
    :ivar go_version: what ``go env GOVERSION`` says; part of every key.
    """

    cache: Cache
    sources: Path
    go_version: str
    report: Report

    @classmethod
    def create(cls, cache: Cache, sources: Path, report: Report) -> GoBuilder:
        """Return a builder for the Go tool in PATH (or /usr/local/go, where go.dev's archive puts it).

        :raises BundleError: there is no Go.
        """
        return cls(cache, sources, run_tool([go_command(), "env", "GOVERSION"]).strip(), report)

    def key(self, component: Component, item: Program | Tree) -> str:
        """Return the cache key of a program or tree: everything that decides its content."""
        directory = self.sources / component.name
        if isinstance(item, Tree):
            return key_of(
                {
                    "recipe": "tree/1",
                    "module": component.module,
                    "version": component.version,
                    "sums": tree_digests(directory).get("go.sum"),
                    "paths": list(item.paths),
                }
            )
        inputs: dict[str, Any] = {
            "recipe": "go/2",
            "go": self.go_version,
            "environment": GO_ENVIRONMENT,
            "files": tree_digests(directory),
            "copied": {"module": component.module, "sum": component.copy_sum} if component.copy_sum else None,
        }
        if item.c_source is not None:
            inputs |= {
                "recipe": "c/1",
                "source": item.c_source,
                "flags": list(item.flags),
                "version": component.version,
            }
        else:
            inputs |= {
                "package": item.package,
                "tags": list(component.tags),
                "ldflags": list(component.ldflags),
                "cgo": component.cgo,
            }
        return key_of(inputs)

    def build(
        self, component: Component, items: Iterable[Program | Tree], prepared: Session | None = None
    ) -> dict[str, CachedObject]:
        """Return name -> cached object for some of a component's programs and trees; build those that are absent.

        :param prepared: a session whose modules were downloaded before.
        :raises BundleError: Go refuses a module, the compiler fails, or a finished program does not start.
        """
        wanted = {item.name: item for item in items}
        done: dict[str, CachedObject] = {}

        def look() -> list[Program | Tree]:
            for name, item in wanted.items():
                cached = None if name in done else self.cache.get(self.key(component, item))
                if cached is not None:
                    done[name] = cached
            return [item for name, item in wanted.items() if name not in done]

        missing = look()
        trees = [item for item in missing if isinstance(item, Tree)]
        if trees:
            # A tree is one download: it does not wait for another run that compiles.
            with self.cache.scratch(component.name) as work:
                session = Session(self, component, work)
                for tree in trees:
                    done[tree.name] = session.produce(tree)
        if len(trees) < len(missing):
            # One build at a time per cache: two would only share the processors and double the disk they need.
            with self.cache.lock("build", self.report):
                programs = look()
                if programs:
                    with self.cache.work_directory(component.name) as work:
                        session = prepared or Session(self, component, work)
                        for item in programs:
                            done[item.name] = session.produce(item)
                    if self.cache.free_space() < COMPONENT_SPACE:
                        remove_tree(self.compiler_cache)
        return done

    @contextlib.contextmanager
    def ahead(self) -> Iterator[Ahead]:
        """Download modules of a component while another one is compiled. Only one run does so; others do without."""
        with contextlib.ExitStack() as stack:
            directory: Path | None = None
            with contextlib.suppress(BlockingIOError):
                stack.enter_context(self.cache.lock("ahead", wait=False))
                directory = self.cache.directory / "ahead"
                stack.callback(remove_tree, directory)
            # Entered last: what is under way ends before its directory is removed.
            downloads = stack.enter_context(ThreadPoolExecutor(1))
            yield Ahead(self, directory, downloads)

    @property
    def compiler_cache(self) -> Path:
        """Go's build cache (``GOCACHE``), used with the build lock held only."""
        return self.cache.directory / "compiler"

    def forget_compiled(self) -> None:
        """Remove the compiler's cache, when nothing is left to compile."""
        with self.cache.lock("build", self.report):
            remove_tree(self.compiler_cache)


class Ahead:
    """Sessions of components that are compiled later.

    A download waits for the network and a compiler for the processors, so both are done at once. What fails here is
    done again when it is the component's turn, and said then.
    """

    def __init__(self, builder: GoBuilder, directory: Path | None, downloads: ThreadPoolExecutor) -> None:
        """Use a directory of this run alone; without one, nothing is done ahead."""
        self._builder, self._directory, self._downloads = builder, directory, downloads
        self._begun: dict[str, Future[Session]] = {}

    def begin(self, component: Component, items: Iterable[Program | Tree]) -> None:
        """Download what a component's programs need, in the background."""
        programs = [item for item in items if isinstance(item, Program)]
        if programs and self._directory is not None:
            work = self._directory / component.name
            self._begun[component.name] = self._downloads.submit(self._prepare, component, programs, work)

    def _prepare(self, component: Component, programs: list[Program], work: Path) -> Session:
        remove_tree(work)
        work.mkdir(parents=True)
        session = Session(self._builder, component, work)
        session.download(programs)
        return session

    @contextlib.contextmanager
    def session(self, component: Component) -> Iterator[Session | None]:
        """Yield the session that was begun for a component; None if there is none. Its directory is gone afterwards."""
        begun = self._begun.pop(component.name, None)
        session: Session | None = None
        if begun is not None:
            with contextlib.suppress(BundleError, OSError):
                session = begun.result()
        try:
            yield session
        finally:
            if self._directory is not None:
                remove_tree(self._directory / component.name)


class Session:
    """One component in one private work directory."""

    def __init__(self, builder: GoBuilder, component: Component, work: Path) -> None:
        self.builder, self.component, self.work = builder, component, work
        self.module = work / "module"
        self.environment = {
            **os.environ,
            **GO_ENVIRONMENT,
            "GOFLAGS": "-modcacherw",
            "GOMODCACHE": str(work / "modules"),
            "GOCACHE": str(builder.compiler_cache),
            "GOTMPDIR": str(work / "temporary"),
            "CGO_ENABLED": "1" if component.cgo else "0",
        }
        (work / "temporary").mkdir()
        (work / "output").mkdir()
        shutil.copytree(builder.sources / component.name, self.module)
        if component.copy_sum:
            self._copy_module()

    def _download(self, module: str) -> dict[str, Any]:
        """Fetch one module; the Go tool checks it against go.sum, or the checksum database when it is not listed."""
        answer: dict[str, Any] = json.loads(
            run_tool(
                [go_command(), "mod", "download", "-json", module], directory=self.module, environment=self.environment
            )
        )
        if answer.get("Error"):
            raise BundleError(f"{module}: {answer['Error']}")
        return answer

    def download(self, programs: Iterable[Program]) -> None:
        """Fetch all modules that programs consist of.

        :raises BundleError: Go refuses one.
        """
        packages = sorted({item.package for item in programs if item.package is not None})
        if packages:
            tags = ",".join(self.component.tags)
            run_tool(
                [go_command(), "list", "-deps", "-mod=readonly", "-tags", tags, "-f", "", *packages],
                directory=self.module,
                # The compiler's belongs to whoever holds the build lock.
                environment={**self.environment, "GOCACHE": str(self.work / "list")},
            )

    def _copy_module(self) -> None:
        """Copy the module to ./src, where go.mod's replace points, and apply the recipe's edits to the copy."""
        component = self.component
        answer = self._download(f"{component.module}@{component.version}")
        if answer["Sum"] != component.copy_sum:
            raise BundleError(f"{component.module}: checksum is {answer['Sum']}, the lock says {component.copy_sum}.")
        target = self.module / "src"
        shutil.copytree(answer["Dir"], target)
        for edit in component.edits:
            path = target / edit.path
            if edit.old is None:
                self._add_file(path, edit)
                continue
            text = path.read_text(encoding="utf-8")
            found = text.count(edit.old)
            if found != 1:
                raise BundleError(
                    f"{component.name}: the edit of {edit.path} expects its old text once, found it {found} times. "
                    "The module changed: review the edit."
                )
            path.chmod(0o644)
            path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")

    def _add_file(self, path: Path, edit: Edit) -> None:
        """Make a file that the module lacks; its directories are as read-only as the module cache made them."""
        if path.exists():
            raise BundleError(
                f"{self.component.name}: the edit makes {edit.path}, which the module has. Review the edit."
            )
        for parent in (parent for parent in reversed(path.parents) if parent.is_relative_to(self.module / "src")):
            parent.mkdir(exist_ok=True)
            parent.chmod(0o755)
        path.write_text(edit.new, encoding="utf-8")

    def produce(self, item: Program | Tree) -> CachedObject:
        """Build one item and put it into the cache."""
        started = time.monotonic()
        output = self.work / "output" / item.name
        if isinstance(item, Tree):
            self._extract(item, output)
        elif item.c_source is not None:
            source = Path(self._download(self.component.module)["Dir"]) / item.c_source
            run_tool(["gcc", *item.flags, "-o", str(output), str(source)])
        else:
            self._compile(item, output)
        if isinstance(item, Program):
            self._start_once(item, output)
        seconds = round(time.monotonic() - started, 1)
        stored = self.builder.cache.put(
            self.builder.key(self.component, item),
            output,
            {"name": item.name, "component": self.component.name, "seconds": seconds},
        )
        size = f", {human_size(stored.meta['size'])}" if "size" in stored.meta else ""
        self.builder.report(f"{self.component.name}: {item.name} built in {seconds:.0f} s{size}")
        return stored

    def _compile(self, item: Program, output: Path) -> None:
        component = self.component
        options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-tags", ",".join(component.tags)]
        # The linker leaves debugging information out (-s): a fifth less work for the compiler that does not make it.
        options += ["-gcflags=all=-dwarf=false", "-ldflags", " ".join(component.ldflags)]
        compiled = 0

        def progress(line: str) -> bool:
            """Tell the names of packages, one for each that is compiled, from messages."""
            nonlocal compiled
            is_package = _PACKAGE.fullmatch(line) is not None
            compiled += is_package
            return is_package

        def heartbeat(seconds: float) -> None:
            self.builder.report(f"{component.name}: {item.name}, {compiled} packages compiled, {seconds:.0f} s")

        run_tool(
            [go_command(), "build", "-v", *options, "-o", str(output), str(item.package)],
            directory=self.module,
            environment=self.environment,
            progress=progress,
            heartbeat=heartbeat,
        )

    def _start_once(self, item: Program, output: Path) -> None:
        """Start the finished program as the recipe says and look for the text that it must print."""
        output.chmod(0o755)
        scratch = self.work / "check"
        scratch.mkdir(exist_ok=True)
        text = run_tool(
            # Usage texts end with status 1 or 2 in some programs: what is printed decides, not the status.
            ["timeout", "60", "sh", "-c", '"$0" "$@" 2>&1; exit 0', str(output), *item.arguments],
            directory=scratch,
            environment={"PATH": os.environ.get("PATH", ""), "HOME": str(scratch), **item.environment},
        )
        remove_tree(scratch)
        if item.prints not in text:
            raise BundleError(f"{item.name} was built but does not print {item.prints!r}; it printed: {text[:400]!r}")

    def _extract(self, item: Tree, output: Path) -> None:
        source = Path(self._download(self.component.module)["Dir"])
        output.mkdir()
        for relative in item.paths:
            found, target = source / relative, output / relative
            if not found.exists():
                raise BundleError(f"{self.component.module} {self.component.version} has no {relative}.")
            target.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, target)
            else:
                shutil.copy2(found, target)


def go_command() -> str:
    """Return the Go tool's path.

    :raises BundleError: Go is not installed.
    """
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise BundleError(
            "Building from source needs Go (https://go.dev/dl/); no `go` is in PATH or /usr/local/go/bin. "
            "Install it, or use producer: upstream."
        )
    return found
