# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm_node with a kubeadm that keeps its state in files; it reads the configuration it is really given."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _kubeadm_node as node
from ansible_collections.onprem.platform.plugins.module_utils import _kubeadm_run as runner
from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_api import KubeadmError

TOKEN, KEY = "abcdef.0123456789abcdef", "ff" * 32

KUBEADM = """#!{python}
import json, os, pathlib, sys
root = pathlib.Path(os.environ["FAKE_ROOT"])
arguments = sys.argv[1:]
documents, discovery = [], None
if "--config" in arguments:
    text = open(arguments[arguments.index("--config") + 1], encoding="utf-8").read()
    documents = [json.loads(part) for part in text.split("---\\n")]
    for document in documents:
        path = document.get("discovery", {{}}).get("file", {{}}).get("kubeConfigPath")
        discovery = json.load(open(path, encoding="utf-8")) if path else discovery
with open(root / "calls.jsonl", "a", encoding="utf-8") as log:
    log.write(json.dumps({{"arguments": arguments, "documents": documents, "discovery": discovery}}) + "\\n")
fail = root / ("fail-" + arguments[0])
if fail.exists():
    count = int(fail.read_text())
    fail.write_text(str(count - 1)) if count > 1 else fail.unlink()
    print("[preflight] something is wrong")
    sys.exit(1)
print("[preflight] fine")
kubernetes, kubelet = root / "kubernetes", root / "kubelet"
if arguments[0] == "join":
    (kubernetes / "manifests").mkdir(parents=True, exist_ok=True)
    kubelet.mkdir(exist_ok=True)
    (kubernetes / "kubelet.conf").write_text("server: https://x\\n")
    (kubelet / "config.yaml").write_text("x")
    if any("controlPlane" in document for document in documents):
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            (kubernetes / "manifests" / (name + ".yaml")).write_text("x")
if arguments[0] == "reset":
    for path in list(kubernetes.glob("*.conf")) + list(kubelet.glob("*")):
        path.unlink()
print("[done] finished")
"""


class Host:
    """One host: its files, and what kubeadm was called with."""

    def __init__(self, root: Path) -> None:
        """An empty one."""
        self.root = root

    def target(self, role: str = "worker") -> node.Target:
        """The node on this host."""
        join: dict[str, Any] = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration"}
        if role == "control_plane":
            join["controlPlane"] = {"localAPIEndpoint": {"advertiseAddress": "192.0.2.12"}}
        return node.Target(
            name="w1",
            role=role,
            configuration=[join],
            advertise_address="192.0.2.21",
            timeout=20,
            token=TOKEN,
            certificate_key=KEY,
            server="https://api.platform.internal:7443",
            ca_certificate="PEM",
            kubernetes_directory=str(self.root / "kubernetes"),
            kubelet_directory=str(self.root / "kubelet"),
            etcd_directory=str(self.root / "etcd"),
        )

    def calls(self) -> list[dict[str, Any]]:
        """What kubeadm was called with."""
        path = self.root / "calls.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def fail(self, command: str, times: int) -> None:
        """Let a command fail the next times."""
        (self.root / f"fail-{command}").write_text(str(times), encoding="ascii")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Return a host with a fake kubeadm in front of the real programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    path = programs / "kubeadm"
    path.write_text(KUBEADM.format(python=sys.executable), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_ROOT", str(tmp_path))
    monkeypatch.setattr(node.runner, "kubelet_lines", lambda count=15: "kubelet: no network plugin")
    return Host(tmp_path)


def join(host: Host, role: str = "worker", reset_first: bool = False) -> node.Report:
    """Join; returns what was done."""
    report = node.Report()
    node.join(host.target(role), report, reset_first)
    return report


def test_worker_gets_token_and_authority_through_memory(host: Host) -> None:
    report = join(host)
    assert report.actions == ["joined as worker"]
    (call,) = host.calls()
    assert call["arguments"][:2] == ["join", "--config"]
    assert call["arguments"][2].startswith("/dev/fd/")
    document = call["documents"][0]
    assert document["discovery"]["tlsBootstrapToken"] == TOKEN
    assert "controlPlane" not in document
    cluster = call["discovery"]["clusters"][0]
    assert (cluster["name"], cluster["cluster"]["server"]) == ("", "https://api.platform.internal:7443")
    assert cluster["cluster"]["certificate-authority-data"] == "UEVN"
    assert TOKEN not in str(call["arguments"])
    stored = [path.read_text(errors="replace") for path in host.root.rglob("*") if path.is_file()]
    assert sum(TOKEN in text for text in stored) == 1  # the log of this test alone


def test_control_plane_gets_the_key_and_waits_for_its_member(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(node, "wait_for_member", lambda target, timeout: waited.append(target.name))
    join(host, "control_plane")
    plane = host.calls()[0]["documents"][0]["controlPlane"]
    assert plane == {"localAPIEndpoint": {"advertiseAddress": "192.0.2.12"}, "certificateKey": KEY}
    assert waited == ["w1"]


def test_failed_join_is_repeated_once_after_a_reset(host: Host) -> None:
    host.fail("join", 1)
    report = join(host)
    assert [call["arguments"][0] for call in host.calls()] == ["join", "reset", "join"]
    assert report.actions == ["reset the host", "joined as worker in the second try"]


def test_error_has_kubeadms_and_the_kubelets_words(host: Host) -> None:
    host.fail("join", 2)
    with pytest.raises(KubeadmError) as caught:
        join(host)
    assert "kubeadm join failed with code 1" in str(caught.value)
    assert "something is wrong" in str(caught.value)
    assert "no network plugin" in str(caught.value)


def test_partial_host_is_reset_first(host: Host) -> None:
    report = join(host, reset_first=True)
    assert [call["arguments"][0] for call in host.calls()] == ["reset", "join"]
    assert report.actions[0] == "reset the host"


def test_completeness_depends_on_the_role(host: Host) -> None:
    join(host)
    assert node.is_complete(host.target("worker"), node.files_of(host.target("worker")))
    assert not node.is_complete(host.target("control_plane"), node.files_of(host.target("control_plane")))
    (host.root / "kubernetes" / "bootstrap-kubelet.conf").write_text("x", encoding="ascii")
    assert not node.is_complete(host.target("worker"), node.files_of(host.target("worker")))


def initialise(host: Host, monkeypatch: pytest.MonkeyPatch) -> node.Report:
    """Initialise with an API that has one left token."""
    deleted: list[str] = []

    class Api:
        def request(self, method: str, path: str, **_options: Any) -> dict[str, Any]:
            deleted.append(f"{method} {path}")
            return {}

    monkeypatch.setattr(node, "wait_for_api", lambda target, timeout: Api())
    monkeypatch.setattr(node.state, "bootstrap_tokens", lambda api: ["bootstrap-token-abcdef"])
    (host.root / "kubernetes").mkdir(exist_ok=True)
    (host.root / "kubernetes" / "super-admin.conf").write_text("x", encoding="ascii")
    target = host.target("control_plane")
    documents = [{"kind": "InitConfiguration"}, {"kind": "ClusterConfiguration"}]
    report = node.Report()
    node.initialise(node.Target(**{**vars(target), "configuration": documents}), report)
    assert deleted == ["DELETE /api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef"]
    assert not (host.root / "kubernetes" / "super-admin.conf").exists()
    return report


def test_initialisation_validates_and_leaves_no_credential(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.root / "kubernetes").mkdir()
    report = initialise(host, monkeypatch)
    validate, init = host.calls()
    assert validate["arguments"][:2] == ["config", "validate"]
    assert init["arguments"][:2] == ["init", "--skip-token-print"]
    (token,) = init["documents"][0]["bootstrapTokens"]
    assert token["description"] == "onprem.platform join"
    assert token["token"] not in str(init["arguments"])
    assert report.actions == ["resumed the initialisation"]  # super-admin.conf of an earlier one was there


def test_stopped_initialisation_goes_on_without_preflight(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.root / "kubernetes" / "manifests").mkdir(parents=True)
    (host.root / "kubernetes" / "manifests" / "etcd.yaml").write_text("x", encoding="ascii")
    initialise(host, monkeypatch)
    assert "--skip-phases=preflight" in host.calls()[1]["arguments"]


def test_refused_configuration_is_shown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.fail("config", 1)
    with pytest.raises(KubeadmError, match="kubeadm refuses its configuration"):
        initialise(host, monkeypatch)
    assert len(host.calls()) == 1


def test_command_that_hangs_is_stopped(tmp_path: Path) -> None:
    done = runner.run(["sleep", "30"], 0.3)
    assert done.code == -9
    assert done.seconds < 10


def test_missing_program_is_named() -> None:
    with pytest.raises(KubeadmError, match="no-such-program is not installed"):
        runner.run(["no-such-program"], 5)


def test_lock_is_kept_by_a_command_that_outlives_its_run(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "lock")
    with runner.host_lock(1, path) as waited:
        assert waited is False
        descriptor = os.open(path, os.O_RDONLY)
        os.close(descriptor)
        runner.run(["bash", "-c", "sleep 2 >/dev/null 2>&1 &"], 5)
    with pytest.raises(KubeadmError, match="still works on this host"), runner.host_lock(0.2, path):
        pass
    with runner.host_lock(10, path) as waited:
        assert waited is True


Runner = Callable[..., dict[str, Any]]


def test_module_names_what_a_role_needs(run_module: Runner) -> None:
    from ansible_collections.onprem.platform.plugins.modules import kubeadm_node

    arguments = {"node_name": "w1", "advertise_address": "192.0.2.21", "role": "control_plane"}
    answer = run_module(kubeadm_node.main, arguments)
    assert answer["msg"] == ("role=control_plane needs: configuration, token, server, ca_certificate, certificate_key")


def test_check_mode_says_what_would_be_done(run_module: Runner) -> None:
    from ansible_collections.onprem.platform.plugins.modules import kubeadm_node

    arguments = {"node_name": "w1", "advertise_address": "192.0.2.21", "configuration": [{"kind": "JoinConfiguration"}]}
    answer = run_module(kubeadm_node.main, arguments, check=True)
    assert (answer["changed"], answer["actions"]) == (True, ["kubeadm join (worker)"])
