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
FAILED, NOT_ATTEMPTED = "failed", "not_attempted"


@dataclass
class Plan:
    """What is to be done about one object.

    name: as the user knows it. action: created, updated, deleted or unchanged. apply: the write; it may return keys
    for the object's entry in the result. before and after: for the diff, without secrets. options: names of the
    options that differ. result: further keys of the object's entry. expected: what reads of other plans will find once
    this one is carried out, by path; None for nothing.
    """

    name: str
    action: str = UNCHANGED
    apply: Callable[[], Mapping[str, Any] | None] | None = None
    before: Any = ""
    after: Any = ""
    options: Sequence[str] = ()
    result: dict[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)


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


def items_of(
    module: VaultModule, plural: str, options: Mapping[str, Any], key: str, shared: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the wanted objects: those of the list option, or the one that the module's own options describe.

    shared: options of the module that all objects have in common.

    Raises VaultConfigurationError when one name occurs twice.
    """
    listed = module.params.get(plural)
    if listed is None:
        items = [{name: module.params.get(name) for name in [*options, *shared, "state"]}]
    else:
        common = {name: module.params[name] for name in shared}
        items = [{**item, **common, "state": item.get("state") or module.params["state"]} for item in listed]
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


@dataclass
class Outcome:
    """What became of plans: whether anything changed, an entry and a difference per object, and the failures.

    stopped: nothing more can be done, because the connection or the server failed.
    """

    changed: bool = False
    objects: list[dict[str, Any]] = field(default_factory=list)
    diff: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[str, VaultError]] = field(default_factory=list)
    stopped: bool = False

    def result(self) -> dict[str, Any]:
        """Return the keywords for ``exit_json``."""
        return {"changed": self.changed, "objects": self.objects, "diff": self.diff}

    def failure(self, what: str) -> VaultPartialFailure:
        """Return the error that tells of the failures. what: the objects in words, with their number."""
        told = " ".join(f"{name}: {error}" for name, error in self.failures)
        return VaultPartialFailure(f"{len(self.failures)} of {what} failed. {told}", self.result())


def carry_out_plan(outcome: Outcome, plan: Plan, kind: str, *, check_mode: bool, where: str = "") -> None:
    """Carry one plan out, in check mode only in appearance, and add to the outcome what became of it.

    kind: in words, one object. where: goes before the object's name, where that alone does not tell which it is.
    """
    title = f"{kind} {where}{plan.name}"
    entry = {"name": plan.name, "action": plan.action, "options": list(plan.options), **plan.result}
    outcome.objects.append(entry)
    if plan.apply is None:
        return
    if outcome.stopped:
        entry["action"] = NOT_ATTEMPTED
        return
    if not check_mode:
        try:
            entry.update(plan.apply() or {})
        except VaultError as error:
            entry.update(action=FAILED, error=str(error))
            outcome.failures.append((f"{where}{plan.name}", error))
            outcome.stopped = error.kind in _STOP_KINDS
            return
    outcome.changed = True
    outcome.diff.append({"before_header": title, "before": plan.before, "after_header": title, "after": plan.after})


def carry_out(module: VaultModule, kind: str, plans: Sequence[Plan]) -> dict[str, Any]:
    """Carry the plans out in order and return the module's result; in check mode only the result.

    An object that fails does not stop the others, unless the failure is of the connection or the server: then the
    rest is marked as not attempted.

    Raises the error itself for a single object, VaultPartialFailure for one of several.
    """
    outcome = Outcome()
    for plan in plans:
        carry_out_plan(outcome, plan, kind, check_mode=module.check_mode)
    if outcome.failures and len(plans) == 1:
        raise outcome.failures[0][1]
    if outcome.failures:
        raise outcome.failure(f"{len(plans)} {kind} objects")
    return outcome.result()
