# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuring a Vault with this collection beside `community.hashi_vault.vault_write`, on real servers.

The same 20 policies, 10 roles and 2 auth methods, with an AppRole login, four ways. Each run of a way has a new server
of its own, on which its playbook runs twice. Requests are counted in Vault's audit log.
Needs the bundle's Vault. community.hashi_vault comes from the package that requirements/crosscheck.txt locks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build" / "collections"))

from ansible_collections.onprem.platform.tests.integration.other_collection import other_collections
from ansible_collections.onprem.platform.tests.integration.vault.services import READS, DevVault

RUNS, TAKEN = ("first", "second"), ("seconds", "cpu_seconds")
ADMIN = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
POLICIES = [
    {"name": f"p{number}", "policy": f'path "kv/data/{number}" {{ capabilities = ["read"] }}'} for number in range(20)
]
METHODS = ["pods", "jobs"]
ROLES = [
    {
        "name": f"r{number}",
        "bound_service_account_names": [f"r{number}"],
        "bound_service_account_namespaces": ["shop"],
        "token_policies": [f"p{number}"],
        "token_ttl": "1h",
    }
    for number in range(10)
]
LOGIN = {"url": "{{ url }}", "auth_method": "approle", "role_id": "{{ role_id }}", "secret_id": "{{ secret_id }}"}
SESSION = {"url": "{{ url }}", "auth_method": "token", "token": "{{ session.login.auth.client_token }}"}


def _ours_in_one_call() -> list[dict[str, Any]]:
    methods = [{"path": path, "type": "kubernetes"} for path in METHODS]
    roles = [{**role, "auth_path": METHODS[0]} for role in ROLES]
    wanted = {"auth_methods": methods, "policies": POLICIES, "kubernetes_roles": roles}
    return [{"onprem.platform.vault_configuration": {**LOGIN, **wanted}}]


def _ours_by_kind() -> list[dict[str, Any]]:
    return [
        *({"onprem.platform.vault_auth_method": {**LOGIN, "path": path, "type": "kubernetes"}} for path in METHODS),
        {"onprem.platform.vault_policy": {**LOGIN, "policies": POLICIES}},
        {"onprem.platform.vault_kubernetes_role": {**LOGIN, "auth_path": METHODS[0], "roles": ROLES}},
    ]


def _community(connection: dict[str, Any], *before: dict[str, Any]) -> list[dict[str, Any]]:
    """Loops over vault_write. Auth methods are read before, because making one that exists is an error there."""

    def write(path: str, data: Any, items: Iterable[Any], **more: Any) -> dict[str, Any]:
        return {"community.hashi_vault.vault_write": {**connection, "path": path, "data": data}, "loop": items, **more}

    missing = "item ~ '/' not in methods.data.data"
    settings = {key: f"{{{{ item.{key} }}}}" for key in ROLES[0] if key != "name"}
    return [
        *before,
        {"community.hashi_vault.vault_read": {**connection, "path": "sys/auth"}, "register": "methods"},
        write("sys/auth/{{ item }}", {"type": "kubernetes"}, METHODS, when=missing),
        write("sys/policies/acl/{{ item.name }}", {"policy": "{{ item.policy }}"}, POLICIES),
        write(f"auth/{METHODS[0]}/role/{{{{ item.name }}}}", settings, ROLES),
    ]


OURS = "vault_configuration"
WAYS = {
    OURS: _ours_in_one_call(),
    "a task per kind, with lists": _ours_by_kind(),
    "`vault_write` in loops, AppRole": _community(LOGIN),
    "`vault_write` in loops after `vault_login`": _community(
        SESSION, {"community.hashi_vault.vault_login": LOGIN, "register": "session", "no_log": True}
    ),
}


@dataclass
class Figures:
    """What one run took, and what reached Vault."""

    seconds: float
    cpu_seconds: float
    requests: int
    logins: int
    writes: int
    changed: int


def run_playbook(playbook: Path, variables: dict[str, str], vault: DevVault, collections: str) -> Figures:
    """Run a playbook and return its figures."""
    vault.audit.start()
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(playbook)]
    command += ["-e", json.dumps({**variables, "ansible_python_interpreter": sys.executable})]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections, "ANSIBLE_NOCOLOR": "1"}
    settings = playbook.with_name("ansible.cfg")  # none of anybody's own
    settings.write_text("[defaults]\n")
    environment["ANSIBLE_CONFIG"] = str(settings)
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-2000:])
    lines = [json.loads(line) for line in vault.audit.text()[vault.audit._offset :].splitlines()]
    sent = [line["request"] for line in lines if line["type"] == "request"]
    logins = [request for request in sent if request["path"].endswith("/login")]
    harmless = ("sys/capabilities-self",)
    writes = [
        request
        for request in sent
        if request["operation"] not in READS and request not in logins and request["path"] not in harmless
    ]
    recap = done.stdout.rpartition("PLAY RECAP")[2]
    return Figures(
        round(seconds, 2),
        round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        len(sent),
        len(logins),
        len(writes),
        int(re.findall(r"changed=(\d+)", recap)[0]),
    )


def measure(tasks: list[dict[str, Any]], collections: str) -> tuple[Figures, Figures]:
    """Return the figures of a first and a second run against a new server."""
    vault = DevVault()
    try:
        vault.request("PUT", "sys/policies/acl/admin", {"policy": ADMIN})
        vault.request("POST", "sys/auth/approle", {"type": "approle"})
        vault.request("POST", "auth/approle/role/ansible", {"token_policies": "admin", "token_ttl": "1h"})
        role_id = vault.request("GET", "auth/approle/role/ansible/role-id")["data"]["role_id"]
        secret_id = vault.request("POST", "auth/approle/role/ansible/secret-id")["data"]["secret_id"]
        variables = {"url": vault.url, "role_id": role_id, "secret_id": secret_id}
        with tempfile.TemporaryDirectory(prefix="onprem-benchmark-") as directory:
            playbook = Path(directory) / "play.json"
            play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
            playbook.write_text(json.dumps([play]))
            first = run_playbook(playbook, variables, vault, collections)
            return first, run_playbook(playbook, variables, vault, collections)
    finally:
        vault.close()


def table(results: dict[str, dict[str, list[Figures]]]) -> str:
    """Return the medians and the spread of the seconds as Markdown, and how many times as long the other ways take."""
    head = ["way", "run", "seconds", "CPU seconds", "requests", "logins", "writes", "tasks changed"]
    head += ["times as long", "times the CPU"]
    lines = [head]
    for way, runs in results.items():
        for name, figures in runs.items():
            line = [f"`{way}`" if way == OURS else way, name]
            for key in TAKEN:
                values = [getattr(run, key) for run in figures]
                line.append(f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})")
            for key in ("requests", "logins", "writes", "changed"):
                counts = {getattr(run, key) for run in figures}
                line.append("/".join(str(count) for count in sorted(counts)))
            for key in TAKEN:
                own = statistics.median(getattr(run, key) for run in results[OURS][name])
                line.append(f"{statistics.median(getattr(run, key) for run in figures) / own:.1f}")
            lines.append(line)
    return page.rows(*lines)


def main() -> None:
    """Measure all ways in turn, as often as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--community", type=Path, help="directory with ansible_collections/community, in its place")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, help="file for all figures as JSON")
    page.add_option(parser)
    options = parser.parse_args()
    conditions = page.conditions()
    community = options.community or other_collections()
    if not (community / "ansible_collections" / "community" / "hashi_vault").is_dir():
        raise SystemExit(f"{community} has no community.hashi_vault.")
    collections = f"{ROOT}/.build/collections:{community}"
    results: dict[str, dict[str, list[Figures]]] = {way: {run: [] for run in RUNS} for way in WAYS}
    for number in range(options.runs):
        for way, tasks in WAYS.items():
            for name, figures in zip(RUNS, measure(tasks, collections)):
                results[way][name].append(figures)
        print(f"After {number + 1} of {options.runs} runs of each way:\n\n{table(results)}\n", flush=True)
        if options.output:
            data = {
                way: {name: [asdict(run) for run in runs] for name, runs in both.items()}
                for way, both in results.items()
            }
            options.output.write_text(json.dumps(data, indent=2) + "\n")
    again = [run for way in list(WAYS)[:2] for run in results[way][RUNS[1]]]
    if any(run.writes or run.changed for run in again):
        raise SystemExit("A second run of this collection wrote something.")
    if options.publish:
        page.publish("vault", conditions, table(results))


if __name__ == "__main__":
    main()
