#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_source
version_added: 0.1.0
short_description: Keep a source of Flux
author: onprem.platform contributors (@onprem-platform)
description:
  - Keeps an OCIRepository, GitRepository, HelmRepository or Bucket that Flux fetches manifests or charts from.
options:
  kind:
    description: Kind of the source.
    type: str
    choices: [OCIRepository, GitRepository, HelmRepository, Bucket]
    required: true
  url:
    description:
      - Address of the source, such as V(oci://registry.example.org/tree). Required with O(state=present), except for a
        Bucket.
    type: str
  endpoint:
    description: Host and port of the object store. Required for a Bucket with O(state=present).
    type: str
  bucket_name:
    description: Name of the bucket in the object store. Required for a Bucket with O(state=present).
    type: str
  region:
    description: Region of the bucket.
    type: str
  prefix:
    description: Only objects of the bucket whose names begin like this.
    type: str
  ref:
    description:
      - What to fetch, as Flux names it. C(tag), C(semver), C(semverFilter) or C(digest) for an OCIRepository;
        C(branch), C(tag), C(semver), C(name) or C(commit) for a GitRepository.
    type: dict
  type:
    description: Type of a HelmRepository.
    type: str
    choices: [default, oci]
  provider:
    description: Provider for credentials, such as V(generic).
    type: str
  secret_name:
    description: Secret with credentials, in the same namespace.
    type: str
  cert_secret_name:
    description: Secret with CA certificate and client certificate, for all kinds but GitRepository.
    type: str
  service_account_name:
    description:
      - Service account with image pull secrets for an OCIRepository, with rights at the provider for a GitRepository or
        Bucket.
    type: str
  insecure:
    description: Allow plain HTTP, for all kinds but GitRepository.
    type: bool
  ignore:
    description: Paths to leave out, in the format of C(.gitignore), for all kinds but HelmRepository.
    type: str
  layer_selector:
    description: C(mediaType) and C(operation) of the layer to use, for OCIRepository.
    type: dict
  verify:
    description: How signatures are verified, as Flux names it, for OCIRepository and GitRepository.
    type: dict
extends_documentation_fragment:
  - onprem.platform.flux
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
  - module: onprem.platform.flux_kustomization
  - module: onprem.platform.flux_helm_release
"""

EXAMPLES = r"""
- name: The platform tree as an artifact of the cluster's registry
  onprem.platform.flux_source:
    kind: OCIRepository
    name: platform
    url: oci://registry.platform.internal:5000/platform-tree
    ref:
      tag: latest
    interval: 1m
    cert_secret_name: registry-ca
    wait: true
    wait_timeout: 60

- name: A chart in a registry
  onprem.platform.flux_source:
    kind: OCIRepository
    name: laravel
    namespace: flux-system
    url: oci://registry.platform.internal:5000/charts/laravel
    ref:
      semver: ">=1.0.0"
    layer_selector:
      mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip
      operation: copy
    interval: 5m

- name: A branch of a Git repository, by a key in a Secret
  onprem.platform.flux_source:
    kind: GitRepository
    name: tree
    url: ssh://git@git.example.org/platform/tree.git
    ref:
      branch: main
    secret_name: git-key
    interval: 1m

- name: A directory of an object store
  onprem.platform.flux_source:
    kind: Bucket
    name: reports
    endpoint: objects.example.org:9000
    bucket_name: manifests
    prefix: reports/
    secret_name: object-store
    interval: 5m

- name: No longer needed
  onprem.platform.flux_source:
    kind: GitRepository
    name: old
    state: absent
    wait: true
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
      sample: source.toolkit.fluxcd.io/v1
    kind:
      description: The object's kind.
      type: str
      sample: OCIRepository
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

from ..module_utils._flux_module import OBJECT_ARGUMENTS, build, keep, named
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import KubeModule

# option -> kinds that have it
_ONLY_FOR = {
    "url": ("OCIRepository", "GitRepository", "HelmRepository"),
    "endpoint": ("Bucket",),
    "bucket_name": ("Bucket",),
    "region": ("Bucket",),
    "prefix": ("Bucket",),
    "ref": ("OCIRepository", "GitRepository"),
    "type": ("HelmRepository",),
    "cert_secret_name": ("OCIRepository", "HelmRepository", "Bucket"),
    "service_account_name": ("OCIRepository", "GitRepository", "Bucket"),
    "insecure": ("OCIRepository", "HelmRepository", "Bucket"),
    "ignore": ("OCIRepository", "GitRepository", "Bucket"),
    "layer_selector": ("OCIRepository",),
    "verify": ("OCIRepository", "GitRepository"),
}


def work(module: KubeModule) -> dict[str, Any]:
    """Build and keep the source; raises KubeError."""
    params = module.params
    wrong = [name for name, kinds in _ONLY_FOR.items() if params[name] is not None and params["kind"] not in kinds]
    if wrong:
        raise KubeConfigError(f"a {params['kind']} has no {', '.join(wrong)}")
    address = ("endpoint", "bucket_name") if params["kind"] == "Bucket" else ("url",)
    missing = [name for name in address if params["state"] == "present" and not params[name]]
    if missing:
        raise KubeConfigError(f"a {params['kind']} needs {' and '.join(missing)}")
    fields = {
        "url": params["url"],
        "endpoint": params["endpoint"],
        "bucketName": params["bucket_name"],
        "region": params["region"],
        "prefix": params["prefix"],
        "ref": params["ref"],
        "type": params["type"],
        "provider": params["provider"],
        "secretRef": named(params["secret_name"]),
        "certSecretRef": named(params["cert_secret_name"]),
        "serviceAccountName": params["service_account_name"],
        "insecure": params["insecure"],
        "ignore": params["ignore"],
        "layerSelector": params["layer_selector"],
        "verify": params["verify"],
    }
    return keep(module, build(params, params["kind"], fields))


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            "kind": {
                "type": "str",
                "choices": ["OCIRepository", "GitRepository", "HelmRepository", "Bucket"],
                "required": True,
            },
            "url": {"type": "str"},
            "endpoint": {"type": "str"},
            "bucket_name": {"type": "str"},
            "region": {"type": "str"},
            "prefix": {"type": "str"},
            "ref": {"type": "dict"},
            "type": {"type": "str", "choices": ["default", "oci"]},
            "provider": {"type": "str"},
            "secret_name": {"type": "str", "no_log": False},
            "cert_secret_name": {"type": "str", "no_log": False},
            "service_account_name": {"type": "str"},
            "insecure": {"type": "bool"},
            "ignore": {"type": "str"},
            "layer_selector": {"type": "dict"},
            "verify": {"type": "dict"},
            **OBJECT_ARGUMENTS,
        },
        required_if=[("state", "present", ("interval",))],
    ).run(work)


if __name__ == "__main__":
    main()
