# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: the one that is shipped, and every way to write a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import (
    load_lock,
    read_pins,
    record_pins,
    with_pin,
)

SHIPPED = Path(__file__).resolve().parents[4] / "roles" / "bundle" / "files" / "lock.yml"
SHA = "a" * 64


def write(directory: Path, **changes: Any) -> Path:
    """Write a small lock with one component and one file, changed by the keyword arguments, and return its path."""
    wrapper = directory / "sources" / "tool"
    wrapper.mkdir(parents=True, exist_ok=True)
    (wrapper / "go.mod").write_text("module example/tool\n", encoding="utf-8")
    (wrapper / "go.sum").write_text("", encoding="utf-8")
    lock: dict[str, Any] = {
        "schema": 1,
        "platform": "linux/amd64",
        "components": {
            "tool": {
                "module": "example.org/tool",
                "version": "v1.0.0",
                "licence": "MIT",
                "differs_from_upstream": ["smaller"],
                "programs": {"tool": {"package": "example.org/tool/cmd", "prints": "v1.0.0"}},
                "trees": {"tool-config": ["config"]},
            }
        },
        "files": [{"name": "tool", "version": "v1.0.0", "licence": "MIT", "source": {"item": "tool"}}],
    }
    path = directory / "lock.yml"
    path.write_text(yaml.safe_dump({**lock, **changes}), encoding="utf-8")
    return path


def file_entry(**changes: Any) -> list[dict[str, Any]]:
    """Return a list of one file artefact."""
    return [{"name": "tool", "version": "v1", "licence": "MIT", "source": {"item": "tool"}, **changes}]


def test_shipped_lock_is_valid_and_complete() -> None:
    lock = load_lock(SHIPPED)
    files = {artefact.name for artefact in lock.artefacts if artefact.kind == "file"}
    assert files == {
        *(
            "kubeadm",
            "kubelet",
            "kubectl",
            "etcd",
            "etcdctl",
            "etcdutl",
            "containerd",
            "containerd-shim-runc-v2",
            "ctr",
        ),
        *("runc", "registry", "helm", "crane", "vault", "cni-bridge", "cni-loopback", "cni-host-local", "cni-portmap"),
        *("promtool", "amtool", "cosign", "policy-tester", "gitleaks"),
    }
    assert [artefact.identity for artefact in lock.artefacts if artefact.optional] == ["image/grafana:13.1.2"]
    assert all(artefact.licence and artefact.version for artefact in lock.artefacts)
    assert lock.find("cilium-agent") is not None


def test_shipped_lock_names_each_difference_and_binding_licence() -> None:
    artefacts = {a.identity: a for a in load_lock(SHIPPED).artefacts}
    assert artefacts["file/vault"].licence == "BUSL-1.1"
    assert "competition" in artefacts["file/vault"].notice
    assert any("sdk v0.21.0" in text for text in artefacts["file/vault"].differs_from_upstream)
    assert artefacts["file/kubeadm"].differs_from_upstream == ()


def test_difference_of_the_component_shows_at_its_programs_only(tmp_path: Path) -> None:
    manifest = {"name": "m", "version": "v1", "licence": "MIT", "kustomize": ["config"]}
    lock = load_lock(write(tmp_path, manifests=[{**manifest, "source": {"item": "tool-config"}}]))
    assert [artefact.differs_from_upstream for artefact in lock.artefacts] == [("smaller",), ()]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"extra": 1}, "unknown key extra"),
        ({"files": file_entry(colour="red")}, "unknown key colour"),
        ({"files": file_entry(licence="")}, "licence is missing"),
        ({"files": file_entry(version=1.2)}, "version is missing or no text"),
        ({"files": file_entry(name="../etc/passwd")}, "is no valid name"),
        ({"files": file_entry(source={"item": "nothing"})}, "source item 'nothing' is in no component"),
        ({"files": file_entry(source=None)}, "neither upstream nor source"),
        ({"files": file_entry() * 2}, "file/tool more than once"),
        ({"files": file_entry(upstream={"url": "ftp://example.org/x"})}, "no http"),
        ({"files": file_entry(upstream={"url": "https://example.org/x", "sha256": "abc"})}, "no SHA-256"),
        ({"files": file_entry(upstream={"sha256": SHA})}, "url"),
        ({"manifests": file_entry(source={"item": "tool-config"})}, "kustomize"),
        ({"manifests": file_entry(source={"item": "tool-config"}, kustomize=["../x"])}, "inside the module"),
        (
            {"manifests": file_entry(source={"item": "tool-config"}, kustomize=["x"], documents=["/etc/passwd"])},
            "inside the module",
        ),
        ({"files": file_entry(documents=["x"])}, "unknown key documents"),
        ({"images": file_entry(upstream={"reference": "r/x:1", "digest": "sha256:1"})}, "no SHA-256"),
        ({"files": file_entry(differs_from_upstream=[{"only these": "a"}])}, "no text; quote it"),
    ],
)
def test_wrong_lock_is_refused_with_the_reason(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_lock(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"programs": {"x": {"package": "p"}}}, "prints"),
        ({"programs": {"x": {"package": "p", "c_source": "c", "prints": "v"}}}, "either package or c_source"),
        ({"trees": {"x": ["/etc"]}}, "inside the module"),
        ({"trees": {"x": ["a/../../b"]}}, "inside the module"),
        ({"flavour": "plain"}, "unknown key flavour"),
        ({"differs_from_upstream": [{"only these": "a"}]}, "no text; quote it"),
    ],
)
def test_wrong_component_is_refused(tmp_path: Path, component: dict[str, Any], message: str) -> None:
    base = {"module": "m", "version": "v1", "licence": "MIT"}
    path = write(tmp_path, components={"tool": {**base, **component}}, files=[])
    with pytest.raises(BundleError, match=message):
        load_lock(path)


def test_component_without_wrapper_module_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, components={"other": {"module": "m", "version": "v1", "licence": "MIT"}}, files=[])
    with pytest.raises(BundleError, match=r"has no go\.mod and go\.sum"):
        load_lock(path)


def test_edits_demand_the_checksum_of_what_they_edit(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "sources" / "tool" / "edits.yml").write_text("edits: [{path: a, old: b, new: c}]", encoding="utf-8")
    with pytest.raises(BundleError, match="needs copy_sum"):
        load_lock(path)


@pytest.mark.parametrize("value", [True, "yes"])
def test_what_can_be_built_is_not_optional(tmp_path: Path, value: Any) -> None:
    with pytest.raises(BundleError, match="only for what has no source"):
        load_lock(write(tmp_path, files=file_entry(optional=value)))


def test_edit_outside_the_module_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    edits = "edits: [{path: ../../x, old: null, new: y}]\n"
    (tmp_path / "sources" / "tool" / "edits.yml").write_text(edits, encoding="utf-8")
    with pytest.raises(BundleError, match=r"'\.\./\.\./x' must be a path inside the module"):
        load_lock(path)


def test_pins_complete_the_lock_and_never_replace_its_checksums(tmp_path: Path) -> None:
    url, other = "https://example.org/a", "https://example.org/b"
    files = [
        {"name": "a", "version": "1", "licence": "MIT", "upstream": {"url": url}},
        {"name": "b", "version": "1", "licence": "MIT", "upstream": {"url": other, "sha256": SHA}},
    ]
    lock = load_lock(write(tmp_path, files=files))
    pins = {url: "b" * 64, other: "c" * 64}
    first, second = (with_pin(artefact, pins) for artefact in lock.artefacts)
    assert (first.pinned, lock.artefacts[0].pinned) == (True, False)
    assert first.upstream is not None and first.upstream.sha256 == "b" * 64
    assert second.upstream is not None and second.upstream.sha256 == SHA


def test_recorded_pins_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "pins.yml"
    record_pins(path, {"https://example.org/a": SHA})
    record_pins(path, {"https://example.org/a": "b" * 64, "r.example/x:1": f"sha256:{SHA}"})
    assert read_pins(path) == {"https://example.org/a": SHA, "r.example/x:1": f"sha256:{SHA}"}


def test_pins_file_with_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pins.yml"
    path.write_text("https://example.org/a: latest\n", encoding="utf-8")
    with pytest.raises(BundleError, match="not a SHA-256"):
        read_pins(path)


def addition(directory: Path, **changes: Any) -> Path:
    """Write a file of a site that adds one image, changed by the keyword arguments, and return its path."""
    image = {"name": "shop", "version": "1.0.0", "licence": "MIT", "upstream": {"reference": "example.org/shop:1.0.0"}}
    path = directory / "site.yml"
    path.write_text(yaml.safe_dump({"schema": 1, "images": [image], **changes}), encoding="utf-8")
    return path


def test_a_site_adds_what_is_downloaded(tmp_path: Path) -> None:
    lock = load_lock(write(tmp_path), [addition(tmp_path)])
    assert [artefact.identity for artefact in lock.artefacts] == ["file/tool", "image/shop:1.0.0"]
    assert lock.artefacts[1].address == "example.org/shop:1.0.0"
    assert lock.directory == tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": None}, "schema is None"),
        ({"components": {}}, "unknown key components"),
        ({"packages": []}, "unknown key packages"),
        ({"files": file_entry()}, "file/tool has a source"),
        ({"files": file_entry(source=None)}, "neither upstream nor source"),
        ({"files": file_entry(source=None, upstream={"url": "https://example.org/tool"})}, "file/tool more than once"),
    ],
)
def test_a_wrong_addition_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_lock(write(tmp_path), [addition(tmp_path, **changes)])
