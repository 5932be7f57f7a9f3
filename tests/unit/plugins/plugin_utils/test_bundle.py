# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling, comparing, repairing and verifying a bundle; upstream is a server on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils import _bundle_go
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle import Bundle
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_index import Index, MissingEntryError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_kinds import package_chart
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import load_lock, read_pins
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_upstream import Upstream

_spec = importlib.util.spec_from_file_location(
    "bundle_upstream_server", Path(__file__).with_name("bundle_upstream_server.py")
)
assert _spec is not None and _spec.loader is not None
server: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(server)


class Site:
    """A lock, a cache and a bundle directory of one test."""

    def __init__(self, directory: Path, fake: Any) -> None:
        self.fake, self.root, self.directory = fake, directory, directory / "bundle"
        self.lines: list[str] = []
        (directory / "lock" / "debian").mkdir(parents=True)
        (directory / "lock" / "debian" / "selections.yml").write_text("suites: {}\nselections: {}\n", encoding="utf-8")
        self.lock: dict[str, Any] = {"schema": 1, "platform": "linux/amd64", "files": [], "images": []}

    def add_file(self, name: str, content: bytes, version: str = "v1", **more: Any) -> None:
        """Publish a file and put it into the lock."""
        sha256 = self.fake.publish(f"/{name}", content)
        upstream = {"url": f"{self.fake.base}/{name}", "sha256": sha256}
        self.lock["files"] = [f for f in self.lock["files"] if f["name"] != name]
        entry = {"name": name, "version": version, "licence": "MIT", "upstream": upstream, **more}
        self.lock["files"].append(entry)

    def add_image(self, name: str, tag: str, layers: list[bytes]) -> None:
        """Publish an image and put it into the lock."""
        digest = self.fake.publish_image(name, tag, layers)
        upstream = {"reference": f"{self.fake.base}/{name}:{tag}", "digest": digest}
        self.lock["images"].append({"name": name, "version": tag, "licence": "MIT", "upstream": upstream})

    def bundle(self, producer: str = "auto", trust: bool = False) -> Bundle:
        """Return the bundle as the lock is now."""
        path = self.root / "lock" / "lock.yml"
        path.write_text(yaml.safe_dump(self.lock), encoding="utf-8")
        cache = Cache(self.root / "cache")
        upstream = Upstream(cache, self.lines.append, trust, attempts=2, backoff=0, timeout=2)
        pins = self.root / "pins.yml"
        return Bundle(self.directory, load_lock(path), cache, upstream, producer, self.lines.append, pins)

    def fill(self, *names: str, **options: Any) -> tuple[bool, dict[str, str]]:
        """Fill the bundle; return whether it changed, and name -> action."""
        outcome = self.bundle(**options).fill(names)
        return outcome.changed, {f"{r.kind}/{r.name}:{r.version}": r.action for r in outcome.results}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A lock with two files and two images."""
    fake = server.FakeUpstream()
    with server.serve(fake):
        site = Site(tmp_path, fake)
        site.add_file("kubectl", b"program one", notice="Read this.")
        site.add_file("runc", b"program two")
        site.add_image("app", "1.0", [b"shared layer", b"one"])
        site.add_image("app", "2.0", [b"shared layer", b"two"])
        yield site


ALL = ("file/kubectl:v1", "file/runc:v1", "image/app:1.0", "image/app:2.0")


def test_plan_changes_nothing_and_says_what_fill_does(site: Site) -> None:
    planned = [(r.kind, r.name, r.action, r.producer) for _a, r in site.bundle().plan()]
    assert planned[0] == ("file", "kubectl", "download", "upstream")
    assert not site.directory.exists()
    assert [request for request in site.fake.requests if "kubectl" in request] == []


def test_fill_then_nothing_to_do(site: Site) -> None:
    assert site.fill() == (True, dict.fromkeys(ALL, "download"))
    requests = len(site.fake.requests)
    index = (site.directory / "index.json").read_text(encoding="utf-8")
    assert site.fill() == (False, dict.fromkeys(ALL, "present"))
    assert (len(site.fake.requests), (site.directory / "index.json").read_text(encoding="utf-8")) == (requests, index)
    assert site.bundle().verify() == []


def test_index_is_what_the_roles_read(site: Site) -> None:
    site.fill()
    data = json.loads((site.directory / "index.json").read_text(encoding="utf-8"))
    assert (data["schema"], data["platform"], data["producer"]) == (1, "linux/amd64", "upstream")
    kubectl, image = data["entries"][0], data["entries"][2]
    wanted = {
        "path": "files/kubectl",
        "size": 11,
        "licence": "MIT",
        "notice": "Read this.",
        "differs_from_upstream": [],
    }
    assert {key: kubectl[key] for key in wanted} == wanted
    assert (site.directory / "files" / "kubectl").stat().st_mode & 0o777 == 0o755
    assert (image["repository"], image["tag"], image["path"]) == ("app", "1.0", "images")
    layout = json.loads((site.directory / "images" / "index.json").read_text(encoding="utf-8"))
    names = [m["annotations"]["org.opencontainers.image.ref.name"] for m in layout["manifests"]]
    assert names == ["app:1.0", "app:2.0"]


def test_find_wants_a_version_when_there_are_several(site: Site) -> None:
    site.fill()
    index = Index(site.directory)
    with pytest.raises(BundleError, match=r"several versions \(1\.0, 2\.0\)"):
        index.find("image", "app")
    assert index.find("image", "app", "2.0")["tag"] == "2.0"
    with pytest.raises(BundleError, match="has no file helm"):
        index.find("file", "helm")


def test_second_bundle_comes_from_the_cache(site: Site) -> None:
    site.fill()
    requests = len(site.fake.requests)
    site.directory = site.root / "other"
    assert site.fill() == (True, dict.fromkeys(ALL, "cache"))
    assert len(site.fake.requests) == requests


def damage_content(directory: Path) -> None:
    path = directory / "files" / "runc"
    path.unlink()
    path.write_bytes(b"program xxx")


def remove_file(directory: Path) -> None:
    (directory / "files" / "runc").unlink()


def damage_blob(directory: Path) -> None:
    for blob in (directory / "images" / "blobs" / "sha256").iterdir():
        if blob.read_bytes() == b"two":
            blob.unlink()


@pytest.mark.parametrize(
    ("damage", "name"),
    [(damage_content, "file/runc:v1"), (remove_file, "file/runc:v1"), (damage_blob, "image/app:2.0")],
)
def test_drift_is_found_and_repaired_alone(site: Site, damage: Callable[[Path], None], name: str) -> None:
    site.fill()
    damage(site.directory)
    assert site.bundle().verify() != []
    changed, actions = site.fill()
    assert actions == {key: "cache" if key == name else "present" for key in ALL}
    assert site.bundle().verify() == []
    assert not changed, "the index is the same as before the damage"


def test_touched_file_is_hashed_and_stays(site: Site) -> None:
    site.fill()
    (site.directory / "files" / "runc").touch()
    assert site.fill()[1]["file/runc:v1"] == "present"


def test_verify_reads_every_byte(site: Site) -> None:
    site.fill()
    path = site.directory / "files" / "runc"
    status = path.stat()
    path.write_bytes(b"program TWO")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert site.fill()[1]["file/runc:v1"] == "present", "size and time are the same"
    assert [problem.partition(":")[0] for problem in site.bundle().verify()] == [str(path)]


def test_verify_names_what_is_missing_strange_and_old(site: Site) -> None:
    assert "index.json: missing" in site.bundle().verify()[0]
    site.fill()
    (site.directory / "files" / "extra").touch()
    site.add_file("helm", b"new")
    site.add_file("runc", b"newer program", "v2")
    problems = "\n".join(site.bundle().verify())
    assert "file/helm: the lock has it, the bundle does not" in problems
    assert "file/runc: the bundle has v1, the lock v2" in problems
    assert "extra: no entry of the index names it" in problems


def test_changed_lock_makes_only_what_changed(site: Site) -> None:
    site.fill()
    site.add_file("runc", b"newer program", "v2")
    changed, actions = site.fill()
    assert changed
    assert actions == {**dict.fromkeys((*ALL[:1], *ALL[2:]), "present"), "file/runc:v2": "download"}


def test_what_the_lock_drops_leaves_the_bundle(site: Site) -> None:
    site.fill()
    site.lock["files"] = site.lock["files"][:1]
    site.lock["images"] = site.lock["images"][:1]
    assert site.bundle().preview().obsolete == ["file/runc", "image/app:2.0"]
    assert site.fill()[0]
    assert not (site.directory / "files" / "runc").exists()
    assert site.bundle().verify() == []
    assert not any(blob.read_bytes() == b"two" for blob in (site.directory / "images/blobs/sha256").iterdir())


def test_names_leave_the_rest_alone(site: Site) -> None:
    assert site.fill("file/kubectl")[1] == {"file/kubectl:v1": "download"}
    site.lock["files"] = site.lock["files"][1:]
    assert site.fill("app")[1] == dict.fromkeys(ALL[2:], "download")
    assert (site.directory / "files" / "kubectl").exists()
    with pytest.raises(BundleError, match=r"The lock has no helm\. It has: app, runc\."):
        site.fill("helm")


def test_failure_keeps_what_was_finished(site: Site) -> None:
    del site.fake.content["/runc"]
    with pytest.raises(BundleError, match="/runc answered 404"):
        site.fill()
    assert [entry["name"] for entry in Index(site.directory).entries] == ["kubectl"]
    site.fake.publish("/runc", b"program two")
    assert site.fill() == (True, {**dict.fromkeys(ALL, "download"), "file/kubectl:v1": "present"})


def test_unpinned_is_refused_at_once_with_every_address(site: Site) -> None:
    for entry in site.lock["files"]:
        entry["upstream"]["sha256"] = None
    with pytest.raises(BundleError, match=r"no checksum in the lock and no pin(.|\n)*kubectl(.|\n)*runc"):
        site.fill(producer="upstream")
    assert site.fake.requests == []


def add_optional(site: Site) -> str:
    """Add an image that has no recipe and no checksum, and that the platform works without; return its digest."""
    site.add_image("extra", "3.0", [b"extra layer"])
    digest = str(site.lock["images"][-1]["upstream"].pop("digest"))
    site.lock["images"][-1] |= {"optional": True, "notice": "Mind its licence."}
    return digest


def test_optional_without_checksum_is_left_out_with_the_reason(site: Site) -> None:
    add_optional(site)
    outcome = site.bundle().fill()
    extra = outcome.results[-1]
    assert (extra.name, extra.action, extra.size) == ("extra", "left_out", 0)
    assert "cannot be built, and there is no checksum for" in extra.reason
    assert f"{site.fake.base}/extra:3.0; add one to the pins file" in extra.reason
    assert site.fill() == (False, {**dict.fromkeys(ALL, "present"), "image/extra:3.0": "left_out"})
    assert site.bundle().preview().changed is False
    assert site.bundle().verify() == []
    with pytest.raises(MissingEntryError):
        Index(site.directory).find("image", "extra")


def test_optional_that_is_asked_for_by_name_fails(site: Site) -> None:
    add_optional(site)
    with pytest.raises(BundleError, match=r"extra:3\.0\nAdd their published checksums"):
        site.fill("extra")


def test_optional_with_a_pin_is_downloaded_and_leaves_with_it(site: Site) -> None:
    digest = add_optional(site)
    pins = site.root / "pins.yml"
    pins.write_text(yaml.safe_dump({f"{site.fake.base}/extra:3.0": digest}), encoding="utf-8")
    assert site.fill()[1]["image/extra:3.0"] == "download"
    assert Index(site.directory).find("image", "extra")["notice"] == "Mind its licence."
    assert site.fill() == (False, dict.fromkeys((*ALL, "image/extra:3.0"), "present"))
    pins.unlink()
    outcome = site.bundle().preview()
    assert (outcome.changed, outcome.obsolete) == (True, ["image/extra:3.0"])
    assert site.bundle().fill().obsolete == ["image/extra:3.0"]
    assert [entry for entry in Index(site.directory).entries if entry["name"] == "extra"] == []
    assert site.bundle().verify() == []


def test_optional_whose_server_does_not_answer_is_left_out(site: Site) -> None:
    site.lock["images"].append(
        {
            "name": "extra",
            "version": "3.0",
            "licence": "MIT",
            "upstream": {"reference": "http://127.0.0.1:9/extra:3.0", "digest": "sha256:" + "a" * 64},
            "optional": True,
        }
    )
    extra = site.bundle().fill().results[-1]
    assert (extra.action, extra.reason.rpartition("the server of ")[2]) == (
        "left_out",
        "http://127.0.0.1:9/extra:3.0 does not answer",
    )


def test_trust_on_first_use_fills_the_pins_for_the_next_run(site: Site) -> None:
    for entry in site.lock["files"]:
        entry["upstream"]["sha256"] = None
    site.lock["images"][0]["upstream"]["digest"] = None
    changed, actions = site.fill(producer="upstream", trust=True)
    assert (changed, actions) == (True, dict.fromkeys(ALL, "download"))
    assert sorted(key.rpartition("/")[2] for key in read_pins(site.root / "pins.yml")) == ["app:1.0", "kubectl", "runc"]
    assert site.fill(producer="upstream") == (False, dict.fromkeys(ALL, "present"))


def test_auto_builds_when_upstream_is_not_pinned(site: Site) -> None:
    wrapper = site.root / "lock" / "sources" / "tool"
    wrapper.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (wrapper / name).touch()
    programs = {"runc": {"package": "example.org/tool", "prints": "x"}}
    site.lock["components"] = {
        "tool": {
            "module": "example.org/tool",
            "version": "v1",
            "licence": "MIT",
            "programs": programs,
            "differs_from_upstream": ["smaller"],
        }
    }
    site.add_file("runc", b"program two", source={"item": "runc"})
    (pinned,) = (r for _a, r in site.bundle().plan(["runc"]))
    assert (pinned.producer, pinned.differs_from_upstream) == ("upstream", [])
    site.lock["files"][-1]["upstream"]["sha256"] = None
    (unpinned,) = (r for _a, r in site.bundle().plan(["runc"]))
    assert (unpinned.producer, unpinned.action, unpinned.differs_from_upstream) == ("source", "build", ["smaller"])
    site.add_file("runc", b"program two", source={"item": "runc"})
    site.lock["files"][-1]["upstream"]["url"] = "http://127.0.0.1:9/runc"
    (unreachable,) = (r for _a, r in site.bundle().plan(["runc"]))
    assert unreachable.producer == "source"
    assert site.bundle().preview(["runc"]).compiled == ["runc"]
    (forced,) = (r for _a, r in site.bundle(producer="source").plan(["runc"]))
    assert forced.producer == "source"


def test_finished_bundle_needs_no_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = site.root / "lock" / "sources" / "tool"
    wrapper.mkdir(parents=True)
    (wrapper / "go.mod").write_text("module example.org/wrapper\n", encoding="utf-8")
    (wrapper / "go.sum").touch()
    programs = {"tool": {"package": "example.org/tool", "prints": "x"}}
    component = {"module": "example.org/tool", "version": "v1", "licence": "MIT", "programs": programs}
    site.lock = {**site.lock, "images": [], "components": {"tool": component}}
    site.lock["files"] = [{"name": "tool", "version": "v1", "licence": "MIT", "source": {"item": "tool"}}]
    bundle = site.bundle()
    built = site.root / "built"
    built.write_bytes(b"program")
    key = bundle.workshop.input_key("tool")
    bundle.cache.put(key, built, {"name": "tool"})
    assert site.fill()[1] == {"file/tool:v1": "cache"}

    def absent() -> str:
        raise BundleError("no Go")

    monkeypatch.setattr(_bundle_go, "go_command", absent)
    assert site.fill() == (False, {"file/tool:v1": "present"})
    site.directory = site.root / "empty"
    with pytest.raises(BundleError, match="no Go"):
        site.fill()


def test_damaged_index_is_one_clear_line(site: Site) -> None:
    site.directory.mkdir()
    (site.directory / "index.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleError, match=r"index\.json cannot be read .* Remove it"):
        site.fill()


def test_chart_depends_on_its_files_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        chart = tmp_path / name
        chart.mkdir()
        (chart / "Chart.yaml").write_text("name: c\n", encoding="utf-8")
        (chart / "values.yaml.tmpl").write_text(name, encoding="utf-8")
        (chart / ".helmignore").write_text("# comment\n*.tmpl\n", encoding="utf-8")
    assert package_chart("c", tmp_path / "one") == package_chart("c", tmp_path / "two")
    (tmp_path / "two" / "Chart.yaml").write_text("name: d\n", encoding="utf-8")
    assert package_chart("c", tmp_path / "one") != package_chart("c", tmp_path / "two")
