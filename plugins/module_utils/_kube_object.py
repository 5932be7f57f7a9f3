# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The frame of the modules that keep one Kubernetes object and wait for its controller (private)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._kube_apply import Applier, ApplyOptions, Outcome
from ._kube_documents import Document, identity, secret_values
from ._kube_errors import KubeError
from ._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ._kube_resources import Resources
from ._kube_wait import WaitError

OBJECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "force_conflicts": {"type": "bool", "default": False},
    "hidden_fields": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "wait": {"type": "bool", "default": False},
    **PLAN_ARGUMENTS,
    **WAIT_ARGUMENTS,
}


def metadata(params: dict[str, Any]) -> dict[str, Any]:
    """Return the object's metadata from the options name, namespace, labels and annotations."""
    found: dict[str, Any] = {key: params[key] for key in ("name", "namespace") if params.get(key)}
    for key in ("labels", "annotations"):
        if params[key]:
            found[key] = {name: str(value) for name, value in params[key].items()}
    return found


def keep(module: KubeModule, document: Document, settle: Callable[[Resources], dict[str, Any]]) -> dict[str, Any]:
    """Bring the object into its state and return the module's result.

    :param settle: waits for the object's controller and returns what it adds to the result; called when the user
        waits for an object that is present. Raises WaitError.
    """
    params = module.params
    absent = params["state"] == "absent"
    module.keep_secret(secret_values([document], params["hidden_fields"]))
    if module.cluster_is_planned():
        planned = "unchanged" if absent else "created"
        return _result(module, Outcome(identity(document), planned, "no cluster yet", None, document))
    resources = Resources(module.client)
    options = ApplyOptions(
        force_conflicts=params["force_conflicts"],
        check_mode=module.check_mode,
        wait_timeout=params["wait_timeout"],
        hidden_fields=params["hidden_fields"],
    )
    applier = Applier(module.client, resources, options)
    outcome = applier.delete([document], params["wait"])[0] if absent else applier.apply([document])[0]
    if outcome.result == "failed":
        module.fail(KubeError(f"{outcome.identity}: {outcome.reason}"), **_result(module, outcome))
    result = _result(module, outcome)
    if params["wait"] and not absent and not module.check_mode:
        try:
            settled = settle(resources)
        except WaitError as error:
            module.fail(error, **{**result, **module.request_counts()})
        result.update(settled, **module.request_counts())
    return result


def _result(module: KubeModule, outcome: Outcome) -> dict[str, Any]:
    return {
        "changed": outcome.changed,
        "object": outcome.as_dict(),
        "diff": module.diff([outcome.diff] if outcome.changed else []),
        **module.request_counts(),
    }
