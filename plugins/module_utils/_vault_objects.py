# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many objects in one module call: plan all by reading, then write only what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._compare import Difference
from ._vault import VaultModule
from ._vault_errors import VaultConfigurationError, VaultError

# After these, the next object would fail in the same way.
_STOP_KINDS = ("connection", "tls", "sealed", "standby", "uninitialised", "token_rejected", "unavailable")

CREATED, UPDATED, DELETED, UNCHANGED = "created", "updated", "deleted", "unchanged"


@dataclass
class Plan:
    """What is to be done about one object.

    name: as the user knows it. action: created, updated, deleted or unchanged. apply: the write; it may return keys
    for the object's entry in the result. before and after: for the diff, without secrets. options: names of the
    options that differ. result: further keys of the object's entry.
    """

    name: str
    action: str = UNCHANGED
    apply: Callable[[], Mapping[str, Any] | None] | None = None
    before: Any = ""
    after: Any = ""
    options: Sequence[str] = ()
    result: dict[str, Any] = field(default_factory=dict)


class VaultPartialFailure(VaultError):
    """Some objects could not be written; the result says which, and what happened to the others."""

    kind = "partial_failure"

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self._result = result

    def result(self) -> dict[str, Any]:
        return {**super().result(), **self._result}


def plan_present(
    name: str, current: Mapping[str, Any] | None, difference: Difference, write: Callable[[], Any]
) -> Plan:
    """Return the plan for an object that shall exist, from what the comparison found."""
    if current is not None and not difference:
        return Plan(name)
    return Plan(
        name,
        CREATED if current is None else UPDATED,
        apply=lambda: _nothing(write()),
        before="" if current is None else difference.before,
        after=difference.after,
        options=difference.changed,
    )


def plan_absent(name: str, current: Any, before: Any, delete: Callable[[], Any]) -> Plan:
    """Return the plan for an object that shall not exist."""
    if current is None:
        return Plan(name)
    return Plan(name, DELETED, apply=lambda: _nothing(delete()), before=before)


def _nothing(_answer: Any) -> None:
    """Drop the answer of a write, which may hold what the result must not."""


def items_of(module: VaultModule, plural: str, options: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the wanted objects: those of the list option, or the one that the module's own options describe.

    Raises VaultConfigurationError when one name occurs twice.
    """
    listed = module.params.get(plural)
    if listed is None:
        items = [{name: module.params.get(name) for name in [*options, "state"]}]
    else:
        items = [{**item, "state": item.get("state") or module.params["state"]} for item in listed]
    names = [item[key] for item in items]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise VaultConfigurationError(f"{plural} names the same object twice: {', '.join(twice)}.")
    return items


def list_arguments(
    plural: str, options: Mapping[str, Any], key: str, states: Sequence[str] = ("present", "absent")
) -> dict[str, Any]:
    """Return the argument specification of a module that takes one object or a list of them."""
    state = {"type": "str", "choices": list(states)}
    return {
        **options,
        plural: {
            "type": "list",
            "elements": "dict",
            "no_log": False,  # the name of the list may sound secret; what is secret in it says so itself
            "options": {**options, key: {**options[key], "required": True}, "state": state},
        },
        "state": {**state, "default": states[0]},
    }


def list_rules(plural: str, options: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the rules between the options of such a module."""
    return {
        "required_one_of": [(key, plural)],
        "mutually_exclusive": [(plural, option) for option in options],
    }


def carry_out(module: VaultModule, kind: str, plans: Sequence[Plan]) -> dict[str, Any]:
    """Carry the plans out in order and return the module's result; in check mode only the result.

    An object that fails does not stop the others, unless the failure is of the connection or the server: then the
    rest is marked as not attempted.

    Raises the error itself for a single object, VaultPartialFailure for one of several.
    """
    objects: list[dict[str, Any]] = []
    diffs: list[dict[str, Any]] = []
    failures: list[tuple[str, VaultError]] = []
    changed = stopped = False
    for plan in plans:
        entry = {"name": plan.name, "action": plan.action, "options": list(plan.options), **plan.result}
        objects.append(entry)
        if plan.apply is None:
            continue
        if stopped:
            entry["action"] = "not_attempted"
            continue
        if not module.check_mode:
            try:
                entry.update(plan.apply() or {})
            except VaultError as error:
                if len(plans) == 1:
                    raise
                entry.update(action="failed", error=str(error))
                failures.append((plan.name, error))
                stopped = error.kind in _STOP_KINDS
                continue
        changed = True
        header = f"{kind} {plan.name}"
        diffs.append({"before_header": header, "before": plan.before, "after_header": header, "after": plan.after})
    result = {"changed": changed, "objects": objects, "diff": diffs}
    if failures:
        told = " ".join(f"{name}: {error}" for name, error in failures)
        raise VaultPartialFailure(f"{len(failures)} of {len(plans)} {kind} objects failed. {told}", result)
    return result
