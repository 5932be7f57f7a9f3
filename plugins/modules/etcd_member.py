#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove members from the etcd cluster of a kubeadm control plane."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Remove members from the etcd cluster of a kubeadm control plane
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Runs on a control plane whose etcd member works, and asks the member list through etcd's JSON gateway.
  - Refuses to remove its own member, and to remove so many voting members that the majority would be lost. Learners and
    members that do not answer may always go.
  - Members are added by C(kubeadm join).
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says which members would be removed.
  diff_mode:
    support: full
    details: Shows the member list before and after.
  idempotent:
    support: full
    details: A name that is no member is not an error.
options:
  names:
    description: Names of members, which are names of nodes.
    type: list
    elements: str
    required: true
  state:
    description: Members can only be removed.
    type: str
    choices: [absent]
    default: absent
  pki_directory:
    description: Directory of kubeadm's certificates.
    type: path
    default: /etc/kubernetes/pki
"""

EXAMPLES = r"""
- name: Forget the member of a host that is gone
  onprem.platform.etcd_member:
    names: [cp3]
    state: absent
"""

RETURN = r"""
removed:
  description: Names of the members that were removed, or would be.
  returned: always
  type: list
  elements: str
members:
  description: Names of the members that are left.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._kubeadm_api import Etcd, KubeadmError


def refusal(members: list[dict[str, Any]], doomed: list[dict[str, Any]], healthy: set[str], own: str) -> str:
    """Why the removal must not happen; empty when it may. ``healthy`` and ``own`` are member ids."""
    if any(member["id"] == own for member in doomed):
        return "this host's own member cannot be removed from here; run it on another control plane"
    doomed_ids = {member["id"] for member in doomed}
    voters = [member for member in members if not member["learner"]]
    left = [member for member in voters if member["id"] not in doomed_ids]
    working = [member for member in left if member["id"] in healthy]
    # The removals themselves are votes, so today's majority counts; afterwards that of those who are left.
    now = sum(1 for member in voters if member["id"] in healthy)
    if now < len(voters) // 2 + 1:
        return f"only {now} of {len(voters)} voting members are healthy, so etcd accepts no change"
    if len(working) < len(left) // 2 + 1:
        return f"of the {len(left)} voting members that would be left only {len(working)} are healthy"
    return ""


def host_of(member: dict[str, Any]) -> str:
    """Address of a member's first client URL; empty before it started."""
    urls = member["client_urls"]
    return str(urls[0]).split("://")[1].rsplit(":", 1)[0].strip("[]") if urls else ""


def ensure(etcd: Etcd, names: list[str], check_mode: bool) -> dict[str, Any]:
    """Remove the named members; returns the module's result. Raises KubeadmError."""
    members = etcd.members()
    doomed = [member for member in members if member["name"] and member["name"] in names]
    before = [member["name"] or member["id"] for member in members]
    after = [name for name in before if name not in names]
    if doomed:
        healthy = {member["id"] for member in members if host_of(member) and etcd.at(host_of(member)).healthy()}
        status = etcd.request("POST", "/v3/maintenance/status", {})
        own = f"{int(status['header']['member_id']):x}"
        reason = refusal(members, doomed, healthy, own)
        if reason:
            raise KubeadmError(f"{', '.join(member['name'] for member in doomed)} cannot be removed: {reason}")
    for member in doomed if not check_mode else []:
        etcd.remove(member["id"])
    return {
        "changed": bool(doomed),
        "removed": [member["name"] for member in doomed],
        "members": after,
        "diff": {"before": "\n".join([*before, ""]), "after": "\n".join([*after, ""])},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "pki_directory": {"type": "path", "default": "/etc/kubernetes/pki"},
        },
        supports_check_mode=True,
    )
    try:
        etcd = Etcd.local(module.params["pki_directory"])
        module.exit_json(**ensure(etcd, module.params["names"], module.check_mode))
    except KubeadmError as error:
        module.fail_json(msg=f"etcd: {error}")


if __name__ == "__main__":
    main()
