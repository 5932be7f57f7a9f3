# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A whole configuration of Vault in one call: all kinds of objects, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import (
    _vault_approle,
    _vault_audit,
    _vault_database_connection,
    _vault_database_role,
    _vault_database_static_role,
    _vault_kubernetes,
    _vault_kv2_config,
    _vault_kv2_plan,
    _vault_mounts,
    _vault_policy,
)
from ._vault import VaultClient
from ._vault_database import ENGINE_MOUNT_POINT
from ._vault_errors import VaultConfigurationError, VaultError, VaultMissingObject
from ._vault_objects import CREATED, DELETED, NOT_ATTEMPTED, Outcome, Plan, carry_out_plan


@dataclass(frozen=True)
class Section:
    """One kind of objects.

    name: of the option. kind: in words, one object. options: argument specification of one object.
    plan: says what is to be done about one. makes: prefix of the API paths of the mounts that the section makes, None
    if it makes none. inside and mount_option: prefix and option that tell the mount in which the objects are.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    plan: Callable[[VaultClient, Mapping[str, Any]], Plan]
    makes: str | None = None
    inside: str = ""
    mount_option: str = ""


def _one_of_many(
    options: Mapping[str, Any], key: str, mount: Mapping[str, Any], states: tuple[str, ...] = ("present", "absent")
) -> dict[str, Any]:
    """Return the specification of one object of a module that takes many: its options, its mount and its state."""
    return {
        **options,
        key: {**options[key], "required": True},
        **mount,
        "state": {"type": "str", "choices": list(states), "default": states[0]},
    }


_DATABASE = {"engine_mount_point": ENGINE_MOUNT_POINT}
SECTIONS = (
    Section(
        "audit_devices",
        _vault_audit.KIND,
        _vault_audit.AUDIT_ARGUMENTS,
        _vault_audit.plan_audit_device,
    ),
    Section(
        "mounts",
        _vault_mounts.ENGINE_KIND,
        _vault_mounts.ENGINE_ARGUMENTS,
        _vault_mounts.plan_engine,
        makes="",
    ),
    Section(
        "auth_methods",
        _vault_mounts.AUTH_METHOD_KIND,
        _vault_mounts.AUTH_METHOD_ARGUMENTS,
        _vault_mounts.plan_auth_method,
        makes="auth/",
    ),
    Section(
        "policies",
        _vault_policy.KIND,
        _one_of_many(_vault_policy.POLICY_OPTIONS, "name", {}),
        _vault_policy.plan_policy,
    ),
    Section(
        "kubernetes_auth_configs",
        _vault_kubernetes.CONFIG_KIND,
        _vault_kubernetes.AUTH_CONFIG_ARGUMENTS,
        _vault_kubernetes.plan_auth_config,
        inside="auth/",
        mount_option="auth_path",
    ),
    Section(
        "kubernetes_roles",
        _vault_kubernetes.ROLE_KIND,
        _one_of_many(_vault_kubernetes.ROLE_OPTIONS, "name", {"auth_path": _vault_kubernetes.AUTH_PATH}),
        _vault_kubernetes.plan_role,
        inside="auth/",
        mount_option="auth_path",
    ),
    Section(
        "approle_roles",
        _vault_approle.KIND,
        _one_of_many(_vault_approle.ROLE_OPTIONS, "name", {"auth_path": _vault_approle.AUTH_PATH}),
        _vault_approle.plan_role,
        inside="auth/",
        mount_option="auth_path",
    ),
    Section(
        "kv2_configs",
        _vault_kv2_config.KIND,
        _vault_kv2_config.CONFIG_ARGUMENTS,
        _vault_kv2_config.plan_config,
        mount_option="engine_mount_point",
    ),
    Section(
        "kv2_secrets",
        _vault_kv2_plan.KIND,
        _one_of_many(
            _vault_kv2_plan.SECRET_OPTIONS,
            "path",
            {"engine_mount_point": _vault_kv2_plan.MOUNT},
            _vault_kv2_plan.STATES,
        ),
        _vault_kv2_plan.plan_secret,
        mount_option="engine_mount_point",
    ),
    Section(
        "database_connections",
        _vault_database_connection.CONNECTION_KIND,
        _vault_database_connection.CONNECTION_ARGUMENTS,
        _vault_database_connection.plan_connection,
        mount_option="engine_mount_point",
    ),
    Section(
        "database_roles",
        _vault_database_role.KIND,
        _one_of_many(_vault_database_role.ROLE_OPTIONS, "name", _DATABASE),
        _vault_database_role.plan_role,
        mount_option="engine_mount_point",
    ),
    Section(
        "database_static_roles",
        _vault_database_static_role.KIND,
        _one_of_many(_vault_database_static_role.STATIC_ROLE_OPTIONS, "name", _DATABASE),
        _vault_database_static_role.plan_static_role,
        mount_option="engine_mount_point",
    ),
    Section(
        "database_root_rotations",
        _vault_database_connection.ROTATION_KIND,
        _vault_database_connection.ROTATION_ARGUMENTS,
        _vault_database_connection.plan_rotation,
        mount_option="engine_mount_point",
    ),
)


def configuration_arguments() -> dict[str, Any]:
    """Return the argument specification: one list per section."""
    return {
        section.name: {
            "type": "list",
            "elements": "dict",
            "no_log": False,  # a name may sound secret; what is secret in the objects says so itself
            "options": dict(section.options),
        }
        for section in SECTIONS
    }


class PlanningClient(VaultClient):
    """A client that can answer reads as Vault will after the plans that were made so far.

    Without this, nothing could be said about an object whose mount does not exist yet.
    """

    def __init__(self, client: VaultClient) -> None:
        super().__init__(client._parameters, client._session, client._verify, client.url)
        self.token = client.token
        self._empty: set[str] = set()
        self._expected: dict[str, Mapping[str, Any] | None] = {}

    def expect(self, plan: Plan, mount: str | None) -> None:
        """Take a plan into account. mount: API path of the mount that the plan is about, if it is about one."""
        if mount is not None and plan.action in (CREATED, DELETED):
            self._empty.add(f"{mount}/")
        self._expected.update(plan.expected)

    def forget(self) -> None:
        """Answer as Vault does from now on: the plans are being carried out."""
        self._empty.clear()
        self._expected.clear()

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Send one request, unless plans tell the answer already."""
        if method == "GET":
            expected = self._expected.get(path)
            if expected is not None:
                return {"data": dict(expected)}
            if path in self._expected or path.startswith(tuple(self._empty)):
                if 404 in options.get("accept", ()):
                    return {}
                raise VaultMissingObject(f"There is no {path} yet.", path=path)
        return super().request(method, path, **options)


@dataclass
class _Planned:
    """A plan with its place. mount: path of the mount in which the object is; empty where there is none."""

    section: Section
    mount: str
    plan: Plan

    @property
    def where(self) -> str:
        """What goes before the object's name in a message."""
        return f"{self.mount}/" if self.mount and self.mount != self.plan.name else ""


def _plan(client: PlanningClient, parameters: Mapping[str, Any]) -> Iterator[_Planned]:
    """Yield what is to be done about each object, in the order of the sections.

    Raises VaultConfigurationError when an object occurs twice, or is in a mount that the call removes.
    """
    removed: set[str] = set()
    for section in SECTIONS:
        seen: set[tuple[str, str]] = set()
        for number, item in enumerate(parameters.get(section.name) or []):
            mount = str(item.get(section.mount_option) or "").strip("/")
            try:
                if f"{section.inside}{mount}" in removed and item.get("state") != "absent":
                    raise VaultConfigurationError(f"{mount}/ is removed by the same call.")
                plan = section.plan(client, item)
                if (mount, plan.name) in seen:
                    raise VaultConfigurationError(f"{plan.name} is named twice.")
            except VaultError as error:
                error.message = f"{section.name}[{number}]: {error.message}"
                raise
            except ValueError as error:
                raise VaultConfigurationError(f"{section.name}[{number}]: {error}") from error
            seen.add((mount, plan.name))
            made = None if section.makes is None else f"{section.makes}{plan.name}"
            client.expect(plan, made)
            if made is not None and plan.action == DELETED:
                removed.add(made)
            if section.mount_option:
                plan.result = {section.mount_option: mount, **plan.result}
            plan.result = {"section": section.name, **plan.result}
            yield _Planned(section, mount, plan)


def configure(client: PlanningClient, parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring the whole configuration about and return the keywords for ``exit_json``.

    All objects are read before the first is written. An object that fails does not stop the others of its section,
    but the sections after it, which build on it.

    Raises VaultPartialFailure, whose result tells what was done and what was not attempted.
    """
    planned = list(_plan(client, parameters))
    client.forget()
    outcome = Outcome()
    before: Section | None = None
    for item in planned:
        if item.section is not before and outcome.failures:
            outcome.stopped = True
        before = item.section
        carry_out_plan(outcome, item.plan, item.section.kind, check_mode=check_mode, where=item.where)
    if outcome.failures:
        left = sum(entry["action"] == NOT_ATTEMPTED for entry in outcome.objects)
        raise outcome.failure(f"{len(planned)} objects ({left} not attempted)")
    return outcome.result()
