#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a Secret of random values once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_random_secret
short_description: Make a Secret of random values once
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates a Secret whose values are random letters and digits. A Secret that exists keeps its values; only keys that
    are missing are added.
  - O(unless_exists) names an object that tells that the values have served their purpose. While it exists, a missing
    Secret is not made again.
  - Remove the Secret with M(onprem.platform.k8s_apply).
options:
  name:
    description: Name of the Secret.
    type: str
    required: true
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  keys:
    description: Keys of the Secret.
    type: list
    elements: str
    default: [password]
  length:
    description: Length of each new value; each character carries about 5.95 bits.
    type: int
    default: 40
  unless_exists:
    description: An object whose existence keeps a missing Secret from being made.
    type: dict
    suboptions:
      api_version:
        description: The object's apiVersion.
        type: str
        required: true
      kind:
        description: The object's kind.
        type: str
        required: true
      namespace:
        description: The object's namespace; not set for kinds without one.
        type: str
      name:
        description: The object's name.
        type: str
        required: true
  return_values:
    description: Whether the values are returned. Use C(no_log) on the task then.
    type: bool
    default: false
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.kubernetes.plan
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows names of keys, never values.
  idempotent:
    support: full
notes:
  - Runs on the controller; nodes need nothing.
seealso:
  - module: onprem.platform.k8s_apply
"""

EXAMPLES = r"""
- name: First password of the database's administrator, until the database has a volume
  onprem.platform.k8s_random_secret:
    name: mariadb-first-password
    namespace: default
    unless_exists:
      api_version: v1
      kind: PersistentVolumeClaim
      namespace: default
      name: data-mariadb-0
"""

RETURN = r"""
exists:
  description: Whether the Secret exists after the call; in check mode before it.
  returned: always
  type: bool
  sample: true
generated:
  description: Keys whose values were made by this call.
  returned: always
  type: list
  elements: str
  sample: [password]
secret_values:
  description: Keys and values of the Secret; empty when it does not exist.
  returned: with O(return_values=true)
  type: dict
  sample: {}
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 1
writes:
  description: Requests among them that changed something.
  returned: always
  type: int
  sample: 0
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 403
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Forbidden
    message:
      description: The error's message.
      type: str
      sample: secrets is forbidden
"""

import base64
import secrets
import string
from typing import Any

from ..module_utils._kube_client import MERGE_PATCH
from ..module_utils._kube_errors import KubeConfigError, NotFoundError
from ..module_utils._kube_module import PLAN_ARGUMENTS, KubeModule
from ..module_utils._kube_resources import Resources

ALPHABET = string.ascii_letters + string.digits
MINIMUM_LENGTH = 16


def read(module: KubeModule, path: str) -> dict[str, Any] | None:
    """Return an object, or None when there is none; raises KubeError."""
    try:
        return module.client.get(path)
    except NotFoundError:
        return None


def has_served(module: KubeModule, reference: dict[str, Any] | None) -> bool:
    """Whether the object exists that keeps a missing Secret from being made."""
    if not reference:
        return False
    resource = Resources(module.client).find(reference["api_version"], reference["kind"])
    return read(module, resource.path(reference["namespace"], reference["name"])) is not None


def write(module: KubeModule, secret: dict[str, Any] | None, new: dict[str, str]) -> None:
    """Create the Secret, or add keys to the very version that was read; raises KubeError."""
    params = module.params
    resource = Resources(module.client).find("v1", "Secret")
    if secret is None:
        metadata = {"name": params["name"], "namespace": params["namespace"]}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": new}
        module.client.request("POST", resource.collection(params["namespace"]), body=body)
        return
    body = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": new}
    path = resource.path(params["namespace"], params["name"])
    module.client.request("PATCH", path, body=body, content_type=MERGE_PATCH)


def work(module: KubeModule) -> dict[str, Any]:
    """Make what is missing; raises KubeError."""
    params = module.params
    if params["length"] < MINIMUM_LENGTH:
        raise KubeConfigError(f"length must be {MINIMUM_LENGTH} or more")
    if not params["keys"]:
        raise KubeConfigError("keys is empty")
    secret, wanted = None, list(dict.fromkeys(params["keys"]))
    if not module.cluster_is_planned():
        path = Resources(module.client).find("v1", "Secret").path(params["namespace"], params["name"])
        secret = read(module, path)
        if secret is None and has_served(module, params["unless_exists"]):
            wanted = []
    present = dict((secret or {}).get("data") or {})
    missing = [key for key in wanted if key not in present]
    exists = secret is not None
    if missing and not module.check_mode:
        made = {key: "".join(secrets.choice(ALPHABET) for _position in range(params["length"])) for key in missing}
        new = {key: base64.b64encode(value.encode()).decode() for key, value in made.items()}
        write(module, secret, new)
        present.update(new)
        exists = True
    result: dict[str, Any] = {"changed": bool(missing), "exists": exists, "generated": missing}
    if missing:
        header = f"Secret {params['namespace']}/{params['name']}"
        before = {key: "(hidden)" for key in sorted(present) if key not in missing}
        after = {**before, **dict.fromkeys(missing, "(new random value)")}
        result["diff"] = [
            {"before_header": header, "before": before if secret else "", "after_header": header, "after": after}
        ]
    if params["return_values"]:
        result["secret_values"] = {key: base64.b64decode(value).decode() for key, value in present.items()}
    return {**result, **module.request_counts()}


def main() -> None:
    """Entry point of the module."""
    reference = {
        "api_version": {"type": "str", "required": True},
        "kind": {"type": "str", "required": True},
        "namespace": {"type": "str"},
        "name": {"type": "str", "required": True},
    }
    KubeModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "keys": {"type": "list", "elements": "str", "default": ["password"], "no_log": False},
            "length": {"type": "int", "default": 40},
            "unless_exists": {"type": "dict", "options": reference},
            "return_values": {"type": "bool", "default": False},
            **PLAN_ARGUMENTS,
        }
    ).run(work)


if __name__ == "__main__":
    main()
