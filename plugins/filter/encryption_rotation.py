# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the rotation of the key that encrypts objects in etcd."""

from __future__ import annotations

DOCUMENTATION = r"""
name: encryption_rotation
short_description: Plan the rotation of the key that encrypts objects in etcd
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Reads the encryption configurations of all control planes and says which steps are left. A rotation that an earlier
    run has begun is always finished, and no other one is begun by the same call.
  - The result holds keys. Use it in tasks with C(no_log) alone, but for C(summary).
positional: _input
options:
  _input:
    description: Content of the encryption configuration by inventory host name.
    type: dict
    required: true
  modified:
    description: Time of the file's last change by host, seconds since 1970; the age of a key without a day in its name.
    type: dict
    required: true
  request:
    description: Rotate, however old the key is.
    type: bool
    default: false
  maximum_days:
    description: Rotate a key of this age; V(0) never does.
    type: int
    default: 365
"""

EXAMPLES = r"""
- name: Show what would be done
  ansible.builtin.debug:
    msg: "{{ (files | onprem.platform.encryption_rotation(modified)).summary }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    steps: {description: 'What is left of add, promote, rewrite and remove.', type: list, elements: str}
    contents: {description: Content of the file for each step that has one. Holds keys., type: dict}
    key: {description: Provider and name of the key that all objects shall have., type: str}
    old_key: {description: Name of the key that goes., type: str}
    new_key: {description: Name of the key that comes., type: str}
    resources: {description: Resources that are encrypted., type: list, elements: str}
    reason: {description: Why; empty when nothing is to do., type: str}
    age_days: {description: Age of the key when there is one., type: int}
    summary: {description: 'The plan in words, without keys.', type: list, elements: str}
"""

import datetime
from collections.abc import Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ..plugin_utils._encryption_rotation import RotationError, plan


def encryption_rotation(
    files: Mapping[str, str], modified: Mapping[str, float], request: bool = False, maximum_days: int = 365
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    now = datetime.datetime.now(tz=datetime.timezone.utc)
    try:
        return plan(files, modified, request, maximum_days, now)
    except RotationError as error:
        raise AnsibleFilterError(f"The encryption key cannot be rotated: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        # Its text could show a key.
        raise AnsibleFilterError("An encryption configuration is not in the form of EncryptionConfiguration.") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"encryption_rotation": encryption_rotation}
