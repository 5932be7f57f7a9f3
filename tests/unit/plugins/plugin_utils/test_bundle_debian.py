# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import hashlib
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils import _bundle_debian as debian
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.tests.unit.plugins.plugin_utils.debian_package import make_package

FILES = Path(__file__).parents[4] / "roles" / "bundle" / "files"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A mirror on loopback: its address and the directory that it serves."""
    root = tmp_path / "mirror"
    root.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", root
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(debian, "UPSTREAM", "http://127.0.0.1:9")
    monkeypatch.setattr(debian, "SNAPSHOT", "http://127.0.0.1:9/snapshot")


def packages(tmp_path: Path, content: bytes, mirrors: list[str]) -> debian.DebianPackages:
    directory = tmp_path / "debian"
    directory.mkdir(exist_ok=True)
    selections = {
        "suites": {"trixie": [{"archive": "debian", "suite": "trixie"}]},
        "selections": {"small": {"suite": "trixie", "packages": ["hello"]}},
    }
    pin = {
        "version": "1.0-1",
        "architecture": "amd64",
        "archive": "debian",
        "path": "pool/main/h/hello/hello_1.0-1_amd64.deb",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    pins = {"snapshot": "20260102T000000Z", "selections": {"small": ["hello"]}, "packages": {"trixie": {"hello": pin}}}
    (directory / "selections.yml").write_text(yaml.safe_dump(selections))
    (directory / "pins.yml").write_text(yaml.safe_dump(pins))
    return debian.DebianPackages(directory, tmp_path / "cache", {"debian": mirrors})


def publish(root: Path, content: bytes) -> None:
    place = root / "debian/pool/main/h/hello/hello_1.0-1_amd64.deb"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def test_fetches_once_and_places_under_the_archive_name(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    address, root = mirror
    content = make_package("hello", {"usr/bin/hello": b"hello"})
    publish(root, content)
    store = packages(tmp_path, content, [f"{address}/debian"])
    assert not store.cached(store.packages("small")[0])
    placed = store.fetch_packages("small", tmp_path / "out")
    assert [path.name for path in placed] == ["hello_1.0-1_amd64.deb"]
    assert placed[0].read_bytes() == content
    shutil.rmtree(root / "debian")
    assert store.cached(store.packages("small")[0])
    placed[0].unlink()
    assert store.fetch_packages("small", tmp_path / "out")[0].read_bytes() == content


def test_takes_the_next_mirror_when_one_has_other_content(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    address, root = mirror
    content = make_package("hello", {"usr/bin/hello": b"hello"})
    publish(root, content)
    shutil.copytree(root / "debian", root / "bad")
    (root / "bad/pool/main/h/hello/hello_1.0-1_amd64.deb").write_bytes(b"tampered")
    store = packages(tmp_path, content, [f"{address}/bad", f"{address}/debian"])
    assert store.fetch(store.packages("small")[0]).read_bytes() == content


def test_tries_again_when_the_server_fails_in_passing(
    tmp_path: Path, mirror: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, root = mirror
    content = make_package("hello", {"usr/bin/hello": b"hello"})
    publish(root, content)
    asked: list[str] = []
    serve = _Quiet.do_GET

    def fail_first(handler: _Quiet) -> None:
        asked.append(handler.path)
        if len(asked) == 1:
            handler.send_error(503)
        else:
            serve(handler)

    monkeypatch.setattr(_Quiet, "do_GET", fail_first)
    store = packages(tmp_path, content, [f"{address}/debian"])
    assert store.fetch(store.packages("small")[0]).read_bytes() == content
    assert len(asked) == 2


def test_names_every_mirror_and_the_remedy_when_a_version_is_gone(tmp_path: Path, mirror: tuple[str, Path]) -> None:
    address, root = mirror
    content = make_package("hello", {"usr/bin/hello": b"hello"})
    publish(root, content[:-10])
    store = packages(tmp_path, content, [f"{address}/absent", f"{address}/debian"])
    with pytest.raises(BundleError) as caught:
        store.fetch(store.packages("small")[0])
    message = str(caught.value)
    assert "hello 1.0-1" in message and "apt sources" in message
    assert "404" in message and "SHA-256 is" in message and "/snapshot/debian/20260102T000000Z/pool/" in message
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_refuses_unknown_selections_and_missing_pins(tmp_path: Path) -> None:
    store = packages(tmp_path, b"", [])
    with pytest.raises(BundleError, match="'large' is no selection"):
        store.packages("large")
    (tmp_path / "debian" / "pins.yml").unlink()
    store = debian.DebianPackages(tmp_path / "debian", tmp_path / "cache")
    with pytest.raises(BundleError, match="has no pins"):
        store.packages("small")


def test_refuses_an_unknown_key_of_a_selection(tmp_path: Path) -> None:
    packages(tmp_path, b"", [])
    path = tmp_path / "debian" / "selections.yml"
    path.write_text(path.read_text().replace("suite: trixie\n", "suite: trixie\n    sweet: yes\n", 1))
    with pytest.raises(BundleError, match="Debian selection small"):
        debian.DebianPackages(tmp_path / "debian", tmp_path / "cache")


def test_reads_both_formats_of_apt_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/x] http://one.example/debian/ trixie main\n"
        "deb-src http://source.example/debian trixie main\n"
        "deb cdrom:[x]/debian trixie main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\nURIs: https://two.example/debian https://two.example/debian-security\nSuites: trixie\n\n"
        "Types: deb\nURIs:\n https://three.example/other\nSuites: x\n"
    )
    assert debian.configured_mirrors(tmp_path) == {
        "debian": ["http://one.example/debian/", "https://two.example/debian"],
        "debian-security": ["https://two.example/debian-security"],
    }
    assert debian.configured_mirrors(tmp_path / "absent") == {}


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt exists on Debian and its derivatives only")
def test_apt_resolves_a_closure_without_what_is_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository on disk: application -> library -> base; tool is provided; present packages bring nothing in."""
    monkeypatch.setenv("LC_ALL", "C")
    repository = tmp_path / "repository"
    repository.mkdir()
    depends = {
        "application": "library (>= 1), tool",
        "library": "base (= 1.0-1)",
        "base": "",
        "tool": "heavy",
        "heavy": "",
    }
    index = ""
    for name, needs in depends.items():
        content = make_package(name, {f"usr/share/{name}": b"x"}, depends=needs)
        (repository / f"{name}.deb").write_bytes(content)
        index += f"Package: {name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: x <x@example.com>\n"
        index += f"Depends: {needs}\n" if needs else ""
        index += f"Filename: ./{name}.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        index += "Description: test\n\n"
    (repository / "Packages").write_text(index)
    subprocess.run(["chmod", "-R", "a+rX", str(tmp_path)], check=True)
    state = tmp_path / "apt"
    state.mkdir()
    apt = debian._Apt(state, f"deb [arch=amd64 trusted=yes] file:{repository} ./\n")
    assert sorted(p.name for p in apt.closure(["application"], [])) == sorted(depends)
    found = apt.closure(["application"], ["base", "tool"])
    assert sorted(p.name for p in found) == ["application", "library"]
    application = next(p for p in found if p.name == "application")
    assert application.sha256 == hashlib.sha256((repository / "application.deb").read_bytes()).hexdigest()
    assert application.archive == "debian" and application.size == (repository / "application.deb").stat().st_size
    assert apt.closure(["base"], ["base"]) == []


def test_packages_of_the_security_archive_are_told_by_their_path() -> None:
    stanza = "Package: x\nVersion: 2\nArchitecture: amd64\nSize: 5\nSHA256: ab\n"
    stanza += "Filename: pool/updates/main/x/x_2_amd64.deb\n"
    assert debian._package(stanza).archive == "debian-security"


def test_changes_of_pins_name_both_versions() -> None:
    before = {"trixie": {"a": {"version": "1"}, "b": {"version": "1"}}}
    now = {"trixie": {"a": {"version": "2"}, "c": {"version": "1"}}}
    assert debian._changes(before, now) == {"trixie/a": ("1", "2"), "trixie/b": ("1", ""), "trixie/c": ("", "1")}


def test_the_shipped_pins_cover_the_shipped_selections(tmp_path: Path) -> None:
    store = debian.DebianPackages(FILES / "debian", tmp_path)
    for name, selection in store.selections.items():
        if not selection.fetched:
            continue
        pinned = store.packages(name)
        assert pinned, name
        assert {n for n in selection.packages if not n.startswith("?")} <= {p.name for p in pinned}, name
        for package in pinned:
            assert len(package.sha256) == 64 and package.size > 0 and package.path.startswith("pool/")
            assert package.archive in ("debian", "debian-security")
            assert package.architecture in ("amd64", "all")
        assert not {p.name for p in pinned} & set(selection.provided), name
