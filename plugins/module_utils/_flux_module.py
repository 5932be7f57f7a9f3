# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The frame of the modules that keep one Flux object (private)."""

from __future__ import annotations

from typing import Any

from ._flux import API_VERSIONS, FluxObject, Reconciler
from ._flux_status import summary
from ._kube_apply import Applier, ApplyOptions, Outcome
from ._kube_documents import Document, identity, load_documents
from ._kube_errors import KubeConfigError, KubeError
from ._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ._kube_resources import Resources
from ._kube_wait import WaitError

OBJECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "flux-system"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "interval": {"type": "str"},
    "timeout": {"type": "str"},
    "suspend": {"type": "bool"},
    "spec": {"type": "dict", "default": {}},
    "force_conflicts": {"type": "bool", "default": False},
    "hidden_fields": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "expected_revision": {"type": "str"},
    "wait": {"type": "bool", "default": False},
    **PLAN_ARGUMENTS,
    **WAIT_ARGUMENTS,
}


def reference(option: dict[str, Any] | None) -> dict[str, Any] | None:
    """Turn a reference option (kind, name, namespace) into the API's form."""
    return {key: value for key, value in option.items() if value is not None} if option else None


def named(name: str | None) -> dict[str, str] | None:
    """Turn the name of a Secret or other local object into a reference."""
    return {"name": name} if name else None


def build(params: dict[str, Any], kind: str, fields: dict[str, Any]) -> Document:
    """Return the object's document from its common options, ``fields`` of the spec, and the option ``spec``.

    Fields that are None are left out. Raises KubeConfigError if ``spec`` repeats a field that an option sets.
    """
    chosen = {"interval": params["interval"], "timeout": params["timeout"], "suspend": params["suspend"], **fields}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    twice = sorted(set(chosen) & set(params["spec"]))
    if twice:
        raise KubeConfigError(f"spec repeats fields that have options of their own: {', '.join(twice)}")
    metadata: dict[str, Any] = {"name": params["name"], "namespace": params["namespace"]}
    for key in ("labels", "annotations"):
        if params[key]:
            metadata[key] = {name: str(value) for name, value in params[key].items()}
    document = {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": metadata,
        "spec": {**chosen, **params["spec"]},
    }
    return load_documents(document, None)[0]


def keep(module: KubeModule, document: Document) -> dict[str, Any]:
    """Bring the object into its state, wait for Flux if asked to, and return the module's result."""
    params = module.params
    item = FluxObject(document["kind"], params["namespace"], params["name"])
    absent = params["state"] == "absent"
    if module.cluster_is_planned():
        planned = "unchanged" if absent else "created"
        return _result(module, Outcome(identity(document), planned, "no cluster yet", None, document))
    resources = Resources(module.client)
    options = ApplyOptions(
        force_conflicts=params["force_conflicts"], check_mode=module.check_mode, wait_timeout=params["wait_timeout"]
    )
    applier = Applier(module.client, resources, options)
    outcome = applier.delete([document], params["wait"])[0] if absent else applier.apply([document])[0]
    if outcome.result == "failed":
        module.fail(KubeError(f"{item}: {outcome.reason}"), **_result(module, outcome))
    result = _result(module, outcome)
    if params["wait"] and not absent and not module.check_mode:
        reconciler = Reconciler(module.client, resources, module.waiter(resources))
        try:
            live = reconciler.wait(item, params["wait_timeout"], params["expected_revision"] or "")
        except WaitError as error:
            module.fail(error, **{**result, **module.request_counts()})
        result.update(flux=summary(live), **module.request_counts())
    return result


def _result(module: KubeModule, outcome: Outcome) -> dict[str, Any]:
    return {
        "changed": outcome.changed,
        "object": outcome.as_dict(),
        "diff": [outcome.diff(module.params["hidden_fields"])] if outcome.changed else [],
        **module.request_counts(),
    }
