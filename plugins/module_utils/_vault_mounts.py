# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What secrets engines and auth methods have in common: both are mounts that are listed, enabled and tuned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, boolean, compare, seconds, string_map, text, unordered
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultConflict, VaultServerError
from ._vault_objects import Plan, plan_absent, plan_present

_LIST_OPTION = {"type": "list", "elements": "str", "no_log": False}

_MOUNT_ARGUMENTS: dict[str, Any] = {
    "path": {"type": "str"},
    "type": {"type": "str"},
    "description": {"type": "str"},
    "default_lease_ttl": {"type": "str"},
    "max_lease_ttl": {"type": "str"},
    "listing_visibility": {"type": "str", "choices": ["hidden", "unauth"]},
    "audit_non_hmac_request_keys": _LIST_OPTION,
    "audit_non_hmac_response_keys": _LIST_OPTION,
    "passthrough_request_headers": _LIST_OPTION,
    "allowed_response_headers": _LIST_OPTION,
    "options": {"type": "dict"},
    "local": {"type": "bool"},
    "seal_wrap": {"type": "bool"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
ENGINE_KIND, AUTH_METHOD_KIND = "secrets engine", "auth method"
ENGINE_ARGUMENTS: dict[str, Any] = {**_MOUNT_ARGUMENTS, "external_entropy_access": {"type": "bool"}}
AUTH_METHOD_ARGUMENTS: dict[str, Any] = {
    **_MOUNT_ARGUMENTS,
    "token_type": {
        "type": "str",
        "choices": ["default-service", "default-batch", "service", "batch"],
        "no_log": False,
    },
}

# The list of mounts tells what is configured; the tune endpoint tells what is effective, and for the longest prefix.
_TUNABLE = (
    Field("default_lease_ttl", seconds),
    Field("max_lease_ttl", seconds),
    Field("listing_visibility", lambda value: value or "hidden"),
    Field("audit_non_hmac_request_keys", unordered),
    Field("audit_non_hmac_response_keys", unordered),
    Field("passthrough_request_headers", unordered),
    Field("allowed_response_headers", unordered),
    Field("token_type", absent="default-service"),
)
_FIXED = (Field("local", boolean), Field("seal_wrap", boolean), Field("external_entropy_access", boolean))
_DESCRIPTION = (Field("description", text),)


def _duration(value: Any) -> str:
    """Return a lease time as the mount API takes it; 0 is written ``system``."""
    number = seconds(value)
    return f"{number}s" if number else "system"


def _wanted(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the wanted mount in the form that the list of mounts uses: kv-v2 is kv with an option."""
    wanted = dict(parameters)
    options = string_map(parameters.get("options"))
    if wanted["type"] in ("kv-v1", "kv-v2"):
        options["version"] = wanted["type"][-1]
        wanted["type"] = "kv"
    wanted["options"] = options or None
    return wanted


def _config_body(difference_body: Mapping[str, Any]) -> dict[str, Any]:
    """Return mount settings as the API takes them."""
    return {key: _duration(value) if key.endswith("_lease_ttl") else value for key, value in difference_body.items()}


def _refuse_fixed(what: str, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Raise VaultConfigurationError when the mount differs in something that Vault cannot change."""
    if wanted["type"] and wanted["type"] != current.get("type"):
        raise VaultConfigurationError(
            f"{what} is of type {current.get('type')}, not {wanted['type']}; a type cannot be changed.",
            hint="Choose another path, or remove the mount with all it holds first.",
        )
    fixed = compare(_FIXED, wanted, current)
    if fixed:
        raise VaultConfigurationError(
            f"{what}: {', '.join(fixed.changed)} cannot be changed after the mount was made.",
            hint="Choose another path, or remove the mount with all it holds first.",
        )
    version = (wanted["options"] or {}).get("version")
    if version == "1" and (current.get("options") or {}).get("version") == "2":
        raise VaultConfigurationError(f"{what} has version 2 of kv, which cannot be turned back to version 1.")


def _enable(client: VaultClient, collection: str, path: str, body: Mapping[str, Any]) -> None:
    """Make a mount. A request that was repeated because its answer was lost finds its own mount, which is no error."""
    try:
        client.write(f"{collection}/{path}", body)
    except VaultConflict:
        made = (client.read(collection) or {}).get(f"{path}/") or {}
        if made.get("type") != body["type"]:
            raise


def _plan_mount(client: VaultClient, collection: str, parameters: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one mount.

    collection: ``sys/mounts`` or ``sys/auth``. Existence and type come from the list of mounts only.
    """
    if not (parameters["path"] or parameters["type"]):
        raise VaultConfigurationError("path or type is needed.")
    path = str(parameters["path"] or parameters["type"]).strip("/")
    if not path or ".." in path.split("/") or any(not part for part in path.split("/")):
        raise VaultConfigurationError(f"{path!r} is no mount path.")
    mounts = client.read(collection)
    if mounts is None:
        raise VaultServerError(f"{collection} does not exist on this server.", path=collection)
    current = mounts.get(f"{path}/")
    wanted = _wanted(parameters)
    what = f"{'The auth method' if collection == 'sys/auth' else 'The secrets engine'} at {path}/"
    if parameters["state"] == "absent":
        if current:
            _refuse_fixed(what, {"type": wanted["type"], "options": None}, current)
        before = current and {"type": current.get("type"), "description": current.get("description")}
        return plan_absent(path, current, before, lambda: client.delete(f"{collection}/{path}"))
    if not wanted["type"]:
        raise VaultConfigurationError(f"{what}: type is missing.")
    if current:
        _refuse_fixed(what, wanted, current)

    difference = compare(_TUNABLE, wanted, (current.get("config") or {}) if current else None)
    body = _config_body(difference.body)
    description = compare(_DESCRIPTION, wanted, current)
    set_options = wanted["options"] or {}
    option_fields = [Field(key) for key in set_options]
    stored_options = string_map(current.get("options")) if current else None
    options = compare(option_fields, set_options, stored_options)
    for part in (description, options):
        difference.before.update(part.before)
        difference.after.update(part.after)
    difference.changed += description.changed + ["options"] * bool(options)

    if current is None:
        fixed = {field.name: wanted[field.name] for field in _FIXED if wanted.get(field.name) is not None}
        difference.after.update(type=wanted["type"], **fixed)
        create = {"type": wanted["type"], **description.body, "config": body, **fixed}
        if set_options:
            create["options"] = set_options
        result = plan_present(path, None, difference, lambda: _enable(client, collection, path, create))
        if collection == "sys/mounts":
            information = {"type": wanted["type"], "options": set_options}
            result.expected = {f"sys/internal/ui/mounts/{path}": information}
        return result
    tune = {**body, **description.body}
    if options:
        tune["options"] = options.body
    return plan_present(path, current, difference, lambda: client.write(f"{collection}/{path}/tune", tune))


def plan_engine(client: VaultClient, parameters: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one secrets engine."""
    return _plan_mount(client, "sys/mounts", parameters)


def plan_auth_method(client: VaultClient, parameters: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one auth method."""
    return _plan_mount(client, "sys/auth", parameters)


def list_mounts(client: VaultClient, collection: str, path: str | None) -> list[dict[str, Any]]:
    """Return the mounts of ``sys/mounts`` or ``sys/auth`` as they are configured, or the one at path."""
    keys = ("type", "description", "accessor", "local", "seal_wrap")
    return [
        {
            "path": name.rstrip("/"),
            **{key: mount.get(key) for key in keys},
            "options": mount.get("options") or {},
            "config": mount.get("config") or {},
        }
        for name, mount in sorted((client.read(collection) or {}).items())
        if path is None or name == f"{path.strip('/')}/"
    ]
