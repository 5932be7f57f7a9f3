# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules' documentation, run by ansible-playbook against a real API server.

They run in check mode: the server validates and merges each object, and nothing waits for controllers that are not
there.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
MODULES = (
    "k8s_apply",
    "k8s_rbac_info",
    "k8s_wait",
    "flux_source",
    "flux_kustomization",
    "flux_helm_release",
    "flux_info",
    "flux_reconcile",
    "flux_suspend",
    "oci_artifact",
    "cluster_image_policy",
)
LABELS = {"app.kubernetes.io/part-of": "shop"}
METADATA = {"name": "example", "namespace": "default", "labels": LABELS}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": METADATA}


def test_examples(api_server: Any, tmp_path: Path) -> None:
    defaults = {
        "group/onprem.platform.k8s": {"kubeconfig": str(api_server.kubeconfig)},
        "onprem.platform.oci_artifact": {"plan_without_registry": True},
    }
    plays: list[dict[str, Any]] = []
    for name in MODULES:
        module = importlib.import_module(f"ansible_collections.onprem.platform.plugins.modules.{name}")
        tasks = yaml.safe_load(module.EXAMPLES)
        plays.append({"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": tasks})
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump(plays, sort_keys=False))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "example.yml").write_text(yaml.safe_dump(CONFIG_MAP))
    (tmp_path / "files" / "chart").mkdir(parents=True)
    (tmp_path / "files" / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (tmp_path / "files" / "tree").mkdir()
    (tmp_path / "files" / "tree" / "example.yml").write_text(yaml.safe_dump(CONFIG_MAP))
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "objects.yml.j2").write_text(json.dumps(CONFIG_MAP))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "--check", "--diff", str(playbook)],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"ok={sum(len(play['tasks']) for play in plays)}" in done.stdout
