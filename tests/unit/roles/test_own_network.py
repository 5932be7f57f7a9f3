# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site with a network plugin of its own: the role applies its manifests, and Prometheus does not look for Cilium."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
SCRAPE = ROOT / "roles/observability/templates/tree/observability/stack/scrape-configs.yaml.j2"
VALUES = {
    "_observability_node_metrics_name": "metrics.example.org",
    "_observability_node_metrics_port": 2383,
    "vault_namespace": "vault",
    "observability_additional_scrape_configs": [],
}


ROLE = {"ansible.builtin.import_role": {"name": "onprem.platform.network"}}


def run(directory: Path, task: dict[str, Any], variables: dict[str, Any]) -> str:
    """Return what Ansible says about a task that is planned without a cluster."""
    given = {**VALUES, "platform_kubeconfig": f"{directory}/none", **variables}
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [task]}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--check", "--diff", str(playbook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def jobs(directory: Path, variables: dict[str, Any]) -> set[str]:
    """Return the names of the jobs that Prometheus is given."""
    content = f"{{{{ lookup('ansible.builtin.template', '{SCRAPE}') }}}}"
    copy = {"dest": f"{directory}/scrape.yml", "content": content, "mode": "0600"}
    run(directory, {"ansible.builtin.copy": copy, "check_mode": False}, variables)
    return {job["job_name"] for job in yaml.safe_load((directory / "scrape.yml").read_text())}


def test_manifests_of_the_site_are_applied(tmp_path: Path) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plugin", "namespace": "kube-system"}}
    (tmp_path / "plugin.yaml").write_text(json.dumps(manifest))
    said = run(tmp_path, ROLE, {"network_cni": "none", "network_manifests": [f"{tmp_path}/plugin.yaml"]})
    assert "name: plugin" in said


def test_nothing_is_applied_where_the_site_does_it_itself(tmp_path: Path) -> None:
    assert "kind: " not in run(tmp_path, ROLE, {"network_cni": "none"})


def test_cilium_is_looked_for_where_it_is(tmp_path: Path) -> None:
    without = jobs(tmp_path, {"network_cni": "none"})
    assert without >= {"etcd", "node-exporter", "metrics-server", "vault"}
    assert jobs(tmp_path, {}) - without == {"cilium-agent", "cilium-operator"}
