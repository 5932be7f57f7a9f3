# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``vault_login`` in the process of its task."""

from __future__ import annotations

from ..plugin_utils._module_in_process import ActionModule

__all__ = ["ActionModule"]
