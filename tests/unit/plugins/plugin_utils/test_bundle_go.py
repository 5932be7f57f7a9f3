# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building from source with the real compiler, on a module that needs no network; keys; edits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils import _bundle_go
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_go import GoBuilder
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import Component, Edit, Program, Tree

MAIN = """package main

var version = "unset"

func main() { println("tool", version) }
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return a directory with one wrapper module that replaces its tool by a directory beside it."""
    wrapper = tmp_path / "sources" / "tool"
    (wrapper / "module" / "config").mkdir(parents=True)
    (wrapper / "go.mod").write_text(
        "module example.org/wrapper\n\ngo 1.21\n\nrequire example.org/tool v1.0.0\n\n"
        "replace example.org/tool => ./module\n",
        encoding="utf-8",
    )
    (wrapper / "go.sum").write_text("", encoding="utf-8")
    (wrapper / "module" / "go.mod").write_text("module example.org/tool\n\ngo 1.21\n", encoding="utf-8")
    (wrapper / "module" / "main.go").write_text(MAIN, encoding="utf-8")
    return tmp_path / "sources"


TOOL = Program("tool", prints="tool v1.0.0", package="example.org/tool")
COMPONENT = Component(
    name="tool",
    module="example.org/tool",
    version="v1.0.0",
    licence="MIT",
    ldflags=("-s -w", "-X main.version=v1.0.0"),
    programs={"tool": TOOL},
)


@pytest.fixture
def builder(sources: Path, tmp_path: Path) -> GoBuilder:
    """Return a builder with an empty cache."""
    return GoBuilder.create(Cache(tmp_path / "cache"), sources, lambda _line: None)


def test_program_is_built_checked_and_cached(builder: GoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    built = builder.build(COMPONENT, [TOOL])["tool"]
    assert built.content.read_bytes()[:4] == b"\x7fELF"
    assert (built.meta["component"], built.meta["name"]) == ("tool", "tool")
    assert list(builder.cache.work.iterdir()) == [], "the module cache is gone"
    assert any(builder.compiler_cache.iterdir()), "what was compiled serves the next component"
    builder.forget_compiled()
    assert not builder.compiler_cache.exists()
    monkeypatch.setattr(_bundle_go, "Session", None)
    assert builder.build(COMPONENT, [TOOL])["tool"].meta == built.meta


def test_modules_are_downloaded_ahead(builder: GoBuilder) -> None:
    ahead_directory = builder.cache.directory / "ahead"
    with builder.ahead() as ahead:
        ahead.begin(COMPONENT, [TOOL])
        with ahead.session(COMPONENT) as prepared:
            assert prepared is not None and prepared.work == ahead_directory / "tool"
            # Another run at the same time does without.
            with builder.ahead() as other:
                other.begin(COMPONENT, [TOOL])
                with other.session(COMPONENT) as second:
                    assert second is None
            assert builder.build(COMPONENT, [TOOL], prepared)["tool"].meta["name"] == "tool"
        assert list(ahead_directory.iterdir()) == []
        with ahead.session(COMPONENT) as again:
            assert again is None
    assert not ahead_directory.exists()


def test_what_fails_ahead_is_said_when_it_is_built(builder: GoBuilder, sources: Path) -> None:
    (sources / "tool" / "module" / "main.go").write_text(
        'package main\nimport _ "example.org/absent"\n', encoding="utf-8"
    )
    with builder.ahead() as ahead:
        ahead.begin(COMPONENT, [TOOL])
        with ahead.session(COMPONENT) as prepared, pytest.raises(BundleError, match=r"example\.org/absent"):
            builder.build(COMPONENT, [TOOL], prepared)


@pytest.mark.long
def test_compiled_packages_make_room_where_the_disk_is_full(
    builder: GoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bundle_go, "COMPONENT_SPACE", builder.cache.free_space() * 2)
    builder.build(COMPONENT, [TOOL])
    assert not builder.compiler_cache.exists()


@pytest.mark.long
def test_equal_recipes_give_equal_bytes(sources: Path, tmp_path: Path) -> None:
    digests = {
        GoBuilder.create(Cache(tmp_path / name), sources, lambda _line: None)
        .build(COMPONENT, [TOOL])["tool"]
        .meta["sha256"]
        for name in ("one", "two")
    }
    assert len(digests) == 1


@pytest.mark.long
def test_program_that_says_something_else_is_not_stored(builder: GoBuilder) -> None:
    wrong = dataclasses.replace(TOOL, prints="tool v2")
    with pytest.raises(BundleError, match=r"does not print 'tool v2'; it printed: 'tool v1\.0\.0"):
        builder.build(COMPONENT, [wrong])
    assert builder.cache.get(builder.key(COMPONENT, wrong)) is None
    assert list(builder.cache.work.iterdir()) == []


@pytest.mark.long
def test_compiler_error_is_shown(builder: GoBuilder, sources: Path) -> None:
    (sources / "tool" / "module" / "main.go").write_text("package main\nfunc main() { nothing() }\n", encoding="utf-8")
    with pytest.raises(BundleError, match="undefined: nothing") as caught:
        builder.build(COMPONENT, [TOOL])
    assert "\nexample.org/tool\n" not in str(caught.value), "names of compiled packages do not bury the error"


def test_incomplete_go_mod_is_refused_not_completed(builder: GoBuilder, sources: Path) -> None:
    path = sources / "tool" / "go.mod"
    path.write_text(path.read_text(encoding="utf-8").replace("require example.org/tool v1.0.0\n", ""), encoding="utf-8")
    with pytest.raises(BundleError, match=r"go get example\.org/tool|go: updates to go\.mod needed|no required module"):
        builder.build(COMPONENT, [TOOL])


CHANGES: dict[str, dict[str, Any]] = {
    "ldflags": {"ldflags": ("-s",)},
    "tags": {"tags": ("netgo",)},
    "cgo": {"cgo": True},
    "copied module": {"copy_sum": "h1:x"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_key_follows_the_recipe(builder: GoBuilder, change: dict[str, Any]) -> None:
    assert builder.key(dataclasses.replace(COMPONENT, **change), TOOL) != builder.key(COMPONENT, TOOL)


def test_key_follows_files_package_and_go_but_nothing_else(builder: GoBuilder, sources: Path) -> None:
    key = builder.key(COMPONENT, TOOL)
    same = dataclasses.replace(COMPONENT, licence="X", differs_from_upstream=("y",), trees={"t": Tree("t", ("a",))})
    assert builder.key(same, dataclasses.replace(TOOL, arguments=("-v",), prints="other")) == key
    assert builder.key(COMPONENT, dataclasses.replace(TOOL, package="example.org/tool/cmd")) != key
    assert dataclasses.replace(builder, go_version="go1.99").key(COMPONENT, TOOL) != key
    (sources / "tool" / "go.sum").write_text("example.org/x v1 h1:y\n", encoding="utf-8")
    assert builder.key(COMPONENT, TOOL) != key


def test_shipped_keys_are_what_they_were() -> None:
    """A key that changes by accident compiles everything anew for every user."""
    component = dataclasses.replace(COMPONENT, name="absent")
    builder = GoBuilder(Cache(Path("/nonexistent")), Path("/nonexistent"), "go1.26.8", lambda _line: None)
    assert builder.key(component, TOOL) == "785621d9fca0ca332bd62687000eaba17b2af130404f289fac3b56ab946e8a4d"


@pytest.fixture
def downloads(builder: GoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the download of a module by a directory of this machine; the checksum is what the Go tool would say."""
    module = tmp_path / "downloaded"
    (module / "config").mkdir(parents=True)
    (module / "config" / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    (module / "main.go").write_text(MAIN, encoding="utf-8")
    (module / "main.go").chmod(0o444)
    (module / "go.mod").write_text("module example.org/tool\n\ngo 1.21\n", encoding="utf-8")
    (module / "pause.c").write_text(
        '#include <stdio.h>\nint main(void) { puts("pause " VERSION); }\n', encoding="utf-8"
    )
    real = _bundle_go.run_tool

    def run_tool(arguments: list[str], **options: Any) -> str:
        if arguments[1:3] == ["mod", "download"]:
            return json.dumps({"Dir": str(module), "Sum": "h1:right"})
        return real(arguments, **options)

    monkeypatch.setattr(_bundle_go, "run_tool", run_tool)
    return module


def test_edits_are_applied_to_a_copy(builder: GoBuilder, sources: Path, downloads: Path) -> None:
    go_mod = sources / "tool" / "go.mod"
    go_mod.write_text(go_mod.read_text(encoding="utf-8").replace("./module", "./src"), encoding="utf-8")
    edited = dataclasses.replace(
        COMPONENT, copy_sum="h1:right", edits=(Edit("main.go", '"tool", version', '"tool", version, "edited"'),)
    )
    program = dataclasses.replace(TOOL, prints="tool v1.0.0 edited")
    assert builder.build(edited, [program])["tool"].meta["size"] > 0
    assert (downloads / "main.go").read_text(encoding="utf-8") == MAIN


@pytest.mark.parametrize("old", ["not there", "version"])
def test_edit_that_does_not_fit_once_is_refused(builder: GoBuilder, downloads: Path, old: str) -> None:
    edited = dataclasses.replace(COMPONENT, copy_sum="h1:right", edits=(Edit("main.go", old, "x"),))
    with pytest.raises(BundleError, match=r"expects its old text once, found it [02] times"):
        builder.build(edited, [TOOL])


def test_edit_makes_a_file_that_the_module_lacks(builder: GoBuilder, sources: Path, downloads: Path) -> None:
    """As for a program that embeds files which its published module does not carry."""
    go_mod = sources / "tool" / "go.mod"
    go_mod.write_text(go_mod.read_text(encoding="utf-8").replace("./module", "./src"), encoding="utf-8")
    embedding = (
        MAIN.replace("main\n", 'main\n\nimport _ "embed"\n', 1)
        .replace('= "unset"', "string")
        .replace("var version", "//go:embed page/text.txt\nvar version")
    )
    (downloads / "main.go").chmod(0o644)
    (downloads / "main.go").write_text(embedding, encoding="utf-8")
    downloads.chmod(0o555)
    component = dataclasses.replace(
        COMPONENT, ldflags=(), copy_sum="h1:right", edits=(Edit("page/text.txt", None, "embedded"),)
    )
    program = dataclasses.replace(TOOL, prints="tool embedded")
    assert builder.build(component, [program])["tool"].meta["size"] > 0
    assert not (downloads / "page").exists()
    there = dataclasses.replace(component, tags=("other",), edits=(Edit("main.go", None, "x"),))
    with pytest.raises(BundleError, match=r"makes main\.go, which the module has"):
        builder.build(there, [program])


def test_copied_module_with_another_checksum_is_refused(builder: GoBuilder, downloads: Path) -> None:
    with pytest.raises(BundleError, match="checksum is h1:right, the lock says h1:wrong"):
        builder.build(dataclasses.replace(COMPONENT, copy_sum="h1:wrong"), [TOOL])


def test_wrapper_module_may_hold_the_program_itself(builder: GoBuilder, sources: Path) -> None:
    (sources / "tool" / "main.go").write_text(MAIN.replace("unset", "of the wrapper"), encoding="utf-8")
    program = dataclasses.replace(TOOL, package="example.org/wrapper", prints="tool of the wrapper")
    component = dataclasses.replace(COMPONENT, ldflags=())
    key = builder.key(component, program)
    assert builder.build(component, [program])["tool"].meta["size"] > 0
    (sources / "tool" / "main.go").write_text(MAIN, encoding="utf-8")
    assert builder.key(component, program) != key, "a changed source is a changed recipe"


def test_tree_and_c_program_come_from_the_module(builder: GoBuilder, downloads: Path) -> None:
    tree = Tree("tool-config", ("config",))
    flags = ("-Os", "-static", '-DVERSION="v3"')
    pause = Program("pause", prints="pause v3", c_source="pause.c", flags=flags)
    built = builder.build(COMPONENT, [tree, pause])
    assert (built["tool-config"].content / "config" / "a.yaml").read_text(encoding="utf-8") == "a: 1\n"
    assert built["pause"].content.read_bytes()[:4] == b"\x7fELF"
    with pytest.raises(BundleError, match=r"example\.org/tool v1\.0\.0 has no absent"):
        builder.build(COMPONENT, [Tree("other", ("absent",))])


def test_missing_go_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bundle_go.shutil, "which", lambda _name, **_options: None)
    with pytest.raises(BundleError, match="Building from source needs Go"):
        _bundle_go.go_command()
