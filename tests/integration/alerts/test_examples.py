# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of probe_alert's documentation, run by ansible-playbook; only the addresses are those of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onprem.platform.plugins.modules import probe_alert
from ansible_collections.onprem.platform.tests.integration.alerts.services import Stack

REPOSITORY = Path(__file__).parents[3]


def run(task: dict[str, Any], directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    playbook = directory / "playbook.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook), "-e", json.dumps(variables)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_examples(tmp_path: Path) -> None:
    arrives, ends = yaml.safe_load(probe_alert.EXAMPLES)
    stack = Stack()
    try:
        services = {"prometheus": stack.prometheus, "alertmanager": stack.alertmanager, "sink": stack.sink}
        for task in (arrives, ends):
            options = task["onprem.platform.probe_alert"]
            options.update({name: {"url": service.url} for name, service in services.items() if name in options})
            options["mail_recipients"] = ["team@example.org"]
        started = datetime.now(timezone.utc).isoformat()
        stack.metrics.value = 4
        done = run(arrives, tmp_path, started_after=started)
        assert done.returncode == 0, done.stdout + done.stderr
        restored = datetime.now(timezone.utc).isoformat()
        stack.metrics.value = 1
        done = run(ends, tmp_path, restored_at=restored)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        stack.close()
