# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that wait for Kubernetes objects."""

from __future__ import annotations


class ModuleDocFragment:
    """How long to wait and what ends the waiting early."""

    DOCUMENTATION = r"""
options:
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 300
  crash_loop_restarts:
    description: A container in C(CrashLoopBackOff) ends the waiting after this many restarts.
    type: int
    default: 3
  log_lines:
    description:
      - Lines of a failed container's log to show in the error message. Set it to V(0) where logs may hold secrets.
    type: int
    default: 20
"""
