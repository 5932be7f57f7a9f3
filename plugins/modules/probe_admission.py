#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_admission
version_added: 0.1.0
short_description: Try whether a cluster refuses what it should refuse, and nothing else
author: onprem.platform contributors (@onprem-platform)
description:
  - Sends objects to the API server as server-side dry runs, so admission decides about them as always and nothing is
    stored. A refusal counts only when it gives the right reason, and every case has a twin that must be admitted.
  - For each control of the Pod Security Standard C(restricted) there is a pod that breaks it and one that does not.
  - Further cases, such as unsigned images, are given with O(cases).
  - Fails when a verdict is wrong, and returns all of them.
options:
  namespace:
    description: Namespace that the objects would be in.
    type: str
    required: true
  image:
    description:
      - Image of the pods. Where images are verified, it must be one that is admitted.
    type: str
    default: registry.invalid/probe@sha256:0000000000000000000000000000000000000000000000000000000000000000
  controls:
    description:
      - Controls of C(restricted) to try, all if unset, none if empty. They are C(hostProcess), C(hostNetwork),
        C(hostPID), C(hostIPC), C(privileged), C(capabilities.add), C(capabilities.drop), C(hostPath), C(volumes),
        C(hostPort), C(probeHost), C(appArmorProfile), C(seLinuxOptions.type), C(seLinuxOptions.user), C(procMount),
        C(seccompProfile), C(seccompProfile.unset), C(sysctls), C(allowPrivilegeEscalation),
        C(allowPrivilegeEscalation.unset), C(runAsNonRoot) and C(runAsUser).
    type: list
    elements: str
  cases:
    description: Further objects to try.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is tried.
        type: str
        required: true
      image:
        description: Image for a pod that keeps every control of C(restricted). One of C(image) and C(object) is needed.
        type: str
      object:
        description:
          - Another object. An object that exists is tried as an update by server-side apply, any other as a new one.
        type: dict
      expected:
        description: What admission must say.
        type: str
        choices: [admitted, refused]
        required: true
      reason:
        description: Regular expression that must match somewhere in the refusal, which is otherwise for another reason.
        type: str
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
  - onprem.platform.attributes.info
attributes:
  check_mode:
    support: full
    details:
      - Everything is a dry run.
notes:
  - Webhooks that declare side effects are not asked in dry runs; the API server then refuses the request, which shows
    as a wrong verdict.
"""

EXAMPLES = r"""
- name: Is the namespace as restricted as its label says?
  onprem.platform.probe_admission:
    namespace: default
    controls: [hostPath, runAsNonRoot]

- name: Are unsigned images refused?
  onprem.platform.probe_admission:
    namespace: default
    controls: []
    cases:
      - name: signed
        image: registry.platform.internal:5000/laravel-demo:1.0.0
        expected: admitted
      - name: unsigned
        image: registry.platform.internal:5000/unsigned:1.0.0
        expected: refused
        reason: no signatures found|no matching signatures
"""

RETURN = r"""
results:
  description: Every verdict.
  returned: when admission was asked
  type: list
  elements: dict
  contains:
    name:
      description: The control or case.
      type: str
      sample: hostPath
    twin:
      description: C(negative) for what must be refused, C(positive) for what must be admitted.
      type: str
      sample: negative
    verdict:
      description: C(admitted), C(refused), or C(other) for a refusal for another reason.
      type: str
      sample: refused
    correct:
      description: Whether that is what it should be.
      type: bool
      sample: true
    reason:
      description: What the API server says to a refusal; for admitted pods the images after admission.
      type: str
      sample: 'pods "probe-bad-hostpid" is forbidden: violates PodSecurity "restricted:v1.36": host namespaces'
wrong:
  description: Names of cases with a wrong verdict.
  returned: when admission was asked
  type: list
  elements: str
  sample: []
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 44
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
      sample: Kube
    message:
      description: The error's message.
      type: str
      sample: "2 of 44 verdicts are wrong"
"""

from typing import Any

from ..module_utils._admission_probe import AdmissionProbe, Case, cases_of
from ..module_utils._kube_errors import KubeError
from ..module_utils._kube_module import KubeModule
from ..module_utils._kube_resources import Resources


def work(module: KubeModule) -> dict[str, Any]:
    """Try all cases; raises KubeError when a verdict is wrong or the API cannot be asked."""
    params = module.params
    cases = cases_of(params["controls"], params["image"])
    cases += [Case.of(option) for option in params["cases"]]
    verdicts = AdmissionProbe(module.client, Resources(module.client), params["namespace"]).run(cases)
    wrong = [verdict for verdict in verdicts if not verdict.correct]
    result = {
        "changed": False,
        "results": [verdict.as_dict() for verdict in verdicts],
        "wrong": [verdict.case.name for verdict in wrong],
        "requests": module.request_counts()["requests"],
    }
    if wrong:
        lines = "; ".join(str(verdict) for verdict in wrong[:5])
        module.fail(KubeError(f"{len(wrong)} of {len(verdicts)} verdicts are wrong: {lines}"), **result)
    return result


def main() -> None:
    """Entry point of the module."""
    placeholder = f"registry.invalid/probe@sha256:{'0' * 64}"
    KubeModule(
        argument_spec={
            "namespace": {"type": "str", "required": True},
            "image": {"type": "str", "default": placeholder},
            "controls": {"type": "list", "elements": "str"},
            "cases": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "image": {"type": "str"},
                    "object": {"type": "dict"},
                    "expected": {"type": "str", "choices": ["admitted", "refused"], "required": True},
                    "reason": {"type": "str"},
                },
                "required_one_of": [("image", "object")],
                "mutually_exclusive": [("image", "object")],
            },
        },
    ).run(work)


if __name__ == "__main__":
    main()
