#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin with the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Keep two runs from changing the same hosts at once
version_added: 0.1.0
description:
  - Takes a lease on the host for as long as this run of C(ansible-playbook) lives, and fails at once, naming the
    holder, when another run has it.
  - A small process beside the run renews the lease over the connection's own SSH settings. It ends with the run,
    however that ends, and takes the lease with it. A lease that nobody renews ends by itself after O(lease_seconds).
  - A lease that the same controller left behind and whose process is gone is taken over at once.
  - Needs the SSH connection plugin.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  name:
    description: Name of the lock. Runs with other names do not meet.
    type: str
    default: site
  lease_seconds:
    description: Seconds after which a lease that is not renewed ends.
    type: int
    default: 30
attributes:
  check_mode:
    description: Reports a foreign lease as it does in a real run, and takes none.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  idempotent:
    description: A run may ask again for the lock that it holds.
    support: full
"""

EXAMPLES = r"""
- name: Keep other runs away
  hosts: control_plane
  serial: 1 # always in the same order, so that two runs cannot each hold a part
  gather_facts: false
  tasks:
    - name: Take the lock
      onprem.platform.run_lock:
"""

RETURN = r"""
holder:
  description: Who holds the lock now.
  returned: always
  type: dict
  contains:
    who:
      description: User and host of the run.
      type: str
      sample: ada@controller
    pid:
      description: Process of C(ansible-playbook) on the holder's host.
      type: int
      sample: 4711
    since:
      description: Start of the lease, seconds since 1970 by the clock of the locked host.
      type: float
      sample: 1795000000.0
    renewed:
      description: Last renewal, seconds since 1970 by the clock of the locked host.
      type: float
      sample: 1795000020.0
"""
