#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell who touched a Secret, by the audit log of this control plane."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_access_info
short_description: Tell who touched a Secret, by the audit log of this control plane
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Filters the API server's audit log on the host, with the files that rotation put aside, and returns who read or
    changed one Secret, grouped by user, verb, outcome, program and address.
  - A list or watch of the whole namespace or of the whole cluster hands out the Secret too, and is told apart by
    RV(accesses[].scope).
  - Each API server writes only what it served. Ask all control planes.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
options:
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  name:
    description: Name of the Secret.
    type: str
    required: true
  since:
    description: Only requests from this time on, as in the log, such as V(2026-11-21T00:00:00Z). The default is all.
    type: str
    default: ''
  path:
    description: The API server's audit log.
    type: path
    default: /var/log/kubernetes/audit/audit.log
  markers:
    description: Texts that must not be in the log, such as the content of a Secret made for a test.
    type: list
    elements: str
    default: []
seealso:
  - module: onprem.platform.cis_benchmark_info
"""

EXAMPLES = r"""
- name: Who read the password of the database
  onprem.platform.secret_access_info:
    namespace: shop
    name: database
    since: "2026-11-21T00:00:00Z"
  register: access
"""

RETURN = r"""
accesses:
  description: Who touched the Secret, in order of the last request.
  returned: success
  type: list
  elements: dict
  contains:
    user: {description: Who was authenticated., type: str, sample: 'system:serviceaccount:shop:web'}
    impersonated: {description: As whom that user acted; empty for itself., type: str}
    verb: {description: What was asked for., type: str, sample: get}
    scope: {description: 'V(name), V(namespace) or V(cluster).', type: str, sample: name}
    allowed: {description: Whether the request succeeded., type: bool}
    code: {description: HTTP status of the answer., type: int, sample: 200}
    agent: {description: The program by its own word., type: str}
    addresses: {description: Where the request came from., type: str}
    requests: {description: How many requests., type: int}
    first: {description: Time of the first one., type: str}
    last: {description: Time of the last one., type: str}
    content_logged: {description: Whether an event holds content of the Secret., type: bool}
oldest:
  description: Time of the oldest event about any Secret that was read; before it the log says nothing.
  returned: success
  type: str
lines:
  description: Lines that were read.
  returned: success
  type: int
unreadable:
  description: Lines that are no JSON; one may be in the making.
  returned: success
  type: int
markers_found:
  description: Lines with one of O(markers).
  returned: success
  type: int
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._audit_log import AuditLogError, SecretAccess, log_files

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
TIME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z)?")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "since": {"type": "str", "default": ""},
            "path": {"type": "path", "default": "/var/log/kubernetes/audit/audit.log"},
            "markers": {"type": "list", "elements": "str", "default": [], "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    for option, form, example in (
        ("namespace", NAMESPACE, "shop"),
        ("name", NAME, "database"),
        ("since", TIME, "2026-11-21T00:00:00Z"),
    ):
        if not form.fullmatch(given[option]):
            module.fail_json(msg=f"{option} '{given[option]}' is not in the form of '{example}'")
    access = SecretAccess(given["namespace"], given["name"], given["since"], given["markers"])
    try:
        access.read(log_files(given["path"]))
    except AuditLogError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **access.result())


if __name__ == "__main__":
    main()
