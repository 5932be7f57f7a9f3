#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_image_policy
version_added: 0.1.0
short_description: Keep a policy that says whose images a cluster admits
author: onprem.platform contributors (@onprem-platform)
description:
  - Keeps a ClusterImagePolicy of sigstore's policy-controller. It says for some images who must have signed them, and
    what must be attested about them.
  - An image is admitted when one authority of every policy that matches it is satisfied. With C(attestations), an
    authority looks at the attestations and no longer at the image's own signature; to demand both, keep two policies.
  - The controller looks only at namespaces with its label (by default C(policy.sigstore.dev/include=true)), and
    refuses there every image that no policy matches, unless its configuration says otherwise.
options:
  name:
    description: Name of the policy.
    type: str
    required: true
  state:
    description: Whether the policy should exist.
    type: str
    choices: [present, absent]
    default: present
  images:
    description:
      - Globs of the images that the policy is for. V(*) stops at a slash, V(**) does not.
      - Required with O(state=present).
    type: list
    elements: str
  mode:
    description: What happens with an image that does not satisfy the policy. V(warn) admits it with a warning.
    type: str
    choices: [enforce, warn]
    default: enforce
  authorities:
    description: Who may vouch for the images; one of them is enough. Each has one of C(key), C(keyless) and C(static).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the authority, C(authority-N) by its position if unset.
        type: str
      key:
        description: A public key; exactly one of C(data), C(kms) and C(secret_ref).
        type: dict
        suboptions:
          data:
            description: The public key in PEM.
            type: str
          kms:
            description: Address of a key in a key management system, such as V(hashivault://release).
            type: str
          secret_ref:
            description: C(name) and C(namespace) of a Secret in the controller's namespace.
            type: dict
          hash_algorithm:
            description: Hash of the signature.
            type: str
            choices: [sha224, sha256, sha384, sha512]
      keyless:
        description: Short-lived certificates that a certificate authority issues to proved identities.
        type: dict
        suboptions:
          url:
            description: Address of the authority, sigstore's public one if unset and without C(ca_cert).
            type: str
          identities:
            description: Whose certificates count; one of C(issuer) and C(issuer_reg_exp), and the same of C(subject).
            type: list
            elements: dict
            required: true
            suboptions:
              issuer:
                description: The identity provider.
                type: str
              issuer_reg_exp:
                description: Regular expression from C(^) to C($) for the identity provider.
                type: str
              subject:
                description: Mail address or workflow.
                type: str
              subject_reg_exp:
                description: Regular expression from C(^) to C($) for mail address or workflow.
                type: str
          ca_cert:
            description: C(data) or C(secretRef) of the authority's certificate, as the API names them.
            type: dict
          trust_root_ref:
            description: TrustRoot with the certificates, for a mirror of the public authority or an own one.
            type: str
          insecure_ignore_sct:
            description: Accept certificates without proof that they were logged.
            type: bool
      static:
        description: A verdict without looking at anything.
        type: dict
        suboptions:
          action:
            description: The verdict.
            type: str
            choices: [pass, fail]
            required: true
          reason:
            description: What a user reads with V(fail).
            type: str
      source:
        description: Where signatures and attestations are, if not beside the image. The controller accepts one.
        type: list
        elements: dict
        suboptions:
          oci:
            description: Repository.
            type: str
          tag_prefix:
            description: Prefix of the tags.
            type: str
          signature_pull_secrets:
            description: Names of Secrets with credentials in the namespace of the workload.
            type: list
            elements: str
      ctlog:
        description: The transparency log that must know the signature. Without it none is asked.
        type: dict
        suboptions:
          url:
            description: Address of the log.
            type: str
          trust_root_ref:
            description: TrustRoot with the log's key.
            type: str
      rfc3161_timestamp:
        description: The time-stamping authority that must have signed the signature's time.
        type: dict
        suboptions:
          trust_root_ref:
            description: TrustRoot with its certificates.
            type: str
      signature_format:
        description: Format of signatures; keys need V(legacy), which is the controller's default.
        type: str
        choices: [legacy, bundle]
      attestations:
        description: What must be attested, signed by this authority.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the attestation.
            type: str
            required: true
          predicate_type:
            description: Its type, such as V(https://spdx.dev/Document) or V(https://slsa.dev/provenance/v1).
            type: str
            required: true
          policy:
            description: What the attestation must say.
            type: dict
            suboptions:
              type:
                description: Language of the rule.
                type: str
                choices: [cue, rego]
                default: cue
              data:
                description: The rule.
                type: str
              config_map_ref:
                description: C(name), C(namespace) and C(key) of a ConfigMap with the rule.
                type: dict
  policy:
    description: A rule over all that satisfied authorities and attestations gave.
    type: dict
    suboptions:
      type:
        description: Language of the rule.
        type: str
        choices: [cue, rego]
        default: cue
      data:
        description: The rule.
        type: str
      config_map_ref:
        description: C(name), C(namespace) and C(key) of a ConfigMap with the rule.
        type: dict
      fetch_config_file:
        description: Give the rule the image's configuration.
        type: bool
      include_spec:
        description: Give the rule the spec of the workload.
        type: bool
      include_object_meta:
        description: Give the rule the metadata of the workload.
        type: bool
      include_type_meta:
        description: Give the rule kind and apiVersion of the workload.
        type: bool
  match:
    description: Only these workloads, all if unset.
    type: list
    elements: dict
    suboptions:
      group:
        description: API group.
        type: str
      version:
        description: API version.
        type: str
      resource:
        description: Kind of workload as the API's plural.
        type: str
        choices: [pods, replicasets, deployments, statefulsets, daemonsets, jobs, cronjobs]
      selector:
        description: Label selector, as Kubernetes writes it (C(matchLabels), C(matchExpressions)).
        type: dict
  labels:
    description: Labels of the policy.
    type: dict
  annotations:
    description: Annotations of the policy.
    type: dict
  force_conflicts:
    description: Take over fields that other field managers own.
    type: bool
    default: false
  hidden_fields:
    description: Dotted paths whose values are masked in the diff.
    type: list
    elements: str
    default: []
  wait:
    description:
      - With O(state=present), wait until policy-controller has taken this generation of the policy into its
        configuration. A key or rule that it cannot use ends the waiting with its reason.
      - With O(state=absent), wait until the policy is gone.
    type: bool
    default: false
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.kubernetes.plan
  - onprem.platform.wait
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
    details:
      - The server and the controller's webhook check the object in a dry run. Nothing is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - Lists of a policy belong to one field manager as a whole, so drift by hand in them is put back.
seealso:
  - module: onprem.platform.image_signature_info
"""

EXAMPLES = r"""
- name: Images of the own registry are signed with the release key
  onprem.platform.cluster_image_policy:
    name: release-signature
    images: ["registry.platform.internal:5000/**"]
    authorities:
      - name: release
        key:
          hash_algorithm: sha256
          data: |
            -----BEGIN PUBLIC KEY-----
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExB6+H6054/W1SJgs5JR6AJr6J35J
            RCTfQ5s1kD+hGMSE1rH7s46hmXEeyhnlRnaGF8eMU/SBJE/2NKPnxE7WzQ==
            -----END PUBLIC KEY-----
    wait: true
    wait_timeout: 60

- name: They have a bill of materials as well
  onprem.platform.cluster_image_policy:
    name: release-sbom
    images: ["registry.platform.internal:5000/**"]
    mode: warn
    authorities:
      - name: release
        key:
          kms: hashivault://release
        attestations:
          - name: sbom
            predicate_type: https://spdx.dev/Document
            policy:
              data: |
                predicateType: "https://spdx.dev/Document"
                predicate: spdxVersion: "SPDX-2.3"

- name: What a release workflow has built
  onprem.platform.cluster_image_policy:
    name: release-workflow
    images: ["ghcr.io/acme/**"]
    authorities:
      - name: workflow
        keyless:
          identities:
            - issuer: https://token.actions.githubusercontent.com
              subject_reg_exp: ^https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v.+$
        ctlog:
          url: https://rekor.sigstore.dev

- name: No longer needed
  onprem.platform.cluster_image_policy:
    name: old
    state: absent
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
      sample: policy.sigstore.dev/v1beta1
    kind:
      description: The object's kind.
      type: str
      sample: ClusterImagePolicy
    namespace:
      description: Empty, the object has none.
      type: str
      sample: ""
    name:
      description: The object's name.
      type: str
      sample: release-signature
    result:
      description: One of V(created), V(configured), V(unchanged), V(deleted), V(failed).
      type: str
      sample: created
    reason:
      description: What is special about the result.
      type: str
      sample: ""
conditions:
  description: What policy-controller says about the policy.
  returned: when it was waited for
  type: list
  elements: dict
  contains:
    type:
      description: One of C(Ready), C(KeysInlined), C(PoliciesInlined), C(ConfigMapUpdated).
      type: str
      sample: Ready
    status:
      description: C(True), C(False) or C(Unknown).
      type: str
      sample: "True"
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 4
writes:
  description: Requests among them that could change something.
  returned: always
  type: int
  sample: 1
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
      sample: "ClusterImagePolicy release-signature has failed"
"""

from typing import Any

from ..module_utils._image_policy import API_VERSION, KIND, judge, specification
from ..module_utils._kube_documents import load_documents
from ..module_utils._kube_module import KubeModule
from ..module_utils._kube_object import OBJECT_ARGUMENTS, keep, metadata
from ..module_utils._kube_resources import Resources
from ..module_utils._kube_wait import Target

RULE: dict[str, Any] = {
    "type": {"type": "str", "choices": ["cue", "rego"], "default": "cue"},
    "data": {"type": "str"},
    "config_map_ref": {"type": "dict"},
}
IDENTITY = {name: {"type": "str"} for name in ("issuer", "issuer_reg_exp", "subject", "subject_reg_exp")}
AUTHORITY: dict[str, Any] = {
    "name": {"type": "str"},
    "key": {
        "type": "dict",
        "no_log": False,
        "options": {
            "data": {"type": "str"},
            "kms": {"type": "str"},
            "secret_ref": {"type": "dict", "no_log": False},
            "hash_algorithm": {"type": "str", "choices": ["sha224", "sha256", "sha384", "sha512"]},
        },
    },
    "keyless": {
        "type": "dict",
        "no_log": False,
        "options": {
            "url": {"type": "str"},
            "identities": {"type": "list", "elements": "dict", "required": True, "options": IDENTITY},
            "ca_cert": {"type": "dict"},
            "trust_root_ref": {"type": "str"},
            "insecure_ignore_sct": {"type": "bool"},
        },
    },
    "static": {
        "type": "dict",
        "options": {
            "action": {"type": "str", "choices": ["pass", "fail"], "required": True},
            "reason": {"type": "str"},
        },
    },
    "source": {
        "type": "list",
        "elements": "dict",
        "options": {
            "oci": {"type": "str"},
            "tag_prefix": {"type": "str"},
            "signature_pull_secrets": {"type": "list", "elements": "str", "no_log": False},
        },
    },
    "ctlog": {"type": "dict", "options": {"url": {"type": "str"}, "trust_root_ref": {"type": "str"}}},
    "rfc3161_timestamp": {"type": "dict", "options": {"trust_root_ref": {"type": "str"}}},
    "signature_format": {"type": "str", "choices": ["legacy", "bundle"]},
    "attestations": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "predicate_type": {"type": "str", "required": True},
            "policy": {"type": "dict", "options": RULE},
        },
    },
}
FLAGS = {
    name: {"type": "bool"} for name in ("fetch_config_file", "include_spec", "include_object_meta", "include_type_meta")
}
WORKLOADS = ["pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs"]


def work(module: KubeModule) -> dict[str, Any]:
    """Build and keep the policy; raises KubeError."""
    params = module.params
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata(params)}
    if params["state"] == "present":
        document["spec"] = specification(params)

    def settle(resources: Resources) -> dict[str, Any]:
        target = Target(API_VERSION, KIND, params["name"], judge=judge)
        waited = module.waiter(resources).wait([target], params["wait_timeout"])
        return {"conditions": ((waited[0].document or {}).get("status") or {}).get("conditions", [])}

    return keep(module, load_documents(document, None)[0], settle)


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            **OBJECT_ARGUMENTS,
            "images": {"type": "list", "elements": "str"},
            "mode": {"type": "str", "choices": ["enforce", "warn"], "default": "enforce"},
            "authorities": {"type": "list", "elements": "dict", "options": AUTHORITY},
            "policy": {"type": "dict", "options": {**RULE, **FLAGS}},
            "match": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "group": {"type": "str"},
                    "version": {"type": "str"},
                    "resource": {"type": "str", "choices": WORKLOADS},
                    "selector": {"type": "dict"},
                },
            },
        },
        required_if=[("state", "present", ("images",))],
    ).run(work)


if __name__ == "__main__":
    main()
