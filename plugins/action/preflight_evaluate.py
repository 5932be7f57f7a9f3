# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge all hosts together on the controller: one table, one report, one verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# The import registers the checks.
from ..plugin_utils import _preflight_checks  # noqa: F401 # pylint: disable=unused-import
from ..plugin_utils._preflight import CHECKS, ERROR, Finding, Machine, Site, evaluate, table

ROLES = Path(__file__).resolve().parents[2] / "roles"


def role_options(roles: Path) -> dict[str, dict[str, Any]]:
    """Options of each role over all its entry points, as its ``meta/argument_specs.yml`` documents them."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for entry in content["argument_specs"].values():
            found.setdefault(path.parts[-3], {}).update(entry.get("options") or {})
    return found


def value_errors(options: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Messages about values that do not fit their documented type or choices. Missing ones are no matter here."""
    given = {name: {**spec, "required": False} for name, spec in options.items() if name in values}
    for spec in given.values():
        spec.pop("default", None)
    result = ArgumentSpecValidator(given).validate({name: values[name] for name in given})
    return [str(message) for message in result.error_messages]


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Evaluate without a connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the findings; failed when one of them is an error."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "control_planes": {"type": "list", "elements": "str", "required": True},
                "facts_variable": {"type": "str", "default": "__preflight_facts"},
                "mesh_variable": {"type": "str", "default": "__preflight_mesh"},
                "settings": {"type": "dict", "required": True},
                "skip": {"type": "list", "elements": "str", "default": []},
                "report": {"type": "path"},
            }
        )
        site = self._site(arguments, task_vars or {})
        found = evaluate(site, arguments["skip"])
        errors = sum(one.severity == ERROR for one in found)
        not_run = [f"{host}: {why}" for host, why in site.not_run]
        result.update(changed=False, not_run=not_run)
        if found:
            Display().display(f"\n{table(found)}\n")
        if arguments["report"]:
            result["report"] = self._write(arguments, found, not_run)
        if errors:
            where = f"; report: {result['report']}" if "report" in result else ""
            first = next(one for one in found if one.severity == ERROR)
            plural = "s" if errors > 1 else ""
            result.update(
                failed=True,
                msg=f"Preflight found {errors} error{plural}; nothing was changed. "
                f"First: {first.host or 'inventory'}: {first.found} (wanted: {first.wanted}; fix: {first.fix}){where}",
            )
        else:
            # A failed result is printed as a whole; the table above says the same and can be read.
            result["findings"] = [asdict(one) for one in found]
        return result

    def _site(self, arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Site:
        hostvars = task_vars["hostvars"]
        options = role_options(ROLES)
        known = {name: role for role, entries in options.items() for name in entries}
        site = Site([], arguments["settings"], arguments["control_planes"], known)
        for name in arguments["hosts"]:
            variables = hostvars[name]
            gathered = _plain(variables, arguments["facts_variable"])
            meshed = _plain(variables, arguments["mesh_variable"])
            machine = Machine(name, name in arguments["control_planes"], gathered.get("facts"))
            machine.message = str(gathered.get("msg") or meshed.get("msg") or "")
            machine.mesh = meshed.get("mesh")
            for variable in variables:
                if variable in known or variable.startswith(tuple(f"{p}_" for p in site.settings["prefixes"])):
                    machine.variables[variable] = _value(variables, variable)
            for entries in options.values():
                values = {key: value for key, value in machine.variables.items() if value is not _Unknown}
                site.value_errors += [(name, message) for message in value_errors(entries, values)]
            site.machines.append(machine)
        return site

    @staticmethod
    def _write(arguments: Mapping[str, Any], found: list[Finding], not_run: list[str]) -> str:
        path = Path(os.path.expanduser(arguments["report"]))
        content = {
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "hosts": arguments["hosts"],
            "checks": sorted(set(CHECKS) - set(arguments["skip"])),
            "skipped": arguments["skip"],
            "not_run": not_run,
            "findings": [asdict(one) for one in found],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
        return str(path)


class _Unknown:
    """Marks a variable whose value only a role can know, because it refers to the role's own defaults."""


def _value(variables: Mapping[str, Any], name: str) -> Any:
    try:
        return variables[name]
    except (AnsibleError, KeyError):
        return _Unknown


def _plain(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = _value(variables, name)
    return value if isinstance(value, Mapping) else {}
