#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have all objects in etcd encrypted with one key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encrypted_objects
short_description: Have all objects in etcd encrypted with one key
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Looks in etcd by which key each object is written, and writes those of another key, or of none, once more through
    the API server of this host, unchanged. That server has to have the wanted key as its first one.
  - Afterwards the whole of etcd is searched. It is an error if any value is still written by another key, since that
    key could then not be taken away.
  - Content and keys do not leave the host.
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Counts the objects that would be written.
  diff_mode:
    support: full
    details: Shows how many values each key has encrypted, before and after.
  idempotent:
    support: full
    details: An object that the wanted key has written is left alone.
options:
  key:
    description: Provider and name of the wanted key.
    type: str
    required: true
  resources:
    description: Resources that are encrypted, as in the encryption configuration, such as V(secrets). No V(*).
    type: list
    elements: str
    default: [secrets]
  advertise_address:
    description: Address at which this host's own API server listens.
    type: str
    required: true
  bind_port:
    description: Port of this host's own API server.
    type: int
    default: 6443
  wait_timeout:
    description: Seconds to wait until the API server of this host is ready.
    type: int
    default: 120
  kubernetes_directory:
    description: Directory of kubeadm's files.
    type: path
    default: /etc/kubernetes
seealso:
  - module: onprem.platform.encryption_key_info
"""

EXAMPLES = r"""
- name: Write all Secrets with the new key
  onprem.platform.encrypted_objects:
    key: secretbox/key2-20261121
    resources: [secrets]
    advertise_address: 192.0.2.11
"""

RETURN = r"""
rewritten:
  description: How many objects were written, or would be.
  returned: success
  type: int
values_by_key:
  description: How many values each key has encrypted in the whole of etcd.
  returned: success
  type: dict
  sample: {secretbox/key2-20261121: 57}
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._encryption import Storage, own_server
from ..module_utils._kubeadm_api import Etcd, KubeadmError

RESOURCE = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]([-.a-z0-9]*[a-z0-9])?)?")
# Large Secrets and busy servers: one request may take longer than the default.
TIMEOUT = 30.0


def ensure(storage: Storage, key: str, check_mode: bool) -> dict[str, Any]:
    """Bring the objects to the wanted key; returns the module's result. Raises KubeadmError."""
    before = storage.keys_in_use()
    stale = sum(len(names) for names in storage.stale(key).values())
    if check_mode or not stale:
        done, after = stale, before
    else:
        done = storage.rewrite(key)
        after = storage.keys_in_use()
    others = {name: count for name, count in after.items() if name != key}
    if others and not check_mode:
        raise KubeadmError(
            f"etcd still has values of other keys: {others}. They are of resources that are not in 'resources'; "
            "name those too. The old keys are kept."
        )
    return {
        "changed": bool(stale),
        "rewritten": done,
        "values_by_key": after,
        "diff": {
            "before": _lines(before),
            "after": f"{stale} to be written\n" if check_mode and stale else _lines(after),
        },
    }


def _lines(counts: dict[str, int]) -> str:
    return "".join(f"{name}: {count}\n" for name, count in sorted(counts.items()))


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "key": {"type": "str", "required": True, "no_log": False},
            "resources": {"type": "list", "elements": "str", "default": ["secrets"]},
            "advertise_address": {"type": "str", "required": True},
            "bind_port": {"type": "int", "default": 6443},
            "wait_timeout": {"type": "int", "default": 120},
            "kubernetes_directory": {"type": "path", "default": "/etc/kubernetes"},
        },
        supports_check_mode=True,
    )
    given = module.params
    wrong = [name for name in given["resources"] if not RESOURCE.fullmatch(name)]
    if wrong:
        module.fail_json(
            msg=f"these are no single resources: {', '.join(wrong)}; give names such as secrets, or jobs.batch"
        )
    directory = given["kubernetes_directory"]
    try:
        api = own_server(directory, given["advertise_address"], given["bind_port"], TIMEOUT, given["wait_timeout"])
        storage = Storage(Etcd.local(f"{directory}/pki", TIMEOUT), api, given["resources"])
        module.exit_json(**ensure(storage, given["key"], module.check_mode))
    except KubeadmError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
