# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that take one role or a list of roles."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``list_arguments`` in ``module_utils/_vault_objects.py``. A module adds the suboptions."""

    DOCUMENTATION = r"""
options:
  roles:
    description:
      - Several roles in one call, in place of O(name) and the options of one role.
      - All are read before the first is written. A role that Vault refuses does not stop the others; the call then
        fails and tells what happened to each.
    type: list
    elements: dict
  state:
    description: Whether the roles exist.
    type: str
    choices: [present, absent]
    default: present
"""
