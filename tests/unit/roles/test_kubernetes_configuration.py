# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents and files that the role kubernetes renders, against files that were reviewed.

After a wanted change: UPDATE_GOLDEN=1 pytest tests/unit/roles/test_kubernetes_configuration.py, then read the diff.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden"

PLAYBOOK = """
- hosts: kubernetes
  gather_facts: false
  vars_files:
    - {root}/roles/platform/defaults/main.yml
    - {root}/roles/kubernetes/defaults/main.yml
    - {root}/roles/kubernetes/vars/main.yml
    - settings.json
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ documents | to_json }}}}"
        dest: "{directory}/{{{{ inventory_hostname }}}}.json"
        mode: "0600"
      vars:
        documents:
          init: "{{{{ _kubernetes_init_documents }}}}"
          join: "{{{{ _kubernetes_join_configuration }}}}"
          audit: "{{{{ _kubernetes_audit_policy }}}}"
          admission: "{{{{ _kubernetes_admission }}}}"
          authentication: "{{{{ _kubernetes_authentication }}}}"
          patch: "{{{{ _kubernetes_api_server_patch }}}}"
          encryption: "{{{{ _kubernetes_new_encryption_configuration }}}}"
"""

INVENTORY = """
control_plane: {hosts: {cp1: {ansible_host: 192.0.2.11}, cp2: {ansible_host: 192.0.2.12}}}
worker: {hosts: {w1: {ansible_host: 192.0.2.21}}}
kubernetes:
  children: {control_plane: {}, worker: {}}
  vars: {ansible_connection: local, ansible_python_interpreter: PYTHON}
"""


def render(directory: Path, **settings: Any) -> dict[str, dict[str, Any]]:
    """The documents of each host with these settings."""
    image = {"kind": "image", "path": "images", "digest": "sha256:" + "0" * 64}
    entries: list[dict[str, Any]] = [
        {
            "kind": "file",
            "name": "kubeadm",
            "version": "v1.36.3",
            "path": "files/kubeadm",
            "sha256": "0" * 64,
            "size": 1,
        },
        {**image, "name": "coredns", "repository": "coredns", "tag": "v1.14.3", "version": "v1.14.3"},
        {**image, "name": "etcd", "repository": "etcd", "tag": "3.6.8-0", "version": "3.6.8-0"},
    ]
    index = {"schema": 1, "platform": "linux/amd64", "producer": "source", "entries": entries}
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    settings = {"platform_bundle_directory": str(directory), **settings}
    (directory / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (directory / "play.yml").write_text(PLAYBOOK.format(root=ROOT, directory=directory), encoding="utf-8")
    (directory / "inventory.yml").write_text(INVENTORY.replace("PYTHON", sys.executable), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "play.yml"]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
    }
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".build/collections")
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {host: json.loads((directory / f"{host}.json").read_text("utf-8")) for host in ("cp1", "cp2", "w1")}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the documents with default settings."""
    return render(tmp_path_factory.mktemp("rendered"))


def test_defaults_match_the_reviewed_files(rendered: dict[str, dict[str, Any]]) -> None:
    documents = {
        "init": rendered["cp1"]["init"],
        "join_control_plane": rendered["cp2"]["join"],
        "join_worker": rendered["w1"]["join"],
        **{name: rendered["cp1"][name] for name in ("audit", "admission", "authentication")},
    }
    for name, content in documents.items():
        path = GOLDEN / f"kubernetes_{name}.json"
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        assert json.loads(path.read_text("utf-8")) == content, name


def test_no_document_carries_a_credential(rendered: dict[str, dict[str, Any]]) -> None:
    text = json.dumps([rendered[host][part] for host in rendered for part in ("init", "join")])
    text = text.replace("service-account-extend-token-expiration", "")  # a setting, not a token
    assert not any(word in text for word in ("token", "certificateKey"))


def test_encryption_key_is_32_bytes_and_new_each_time(rendered: dict[str, dict[str, Any]]) -> None:
    providers = [rendered[host]["encryption"]["resources"][0]["providers"] for host in rendered]
    keys = [entry[0]["secretbox"]["keys"][0]["secret"] for entry in providers]
    assert [len(base64.b64decode(key)) for key in keys] == [32, 32, 32]
    assert len(set(keys)) == 3


def test_site_settings_are_merged_over_those_of_the_role(tmp_path: Path, rendered: dict[str, dict[str, Any]]) -> None:
    changed = render(
        tmp_path,
        kubernetes_kubelet_configuration={"failCgroupV1": False, "podPidsLimit": 100},
        kubernetes_kube_proxy_configuration={"conntrack": {"min": 0}},
        kubernetes_api_server_arguments={"profiling": "true", "v": "2"},
        kubernetes_pod_security_enforce="restricted",
        kubernetes_ignore_preflight_errors=["SystemVerification"],
    )["cp1"]
    init, cluster, kubelet, proxy = changed["init"]
    assert init["nodeRegistration"]["ignorePreflightErrors"] == ["SystemVerification"]
    arguments = {item["name"]: item["value"] for item in cluster["apiServer"]["extraArgs"]}
    assert (arguments["profiling"], arguments["v"], arguments["tls-min-version"]) == ("true", "2", "VersionTLS12")
    assert (kubelet["failCgroupV1"], kubelet["podPidsLimit"], kubelet["serverTLSBootstrap"]) == (False, 100, True)
    assert (proxy["mode"], proxy["conntrack"]) == ("nftables", {"min": 0})
    # What the API server reads at its start only must start it again.
    assert changed["patch"] != rendered["cp1"]["patch"]
