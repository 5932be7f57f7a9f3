#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_apply
version_added: 0.1.0
short_description: Apply or delete many Kubernetes objects in one call
author: onprem.platform contributors (@onprem-platform)
description:
  - Brings any number of objects into the described state by server-side apply, over one connection.
  - CustomResourceDefinitions come first (the module waits until they are served), then namespaces, then what others
    refer to, then workloads, then custom resources; admission webhooks come last. Deletion goes the other way round.
  - An object that already holds its document costs one read and no write. Whether that is so follows from the
    ownership that the server records for this field manager, or else from a dry run on the server.
  - A field that another manager owns with another value is a conflict; it is reported with the owner's name and not
    overwritten, unless O(force_conflicts) is set.
  - Objects that Flux manages are refused, because Flux would undo the change.
  - One object that fails does not stop the others. The task fails at the end and names each of them.
options:
  definition:
    description:
      - The documents, as a mapping, a list of mappings, or YAML text with one or more documents.
      - Values of Secrets are masked in all output, also in the list of options that Ansible shows at C(-vvv).
    type: raw
    aliases: [resource_definition]
  src:
    description:
      - Files with one or more YAML documents, or directories whose C(.yaml), C(.yml) and C(.json) files are read.
    type: list
    elements: path
  state:
    description: Whether the objects should exist.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description:
      - Namespace for documents of namespaced kinds that name none. V(default) is used if this is not set either.
    type: str
  field_manager:
    description:
      - The name that the server keeps for whoever owns the fields of the documents.
      - Another name lets two parts of a site keep different fields of one object. A part removes only what it owned
        itself.
    type: str
    default: onprem.platform
  force_conflicts:
    description: Take over fields that other managers own.
    type: bool
    default: false
  allow_flux_owned:
    description: Also change objects that a Flux Kustomization or HelmRelease manages.
    type: bool
    default: false
  recreate_kinds:
    description:
      - Kinds whose objects may be deleted and created anew when a changed field is immutable, V(Job) for example.
      - CustomResourceDefinitions, namespaces, persistent volumes and claims are never recreated.
    type: list
    elements: str
    default: []
  propagation_policy:
    description: What happens to dependent objects on deletion.
    type: str
    choices: [Background, Foreground, Orphan]
    default: Background
  prune:
    description:
      - With O(state=present), delete the objects of this set that no document describes any more, after all documents
        were applied with success.
      - Only objects that O(field_manager) has applied are deleted. What somebody else made stays, whatever its labels.
    type: dict
    suboptions:
      labels:
        description: Labels that make up the set. Each document of O(prune.kinds) must carry all of them.
        type: dict
        required: true
      kinds:
        description: Kinds whose objects may be deleted; all others are left alone.
        type: list
        elements: dict
        required: true
        suboptions:
          api_version:
            description: The kind's apiVersion.
            type: str
            required: true
          kind:
            description: The kind.
            type: str
            required: true
      namespaces:
        description: Namespaces to look into beside those of the documents, such as one that is no longer used.
        type: list
        elements: str
        default: []
  hidden_fields:
    description:
      - Dotted paths, such as V(spec.values.password), whose values are masked in the diff and in messages.
    type: list
    elements: str
    default: []
  wait:
    description:
      - With O(state=present), wait until all objects are ready, as M(onprem.platform.k8s_wait) judges it. A claim whose
        storage class waits for the first consumer becomes ready only with a pod that uses it.
      - With O(state=absent), wait until they are gone.
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
      - The server validates and merges each object in a dry run. An object whose namespace or kind does not exist yet
        cannot be validated and is reported as created.
  diff_mode:
    support: full
    details:
      - Shows what the object asks for, without status and bookkeeping of the server. Values of Secrets are masked.
  idempotent:
    support: full
notes:
  - Runs on the controller; nodes need nothing.
seealso:
  - module: onprem.platform.k8s_wait
  - module: kubernetes.core.k8s
    description: Handles documents one by one and writes each time.
"""

EXAMPLES = r"""
- name: A namespace with its settings
  onprem.platform.k8s_apply:
    definition:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: shop
          labels:
            pod-security.kubernetes.io/enforce: restricted
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: settings
          namespace: shop
        data:
          colour: blue

- name: All manifests of a directory, and wait until they are ready
  onprem.platform.k8s_apply:
    src:
      - "{{ playbook_dir }}/manifests"
    namespace: shop
    wait: true
    wait_timeout: 120

- name: A rendered template
  onprem.platform.k8s_apply:
    definition: "{{ lookup('ansible.builtin.template', 'objects.yml.j2') }}"

- name: The whole set of a team, without what is no longer in the files
  onprem.platform.k8s_apply:
    src:
      - "{{ playbook_dir }}/manifests"
    namespace: shop
    prune:
      labels:
        app.kubernetes.io/part-of: shop
      kinds:
        - api_version: v1
          kind: ConfigMap
        - api_version: apps/v1
          kind: Deployment

- name: Remove them again
  onprem.platform.k8s_apply:
    state: absent
    wait: true
    definition:
      apiVersion: v1
      kind: Namespace
      metadata:
        name: shop
"""

RETURN = r"""
objects:
  description: What happened to each object, in the order of the work.
  returned: always, unless the documents could not be read
  type: list
  elements: dict
  contains:
    api_version:
      description: The object's apiVersion.
      type: str
      sample: apps/v1
    kind:
      description: The object's kind.
      type: str
      sample: Deployment
    namespace:
      description: The object's namespace; empty for cluster-scoped objects.
      type: str
      sample: shop
    name:
      description: The object's name.
      type: str
      sample: web
    result:
      description: One of V(created), V(configured), V(unchanged), V(deleted), V(failed).
      type: str
      sample: configured
    reason:
      description: Why it failed, or what is special about the result.
      type: str
      sample: field ownership only
summary:
  description: Number of objects per result.
  returned: always, unless the documents could not be read
  type: dict
  sample: {created: 2, unchanged: 48}
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 50
writes:
  description: Requests among them that could change something (dry runs cannot).
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
      sample: configmaps is forbidden
"""

from collections import Counter
from typing import Any

from ..module_utils._kube_apply import FIELD_MANAGER, Applier, ApplyOptions, Outcome
from ..module_utils._kube_documents import Document, identity, load_documents
from ..module_utils._kube_errors import KubeConfigError, KubeError
from ..module_utils._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ..module_utils._kube_prune import PruneScope, surplus
from ..module_utils._kube_resources import Resources


def planned(documents: list[Document], state: str) -> list[Outcome]:
    """Say what would happen where there is no cluster yet."""
    if state == "absent":
        return [Outcome(identity(document), "unchanged", "no cluster yet") for document in documents]
    return [Outcome(identity(document), "created", "no cluster yet", None, document) for document in documents]


def present(
    module: KubeModule, resources: Resources, documents: list[Document], scope: PruneScope | None
) -> list[Outcome]:
    """Apply the documents, then delete what the set holds beside them, if all went well until then."""
    worker = applier(module, resources)
    outcomes = worker.apply(documents, scope.kinds if scope else ())
    if scope is None or any(outcome.result == "failed" for outcome in outcomes):
        return outcomes
    found = surplus(module.client, resources, scope, documents, module.params["field_manager"])
    pruned = worker.delete(found, module.params["wait"])
    for outcome in pruned:
        outcome.reason = outcome.reason or "pruned, because no document describes it any more"
    return outcomes + pruned


def applier(module: KubeModule, resources: Resources) -> Applier:
    """Make the worker for this module's options."""
    params = module.params
    options = ApplyOptions(
        field_manager=params["field_manager"],
        force_conflicts=params["force_conflicts"],
        allow_flux_owned=params["allow_flux_owned"],
        recreate_kinds=params["recreate_kinds"],
        propagation_policy=params["propagation_policy"],
        check_mode=module.check_mode,
        wait_timeout=params["wait_timeout"],
        hidden_fields=params["hidden_fields"],
    )
    return Applier(module.client, resources, options)


def report(module: KubeModule, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the module's result."""
    changed = [outcome for outcome in outcomes if outcome.changed]
    return {
        "changed": bool(changed),
        "objects": [outcome.as_dict() for outcome in outcomes],
        "summary": dict(Counter(outcome.result for outcome in outcomes)),
        "diff": module.diff([outcome.diff for outcome in changed]),
        **module.request_counts(),
    }


def work(module: KubeModule) -> dict[str, Any]:
    """Do what the options ask for; raises KubeError."""
    params = module.params
    documents = load_documents(params["definition"], params["src"], params["namespace"])
    module.hide_definition(documents, params["hidden_fields"])
    if params["prune"] and params["state"] == "absent":
        raise KubeConfigError("prune needs state=present", "With state=absent, describe what is to be deleted.")
    scope = PruneScope.from_option(params["prune"], documents) if params["prune"] else None
    if module.cluster_is_planned():
        return report(module, planned(documents, params["state"]))
    resources = Resources(module.client)
    if params["state"] == "present":
        outcomes = present(module, resources, documents, scope)
    else:
        outcomes = applier(module, resources).delete(documents, params["wait"])
    failures = [outcome for outcome in outcomes if outcome.result == "failed"]
    if failures:
        lines = [f"{outcome.identity}: {outcome.reason}" for outcome in failures]
        error = KubeError(f"{len(failures)} of {len(outcomes)} objects failed: " + " | ".join(lines))
        module.fail(error, **report(module, outcomes))
    if params["wait"] and params["state"] == "present" and not module.check_mode:
        await_ready(module, resources, outcomes)
    return report(module, outcomes)


def await_ready(module: KubeModule, resources: Resources, outcomes: list[Outcome]) -> None:
    """Wait for the objects that exist now; ends the module if one of them does not become ready."""
    # Here, because a call that waits for nothing should not pay for what only waiting needs.
    from ..module_utils._kube_status import is_instant
    from ..module_utils._kube_wait import Target, WaitError

    targets = [
        Target(found.api_version, found.kind, found.name, found.namespace)
        for found in (outcome.identity for outcome in outcomes if outcome.after)
        if not is_instant(found.api_version, found.kind)
    ]
    try:
        module.waiter(resources).wait(targets, module.params["wait_timeout"])
    except WaitError as error:
        module.fail(error, **report(module, outcomes))


def main() -> None:
    """Entry point of the module."""
    kind = {"api_version": {"type": "str", "required": True}, "kind": {"type": "str", "required": True}}
    prune = {
        "labels": {"type": "dict", "required": True},
        "kinds": {"type": "list", "elements": "dict", "required": True, "options": kind},
        "namespaces": {"type": "list", "elements": "str", "default": []},
    }
    module = KubeModule(
        argument_spec={
            "definition": {"type": "raw", "aliases": ["resource_definition"], "no_log": True},
            "src": {"type": "list", "elements": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str"},
            "field_manager": {"type": "str", "default": FIELD_MANAGER},
            "force_conflicts": {"type": "bool", "default": False},
            "allow_flux_owned": {"type": "bool", "default": False},
            "recreate_kinds": {"type": "list", "elements": "str", "default": []},
            "propagation_policy": {
                "type": "str",
                "choices": ["Background", "Foreground", "Orphan"],
                "default": "Background",
            },
            "prune": {"type": "dict", "options": prune},
            "hidden_fields": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "wait": {"type": "bool", "default": False},
            **PLAN_ARGUMENTS,
            **WAIT_ARGUMENTS,
        },
        required_one_of=[("definition", "src")],
    )
    module.run(work)


if __name__ == "__main__":
    main()
