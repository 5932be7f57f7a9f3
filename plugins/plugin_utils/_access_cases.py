# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What k8s_rbac_info returns, as snapshots for the repository and as test cases (private).

A snapshot is the YAML of ``{"bindings": [str], "cluster": {...}, "namespaces": {...}}``, see k8s_rbac_info. The
one of the users and groups has such a mapping for each of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Info = Mapping[str, Any]
Cases = list[dict[str, Any]]

USERS_AND_GROUPS = "users_and_groups.yml"
DEFAULT_ACCOUNT = "default"
_HEADER = """---
# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# What {whom} may do, written by a run with verify_rbac_write=true.
"""


class AccessError(Exception):
    """The data cannot be used; the text says why."""


class _Verbs(list[str]):
    """A list that is written in one line."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_verbs(dumper: yaml.SafeDumper, verbs: _Verbs) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", verbs, flow_style=True)


_Dumper.add_representer(_Verbs, _represent_verbs)


def snapshots(info: Info) -> dict[str, str]:
    """Return file name -> text, for each account but Kubernetes' own and ``default``, and for users and groups."""
    found = {}
    for account in info["service_accounts"]:
        if not account["built_in"] and account["name"] != DEFAULT_ACCOUNT:
            whom = f"the service account {account['namespace']}/{account['name']}"
            found[f"{account['namespace']}_{account['name']}.yml"] = _text(_HEADER.format(whom=whom), _rights(account))
    people = {item["subject"]: _rights(item) for item in info["users_and_groups"]}
    found[USERS_AND_GROUPS] = _text(_HEADER.format(whom="users and groups"), people)
    return found


def cases(
    info: Info, stored: Mapping[str, str], powerful: Cases, tokens: Cases, foreign_namespaces: list[str]
) -> Cases:
    """Return the cases for the filter ``junit``; raises AccessError.

    stored: snapshots by file name. powerful, tokens: the exceptions, see the defaults of the role ``verify``.
    """
    _check_exceptions(powerful, {"role", "subjects", "reason"})
    _check_exceptions(tokens, {"service_account", "workloads", "reason"})
    return [
        *_review_cases(info["reviews"]),
        *_snapshot_cases(snapshots(info), stored),
        *_default_account_cases(info["service_accounts"], foreign_namespaces),
        *_powerful_role_cases(info["powerful_roles"], {item["role"]: item for item in powerful}),
        *_token_cases(info["service_accounts"], {item["service_account"]: item for item in tokens}),
    ]


def _case(suite: str, name: str, failure: str) -> dict[str, Any]:
    return {"suite": suite, "name": name, "failure": failure or None}


def _check_exceptions(exceptions: Cases, keys: set[str]) -> None:
    for item in exceptions:
        if set(item) != keys or not str(item["reason"]).strip():
            raise AccessError(f"an exception has {', '.join(sorted(keys))}, and a reason that says something: {item!r}")


def _account(item: Mapping[str, Any]) -> str:
    return f"{item['namespace']}/{item['name']}"


def _rights(item: Mapping[str, Any]) -> dict[str, Any]:
    def one_line(scope: Mapping[str, list[str]]) -> dict[str, _Verbs]:
        return {name: _Verbs(verbs) for name, verbs in scope.items()}

    allowed = item["permissions"]
    namespaces = {name: one_line(scope) for name, scope in allowed["namespaces"].items()}
    return {"bindings": list(item["bindings"]), "cluster": one_line(allowed["cluster"]), "namespaces": namespaces}


def _text(header: str, content: Any) -> str:
    return header + yaml.dump(content, Dumper=_Dumper, sort_keys=True, width=150)


def _plain(text: str) -> list[str]:
    """Return the lines of a snapshot in one and the same form, so that comments and layout make no difference."""
    return yaml.safe_dump(yaml.safe_load(text), sort_keys=True, width=1000, default_flow_style=None).splitlines()


def _snapshot_cases(current: Mapping[str, str], stored: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name in sorted({*current, *stored}):
        if name not in stored:
            failure = f"{name} is missing: somebody has rights who is not known. It would be:\n{current[name]}"
        elif name not in current:
            failure = f"{name} is about somebody who is not there (any more)"
        else:
            try:
                before, after = _plain(stored[name]), _plain(current[name])
            except yaml.YAMLError as error:
                raise AccessError(f"{name} is no YAML: {error}") from error
            lines = difflib.unified_diff(before, after, f"{name} (repository)", f"{name} (cluster)", lineterm="", n=1)
            failure = "\n".join(lines)
            if failure:
                failure = f"{name} differs from the cluster\n{failure}"
        yield _case(
            "snapshots", name.removesuffix(".yml").replace("_", "/", 1 if name != USERS_AND_GROUPS else 0), failure
        )


def _default_account_cases(accounts: Cases, foreign_namespaces: list[str]) -> Iterator[dict[str, Any]]:
    """Yield cases about the accounts of pods that name none: they may nothing, and give no token unasked."""
    for account in accounts:
        if account["name"] == DEFAULT_ACCOUNT:
            problems = [f"it has rights by {binding}" for binding in account["bindings"]]
            if account["automount"] and account["namespace"] not in foreign_namespaces:
                problems.append("it lacks automountServiceAccountToken: false")
            yield _case("default accounts", _account(account), "; ".join(problems))


def _powerful_role_cases(roles: Cases, exceptions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for role in roles:
        exception = exceptions.get(role["role"])
        if exception is None:
            failure = (
                f"{', '.join(role['powers'])} without a named reason; held by {', '.join(role['subjects']) or 'nobody'}"
            )
        else:
            strangers = [name for name in role["subjects"] if name not in exception["subjects"]]
            failure = (
                f"{', '.join(role['powers'])} held by {', '.join(strangers)}, who is not named" if strangers else ""
            )
        yield _case("powerful roles", role["role"], failure)


def _token_cases(accounts: Cases, exceptions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for account in accounts:
        known = exceptions.get(_account(account), {}).get("workloads", [])
        for workload in account["token_mounted_by"]:
            failure = "" if workload in known else "mounts a token for the API server without a named reason"
            yield _case("tokens", f"{_account(account)}: {workload}", failure)


def _review_cases(reviews: Cases) -> Iterator[dict[str, Any]]:
    """Yield one case for each subject and resource, which names every wrong answer in it."""
    grouped: dict[str, list[str]] = {}
    for answer in reviews:
        what = answer["resource"] or answer["non_resource_url"]
        wrong = grouped.setdefault(f"{answer['subject']}: {what}", [])
        if not answer["correct"]:
            where = f"in {answer['namespace']}" if answer["namespace"] else "everywhere"
            may = "may" if answer["allowed"] else "may not"
            reason = f" ({answer['reason']})" if answer["reason"] else ""
            wrong.append(f"{may} {answer['verb']} {where}{reason}")
    for name, wrong in grouped.items():
        yield _case("can-i", name, "; ".join(wrong))
