#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an HTTP service for JSON until it says what is expected."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_json
version_added: 0.1.0
short_description: Ask an HTTP service for JSON until it says what is expected
author: onprem.platform contributors (@onprem-platform)
description:
  - Gets one path, again and again, until a JMESPath expression over the answer is true, and says how long that took.
  - Reaches services inside of a cluster, such as Prometheus and Loki, by a port-forward of the API server.
  - Only reads.
options:
  endpoint:
    description: Where the service is.
    type: dict
    required: true
    suboptions:
      url:
        description: Address of the service. With a port-forward, its host only has to be the name in its certificate.
        type: str
        required: true
      ca_cert:
        description: File with the certificate authorities to trust. The default is the system's.
        type: path
      validate_certs:
        description: Whether the service's certificate is verified.
        type: bool
        default: true
      kubernetes_port_forward:
        description:
          - Reach the service through a port-forward of the API server, with this module's Kubernetes connection.
          - Needs C(websocket-client). No port is opened on the controller. One of pod and selector is required.
        type: dict
        suboptions:
          namespace:
            description: Namespace of the pod.
            type: str
            required: true
          pod:
            description: Name of the pod.
            type: str
          selector:
            description: Label selector; the first ready pod is taken, else the first running one.
            type: str
          port:
            description: Port of the pod. The default is the port of the URL.
            type: int
  path:
    description: What to get, for example V(/api/v1/query).
    type: str
    required: true
  query:
    description: Parameters of the request.
    type: dict
    default: {}
  expression:
    description: A JMESPath expression over the answer that must become true (not null, false or empty).
    type: str
    required: true
  wait_timeout:
    description: Seconds to wait at most; V(0) asks once.
    type: int
    default: 60
  poll_interval:
    description: Seconds from one answer to the next request.
    type: float
    default: 1
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
    details: Reads only, so a check run does the same.
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - jmespath (Python library)
seealso:
  - module: onprem.platform.probe_alert
"""

EXAMPLES = r"""
- name: All targets of Prometheus are up
  onprem.platform.probe_json:
    endpoint:
      url: http://prometheus:9090
      kubernetes_port_forward: {namespace: observability, selector: app.kubernetes.io/name=prometheus}
    path: /api/v1/targets
    query: {state: active}
    expression: data.activeTargets && !(data.activeTargets[?health != 'up'])
"""

RETURN = r"""
answer:
  description: The last answer.
  returned: when there was one
  type: raw
  sample: {status: success, data: {result: []}}
seconds:
  description: Time until the expression was true.
  returned: success
  type: float
  sample: 1.32
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 0
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: EndpointError
    message:
      description: The error's message.
      type: str
      sample: "Within 60 s, prometheus (http://prometheus:9090) did not say what was expected"
"""

import time
from typing import Any

from ..module_utils._http_endpoint import ENDPOINT_OPTIONS, Endpoint, EndpointError
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import KubeModule

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError:  # work() says so
    jmespath = None  # type: ignore[assignment]

ARGUMENTS: dict[str, Any] = {
    "endpoint": {"type": "dict", "options": ENDPOINT_OPTIONS, "required": True},
    "path": {"type": "str", "required": True},
    "query": {"type": "dict", "default": {}},
    "expression": {"type": "str", "required": True},
    "wait_timeout": {"type": "int", "default": 60},
    "poll_interval": {"type": "float", "default": 1},
}


def work(module: KubeModule) -> dict[str, Any]:
    """Ask until the expression is true; raises KubeError."""
    params = module.params
    if jmespath is None:
        raise KubeConfigError("the Python package 'jmespath' is missing on the controller", "pip install jmespath")
    if params["poll_interval"] <= 0 or not params["path"].startswith("/"):
        raise KubeConfigError("poll_interval must be more than 0, and path begin with '/'")
    try:
        expression = jmespath.compile(params["expression"])
    except JMESPathError as error:
        raise KubeConfigError(f"expression is no JMESPath: {error}") from error
    name = params["endpoint"]["url"].split("//")[-1].split(":")[0]
    endpoint = Endpoint(name, params["endpoint"], lambda: module.client, params["request_timeout"])
    start = time.monotonic()
    answer: Any = None
    while True:
        trouble = ""
        try:
            answer = endpoint.get(params["path"], params["query"])
            if expression.search(answer):
                return {"changed": False, "answer": answer, "seconds": round(time.monotonic() - start, 2)}
        except EndpointError as error:
            trouble = f": {error}"
        except JMESPathError as error:
            trouble = f": {error}"
        if time.monotonic() - start >= params["wait_timeout"]:
            message = f"Within {params['wait_timeout']} s, {name} did not say what was expected{trouble}"
            module.fail(EndpointError(message, hint=f"It had to fulfil {params['expression']}"), answer=answer)
        time.sleep(params["poll_interval"])


def main() -> None:
    """Entry point of the module."""
    KubeModule(argument_spec=ARGUMENTS).run(work)


if __name__ == "__main__":
    main()
