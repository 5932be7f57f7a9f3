#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_alert
version_added: 0.1.0
short_description: Follow an alert from Prometheus to its receivers
author: onprem.platform contributors (@onprem-platform)
description:
  - Waits until an alert is pending and firing in Prometheus, active in Alertmanager, and received by mail and webhook;
    or until it is gone from both and the resolve messages are received.
  - Says when each step happened, and of the first step that did not, why as far as the services tell. An alert whose
    rule is missing, that was active before, or that is silenced for longer than the probe waits ends it at once.
  - With O(sink), a message counts when the sink has it. Without, the counters of Alertmanager's requests (as
    Prometheus scraped them) must have grown; that a mail was accepted is then shown, not whose it was.
  - Only reads. What makes the alert fire, and ends that, is up to the playbook.
options:
  alert:
    description: Name of the alert.
    type: str
    required: true
  labels:
    description: Labels that the alert has besides. They must be labels of the rule or its series.
    type: dict
    default: {}
  phase:
    description:
      - V(fired) waits for the steps pending, firing, alertmanager (active there), mail and webhook.
      - V(resolved) waits for the steps inactive, alertmanager (resolved there), mail and webhook.
    type: str
    choices: [fired, resolved]
    required: true
  started_after:
    description:
      - RFC 3339 time with zone; nothing older counts, neither alert nor message.
      - Usually the moment before the cause of the alert was made, or removed. By the clock of the cluster.
    type: str
    required: true
  mail_recipients:
    description: Addresses that must receive a mail.
    type: list
    elements: str
    default: []
  webhooks:
    description: Names at the sink (C(/webhook/<name>)) that must receive Alertmanager's JSON.
    type: list
    elements: str
    default: []
  mail_subject_fired:
    description: Regular expression that the subject of a mail about a firing alert matches.
    type: str
    default: "(?i)\\bfiring\\b"
  mail_subject_resolved:
    description: Regular expression that the subject of a mail about a resolved alert matches.
    type: str
    default: "(?i)\\bresolved\\b"
  wait_timeout:
    description: Seconds to wait at most for all steps.
    type: int
    default: 300
  poll_interval:
    description: Seconds between two looks.
    type: float
    default: 1
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.endpoint
  - onprem.platform.endpoint.alertmanager
  - onprem.platform.endpoint.sink
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.k8s
seealso:
  - module: onprem.platform.k8s_wait
"""

EXAMPLES = r"""
- name: See the alert arrive, with services reached directly
  onprem.platform.probe_alert:
    alert: SmsGatewayDown
    phase: fired
    started_after: "{{ started_after }}"
    prometheus: {url: "http://127.0.0.1:9090"}
    alertmanager: {url: "http://127.0.0.1:9093"}
    sink: {url: "http://127.0.0.1:8080"}
    mail_recipients: [platform@example.org]
    webhooks: [chat]

- name: See it resolved, in a cluster and without a sink
  onprem.platform.probe_alert:
    kubeconfig: /root/.kube/config
    alert: SmsGatewayDown
    labels: {namespace: shop}
    phase: resolved
    started_after: "{{ restored_at }}"
    prometheus:
      url: http://prometheus:9090
      kubernetes_port_forward: {namespace: observability, selector: app.kubernetes.io/name=prometheus}
    alertmanager:
      url: http://alertmanager:9093
      kubernetes_port_forward: {namespace: observability, selector: app.kubernetes.io/name=alertmanager}
    mail_recipients: [platform@example.org]
    wait_timeout: 600
"""

RETURN = r"""
alert:
  description: The alert that was followed.
  returned: always, unless the options are wrong or a service did not answer
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: SmsGatewayDown
    labels:
      description: The labels that it had to have.
      type: dict
      sample: {namespace: shop}
phase:
  description: The phase that was waited for.
  returned: as RV(alert)
  type: str
  sample: fired
started_after:
  description: From when on things counted (RFC 3339, UTC).
  returned: as RV(alert)
  type: str
  sample: "2026-01-31T12:00:00.000Z"
steps:
  description: The steps of the phase, in their order.
  returned: as RV(alert)
  type: list
  elements: dict
  contains:
    step:
      description: Name of the step.
      type: str
      sample: mail
    receiver:
      description: Address or webhook; empty for steps without one, and for all of a kind without a sink.
      type: str
      sample: platform@example.org
    proof:
      description: V(prometheus), V(alertmanager), V(sink), or V(counters) of Alertmanager's requests.
      type: str
      sample: sink
    at:
      description:
        - When it happened (RFC 3339, UTC); empty if it did not. Pending and firing are Prometheus' own times,
          messages have the sink's; other steps have the time when they were seen.
      type: str
      sample: "2026-01-31T12:02:31.418Z"
    seconds:
      description: Time since O(started_after).
      type: float
      sample: 151.418
missing:
  description: The steps that did not happen.
  returned: as RV(alert)
  type: list
  elements: str
  sample: []
state:
  description: The last that the services said.
  returned: as RV(alert)
  type: dict
  contains:
    rule:
      description: Expression and waiting time of the rule, or its error.
      type: str
      sample: "app_sms_gateway_up == 0, for 120 s"
    prometheus:
      description: The alert's state in Prometheus.
      type: str
      sample: "firing since 2026-01-31T12:00:30.412Z, value 0e+00"
    alertmanager:
      description: The alert's state in Alertmanager, with silences and inhibitions.
      type: str
      sample: active, for team
    receivers:
      description: Names of the receivers that Alertmanager chose.
      type: list
      elements: str
      sample: [team]
    request_errors:
      description: Integration and number of requests of Alertmanager that failed since the start.
      type: list
      elements: str
      sample: []
    unreachable:
      description: Why the last look failed; empty if it did not.
      type: str
      sample: ""
messages:
  description: The messages that counted. What looks like credentials is masked, the content is cut at 2000 characters.
  returned: as RV(alert)
  type: list
  elements: dict
  contains:
    id:
      description: The sink's id of the message.
      type: str
      sample: "000000000042"
    kind:
      description: V(mail) or V(webhook).
      type: str
      sample: mail
    receiver:
      description: Address or name of the webhook.
      type: str
      sample: platform@example.org
    received_at:
      description: When the sink received it (RFC 3339, UTC).
      type: str
      sample: "2026-01-31T12:02:31.418Z"
    subject:
      description: Subject of a mail.
      type: str
      sample: "[FIRING:1] SmsGatewayDown"
    content:
      description: Text of a mail, JSON of a webhook.
      type: str
      sample: The SMS gateway refuses messages.
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status of the Kubernetes API, 0 if no answer was involved.
      type: int
      sample: 0
    reason:
      description: The machine-readable word for the error, V(AlertProbe) when a step did not come.
      type: str
      sample: AlertProbe
    message:
      description: The error's message.
      type: str
      sample: "Alert SmsGatewayDown: Prometheus has no alerting rule of this name"
"""

import re
from typing import Any

from ..module_utils._alert_probe import AlertProbe, AlertProbeError, Expectation
from ..module_utils._http_endpoint import ENDPOINT_OPTIONS
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import KubeModule
from ..module_utils._monitoring import Alertmanager, Prometheus, Sink, parse_time

ENDPOINT: dict[str, Any] = {"type": "dict", "options": ENDPOINT_OPTIONS}
ARGUMENTS: dict[str, Any] = {
    "alert": {"type": "str", "required": True},
    "labels": {"type": "dict", "default": {}},
    "phase": {"type": "str", "choices": ["fired", "resolved"], "required": True},
    "started_after": {"type": "str", "required": True},
    "prometheus": {**ENDPOINT, "required": True},
    "alertmanager": {**ENDPOINT, "required": True},
    "sink": ENDPOINT,
    "mail_recipients": {"type": "list", "elements": "str", "default": []},
    "webhooks": {"type": "list", "elements": "str", "default": []},
    "mail_subject_fired": {"type": "str", "default": r"(?i)\bfiring\b"},
    "mail_subject_resolved": {"type": "str", "default": r"(?i)\bresolved\b"},
    "wait_timeout": {"type": "int", "default": 300},
    "poll_interval": {"type": "float", "default": 1},
}


def make_expectation(params: dict[str, Any]) -> Expectation:
    """Check the options that say what is expected; raises KubeConfigError."""
    try:
        started_after = parse_time(params["started_after"])
        patterns = [re.compile(params[name]) for name in ("mail_subject_fired", "mail_subject_resolved")]
    except ValueError as error:
        raise KubeConfigError(f"started_after is no RFC 3339 time with zone: {error}") from error
    except re.error as error:
        raise KubeConfigError(f"a pattern for mail subjects is no regular expression: {error}") from error
    if params["poll_interval"] <= 0:
        raise KubeConfigError("poll_interval must be more than 0")
    return Expectation(
        params["alert"],
        {name: str(value) for name, value in params["labels"].items()},
        tuple(params["mail_recipients"]),
        tuple(params["webhooks"]),
        started_after,
        *patterns,
    )


def work(module: KubeModule) -> dict[str, Any]:
    """Follow the alert; raises KubeError."""
    params = module.params
    expectation = make_expectation(params)

    def arguments(name: str) -> tuple[Any, ...]:
        return name, params[name], lambda: module.client, params["request_timeout"]

    sink = Sink(*arguments("sink")) if params["sink"] else None
    probe = AlertProbe(
        Prometheus(*arguments("prometheus")),
        Alertmanager(*arguments("alertmanager")),
        sink,
        expectation,
        params["phase"],
    )
    try:
        report = probe.wait(params["wait_timeout"], params["poll_interval"])
    except AlertProbeError as error:
        module.fail(error, **error.report)
    return {"changed": False, **report}


def main() -> None:
    """Entry point of the module."""
    KubeModule(argument_spec=ARGUMENTS).run(work)


if __name__ == "__main__":
    main()
