# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that lookup plugins run on the controller. Private: may change in any release."""

from __future__ import annotations

import subprocess
from typing import Any

import yaml
from ansible.errors import AnsibleLookupError


def yaml_documents(argv: list[str], stdin: str | None = None, timeout: int = 120) -> list[dict[str, Any]]:
    """Run a program that prints YAML and return its documents without the empty ones.

    :param argv: program and arguments; no shell is involved.
    :param timeout: seconds after which the program is ended.
    :raises AnsibleLookupError: the program is missing, fails, or prints no YAML.
    """
    name = argv[0].rsplit("/", 1)[-1]
    try:
        result = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise AnsibleLookupError(f"{argv[0]} is not there. The bundle has it: run onprem.platform.bundle.") from error
    except subprocess.TimeoutExpired as error:
        raise AnsibleLookupError(f"{name} did not finish within {timeout} seconds.") from error
    if result.returncode:
        raise AnsibleLookupError(f"{name} failed with exit code {result.returncode}: {result.stderr.strip()[-2000:]}")
    try:
        return [document for document in yaml.safe_load_all(result.stdout) if document]
    except yaml.YAMLError as error:
        raise AnsibleLookupError(f"{name} printed no YAML: {error}") from error


def plain(value: Any) -> Any:
    """Return the value with Ansible's tagged types replaced by plain ones, which the YAML writer knows."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
