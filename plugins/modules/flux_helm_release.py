#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_helm_release
version_added: 0.1.0
short_description: Keep a HelmRelease of Flux
author: onprem.platform contributors (@onprem-platform)
description:
  - Keeps a HelmRelease, by which Flux installs, upgrades, tests and corrects a release of a chart.
options:
  chart_ref:
    description: An OCIRepository or HelmChart that holds the chart. Either this or O(chart) with O(state=present).
    type: dict
    suboptions:
      kind:
        description: Kind of the source.
        type: str
        choices: [OCIRepository, HelmChart, ExternalArtifact]
        required: true
      name:
        description: Name of the source.
        type: str
        required: true
      namespace:
        description: Namespace of the source, if it is another one.
        type: str
  chart:
    description: The chart's template as Flux names it (C(spec) with C(chart), C(version) and C(sourceRef)).
    type: dict
  values:
    description: Values of the chart. Secrets belong into O(values_from); O(hidden_fields) masks what must be here.
    type: dict
  values_from:
    description: ConfigMaps and Secrets (C(kind), C(name), C(valuesKey), C(targetPath), C(optional)) with values.
    type: list
    elements: dict
  release_name:
    description: Name of the Helm release.
    type: str
  target_namespace:
    description: Namespace of the release.
    type: str
  storage_namespace:
    description: Namespace of Helm's records.
    type: str
  depends_on:
    description: HelmReleases (C(name), C(namespace), C(readyExpr)) that must be ready before.
    type: list
    elements: dict
  service_account_name:
    description: Service account that Flux acts as.
    type: str
  max_history:
    description: How many revisions Helm keeps.
    type: int
  install:
    description: Settings of the installation as Flux names them, such as C(remediation), C(crds), C(timeout).
    type: dict
  upgrade:
    description: Settings of upgrades, such as C(remediation), C(crds), C(timeout).
    type: dict
  rollback:
    description: Settings of rollbacks.
    type: dict
  uninstall:
    description: Settings of the removal.
    type: dict
  test:
    description: Settings of Helm tests.
    type: dict
  drift_detection:
    description: C(mode) (V(enabled), V(warn) or V(disabled)) and C(ignore) rules.
    type: dict
  post_renderers:
    description: Changes to the rendered manifests.
    type: list
    elements: dict
extends_documentation_fragment:
  - onprem.platform.flux
  - onprem.platform.flux.images
  - onprem.platform.kubernetes
  - onprem.platform.kubernetes.plan
  - onprem.platform.wait
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
    details:
      - The server validates and merges the object in a dry run. Nothing is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: onprem.platform.flux_source
  - module: onprem.platform.flux_reconcile
"""

EXAMPLES = r"""
- name: Release the application and wait for this chart version
  onprem.platform.flux_helm_release:
    name: shop
    namespace: shop
    chart_ref:
      kind: OCIRepository
      name: laravel
      namespace: flux-system
    interval: 10m
    timeout: 5m
    values:
      replicas: 2
    values_from:
      - kind: ConfigMap
        name: shop-values
    install:
      crds: CreateReplace
    upgrade:
      crds: CreateReplace
      remediation:
        retries: 1
        strategy: rollback
    drift_detection:
      mode: enabled
      ignore:
        - paths: [/spec/replicas]
          target: {kind: Deployment}
    wait: true
    wait_timeout: 600
    expected_revision: 1.0.0
"""

RETURN = r"""
object:
  description: What happened to the object.
  returned: unless the options are wrong
  type: dict
  contains:
    api_version:
      description: The object's apiVersion.
      type: str
      sample: helm.toolkit.fluxcd.io/v2
    kind:
      description: The object's kind.
      type: str
      sample: HelmRelease
    namespace:
      description: The object's namespace.
      type: str
      sample: flux-system
    name:
      description: The object's name.
      type: str
      sample: platform
    result:
      description: One of V(created), V(configured), V(unchanged), V(deleted), V(failed).
      type: str
      sample: created
    reason:
      description: What is special about the result.
      type: str
      sample: ""
flux:
  description: What Flux says about the object.
  returned: when it was waited for
  type: dict
  contains:
    kind:
      description: The object's kind.
      type: str
      sample: HelmRelease
    namespace:
      description: The object's namespace.
      type: str
      sample: shop
    name:
      description: The object's name.
      type: str
      sample: web
    ready:
      description: Whether Flux has reconciled the newest generation with success.
      type: bool
      sample: true
    state:
      description: One of V(ready), V(progressing), V(failed).
      type: str
      sample: ready
    message:
      description: What Flux says about the state.
      type: str
      sample: Helm upgrade succeeded
    suspended:
      description: Whether the object is suspended.
      type: bool
      sample: false
    revision:
      description: The revision fetched, applied or released last.
      type: str
      sample: 1.0.0
    conditions:
      description: The object's conditions.
      type: list
      elements: dict
      sample: []
images:
  description:
    - The containers of the workloads in the object's inventory, and what runs in their pods.
    - Empty when the inventory holds no Deployment, DaemonSet or StatefulSet.
  returned: when it was waited for and O(verify_images) is set
  type: list
  elements: dict
  contains:
    kind:
      description: The workload's kind.
      type: str
      sample: Deployment
    namespace:
      description: The workload's namespace.
      type: str
      sample: shop
    name:
      description: The workload's name.
      type: str
      sample: web
    container:
      description: The container's name in the workload's template.
      type: str
      sample: app
    image:
      description: The image as the template names it.
      type: str
      sample: registry.example/shop@sha256:4f3b1f6a0c8f8b8cf1f5b0c3a2f3f9e6d5c4b3a29181706f5e4d3c2b1a090807
    running:
      description: The digests that pods run, without those that are being deleted.
      type: list
      elements: str
      sample: ["sha256:4f3b1f6a0c8f8b8cf1f5b0c3a2f3f9e6d5c4b3a29181706f5e4d3c2b1a090807"]
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 4
writes:
  description: Requests among them that could change something.
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
      sample: 0
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Wait
    message:
      description: The error's message.
      type: str
      sample: "Kustomization flux-system/platform has failed"
"""

from typing import Any

from ..module_utils._flux_images import IMAGE_ARGUMENTS
from ..module_utils._flux_module import OBJECT_ARGUMENTS, build, keep, reference
from ..module_utils._kube_module import KubeModule

# option -> field of the spec
_FIELDS = {
    "chart": "chart",
    "values": "values",
    "values_from": "valuesFrom",
    "release_name": "releaseName",
    "target_namespace": "targetNamespace",
    "storage_namespace": "storageNamespace",
    "depends_on": "dependsOn",
    "service_account_name": "serviceAccountName",
    "max_history": "maxHistory",
    "install": "install",
    "upgrade": "upgrade",
    "rollback": "rollback",
    "uninstall": "uninstall",
    "test": "test",
    "drift_detection": "driftDetection",
    "post_renderers": "postRenderers",
}


def work(module: KubeModule) -> dict[str, Any]:
    """Build and keep the release; raises KubeError."""
    params = module.params
    fields = {field: params[option] for option, field in _FIELDS.items()}
    fields["chartRef"] = reference(params["chart_ref"])
    return keep(module, build(params, "HelmRelease", fields))


def main() -> None:
    """Entry point of the module."""
    chart_ref = {
        "kind": {"type": "str", "choices": ["OCIRepository", "HelmChart", "ExternalArtifact"], "required": True},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str"},
    }
    dicts = {"type": "list", "elements": "dict"}
    mapping = {"type": "dict"}
    KubeModule(
        argument_spec={
            "chart_ref": {"type": "dict", "options": chart_ref},
            "chart": mapping,
            "values": {"type": "dict", "no_log": True},
            "values_from": dicts,
            "release_name": {"type": "str"},
            "target_namespace": {"type": "str"},
            "storage_namespace": {"type": "str"},
            "depends_on": dicts,
            "service_account_name": {"type": "str"},
            "max_history": {"type": "int"},
            "install": mapping,
            "upgrade": mapping,
            "rollback": mapping,
            "uninstall": mapping,
            "test": mapping,
            "drift_detection": mapping,
            "post_renderers": dicts,
            **OBJECT_ARGUMENTS,
            **IMAGE_ARGUMENTS,
        },
        mutually_exclusive=[("chart_ref", "chart")],
        required_if=[("state", "present", ("interval",)), ("state", "present", ("chart_ref", "chart"), True)],
    ).run(work)


if __name__ == "__main__":
    main()
