# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One life of a platform: the plan on bare machines, the run that follows, and what that run gave away.

The fixture ``journey`` does it once: check run, and real run with ``-vvv --diff`` under observation. The tests look at
what it left, and run it again. Its logs stay in ``.build/faults/plan/logs``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils._secret_scan import leaked
from ansible_collections.onprem.platform.tests.faults.leaks import (
    Samplers,
    SecretWatch,
    artifact,
    secrets_of_application,
    secrets_of_hosts,
    texts_of_repository,
)
from ansible_collections.onprem.platform.tests.faults.platform_lab import NODES, ROOT, Outcome, PlatformLab

NAMESPACE = "laravel-demo"
FIRST_PASSWORD = "Secret data/mariadb-first-password"
FIRST_TASK_ON_HOSTS = "Bring the node's programs, settings and units to the wanted state"
AUTHORITY = "Bring the authority to all hosts and the registry to the control planes"

# What plan and run may say differently: (end of the task's name, item or None for all) -> reason. Everything else must
# be the same.
MADE_AND_GONE = "exists only during the run; the plan shows what is left after it"
PACKAGE = (
    "the package's own script enables the service; what a package does when it is installed cannot be read from it"
)
BEFORE = "done by an earlier task of the run, which the plan names too"
NEEDS_VAULT = "compared with what Vault holds, and there is none to ask"
NOT_IN_THE_PLAN: dict[tuple[str, str | None], str] = {
    ("Mint credentials for the nodes that join now", ""): MADE_AND_GONE,
    ("Revoke the credentials", ""): MADE_AND_GONE,
    (
        "Approve the serving certificates of the inventory's kubelets",
        "",
    ): "kubelets that do not run have no request yet",
    ("Initialise Vault, keys into the key file", None): NEEDS_VAULT,
    ("Unseal every server", None): NEEDS_VAULT,
    ("Configure Vault as the platform's administrator, and as root until that works", None): NEEDS_VAULT,
    ("Tell others what Vault offers", None): NEEDS_VAULT,
    ("Revoke the root token and prove it dead", None): MADE_AND_GONE,
    ("Forget the database's first password, which is no longer valid", None): MADE_AND_GONE,
}
NOT_IN_THE_RUN: dict[tuple[str, str | None], str] = {
    (FIRST_TASK_ON_HOSTS, "unit_enabled: haproxy.service"): PACKAGE,
    ("Bring the API's load balancer and the API server's files", "unit_enabled: haproxy.service"): PACKAGE,
    (AUTHORITY, "directory: /etc/onprem-platform/pki"): BEFORE,
    (AUTHORITY, "file: /etc/onprem-platform/pki/ca.crt"): BEFORE,
    ("Bring the API's load balancer and the API server's files", "file: /etc/onprem-platform/metrics/tls.crt"): BEFORE,
    ("Bring the API's load balancer and the API server's files", "file: /etc/onprem-platform/metrics/tls.key"): BEFORE,
}


@dataclass
class Journey:
    """The plan, and the run that followed."""

    lab: PlatformLab
    bare: dict[str, Any]
    plan: Outcome
    after_plan: dict[str, Any]
    run: Outcome
    second_operator: Outcome
    first_was_alive: bool
    arguments: dict[str, str]
    seen: dict[str, str] = field(repr=False)


@pytest.fixture(scope="module")
def journey(laboratory: Callable[[str], PlatformLab]) -> Journey:
    """Plan on bare machines, then run under observation."""
    lab = laboratory("plan")
    bare = lab.fingerprint()
    plan = lab.play("site", "--check", "--diff")
    after_plan = lab.fingerprint()
    samplers, watch = Samplers(lab), SecretWatch(lab)
    watch.start()
    try:
        first = lab.start("site", "-vvv", "--diff")
        first.until_task(FIRST_TASK_ON_HOSTS)
        second_operator = lab.play("site")
        first_was_alive = first.process.poll() is None
        run = first.wait()
    finally:
        watch.stop()
        samplers.stop()
    seen = {**watch.found, **samplers.handed_over()}
    return Journey(
        lab, bare, plan, after_plan, run, second_operator, first_was_alive, samplers.arguments(), seen
    )  # fmt: skip


@pytest.fixture(scope="module")
def secrets(journey: Journey) -> dict[str, str]:
    """Every secret of the platform, by a name that may be shown."""
    assert journey.run.code == 0, journey.run.tail()
    return {**journey.seen, **secrets_of_hosts(journey.lab), **secrets_of_application(journey.lab, NAMESPACE)}


@pytest.fixture(scope="module")
def again(journey: Journey) -> Outcome:
    """The same run once more, with the oldest supported ansible-core."""
    assert journey.run.code == 0, journey.run.tail()
    return journey.lab.play("site", "-vvv", "--diff", core="2.19")


@pytest.fixture(scope="module")
def check(again: Outcome, journey: Journey) -> Outcome:
    """A check run of the converged platform, with the version between."""
    return journey.lab.play("site", "--check", "--diff", core="2.20")


def changed_items(outcome: Outcome) -> set[tuple[str, str, str]]:
    """Return (host, task, item) of what changed; a result that shows no items is one item without a name."""
    return {
        (one["host"], one["task"], item) for one in outcome.results() if one["changed"] for item in one["items"] or [""]
    }


def unexplained(
    found: set[tuple[str, str, str]], reasons: Mapping[tuple[str, str | None], str]
) -> list[tuple[str, str, str]]:
    """Return what no reason covers."""
    return sorted(
        (host, task, item)
        for host, task, item in found
        if not any(task.endswith(name) and known in (item, None) for name, known in reasons)
    )


# --- the plan ---
def test_plan_on_bare_machines_completes(journey: Journey) -> None:
    assert journey.plan.code == 0, journey.plan.tail()
    recap = journey.plan.recap()
    assert set(recap) == {*NODES, "localhost"}
    for host in recap:
        assert recap[host]["changed"] > 0, f"{host} has no plan"
    wanted = ("absent\n+joined", "unit: containerd.service", "HelmRelease laravel-demo/laravel-demo", "Namespace vault")
    assert all(words in journey.plan.output for words in wanted)


def test_plan_changes_nothing(journey: Journey) -> None:
    for node in NODES:
        assert journey.after_plan[node] == journey.bare[node]


def test_run_changes_what_the_plan_says(journey: Journey) -> None:
    plan, run = changed_items(journey.plan), changed_items(journey.run)
    assert unexplained(run - plan, NOT_IN_THE_PLAN) == []
    assert unexplained(plan - run, NOT_IN_THE_RUN) == []
    # An exception that nothing needs would hide the next fault.
    for reasons, found in ((NOT_IN_THE_PLAN, run - plan), (NOT_IN_THE_RUN, plan - run)):
        for task, known in reasons:
            assert any(name.endswith(task) and known in (item, None) for _host, name, item in found), (task, known)


# --- two operators ---
def test_second_operator_is_stopped_and_told_who_works(journey: Journey) -> None:
    done = journey.second_operator
    assert journey.first_was_alive, "the first run was over before the second was stopped"
    assert done.code != 0 and len(done.failures()) == 1, done.tail()
    message = done.failures()[0]["message"]
    assert "Another run holds the lock 'site'" in message and "process " in message and "Wait, or end it" in message
    assert done.changes() == []


# --- secrets ---
def test_secrets_of_every_kind_were_found(secrets: dict[str, str]) -> None:
    """Searching for nothing would find nothing."""
    wanted = {
        "join token": "token on ",
        "certificate key": "certificateKey on ",
        "bootstrap token of the cluster": "Secret kube-system/bootstrap-token-",
        "first password of the database": FIRST_PASSWORD,
        "Vault's root token": "Vault root token",
        "Vault's unseal keys": "Vault unseal key 4",
        "Vault's private key": "Secret vault/vault-tls/tls.key",
        "encryption at rest": "encryption key 0",
        "key of the application": "APP_KEY of pod",
        "issued database password": "DB_PASSWORD of pod",
        "platform authority": "cp1:/etc/onprem-platform/pki/ca.key",
        "cluster authority": "cp1:/etc/kubernetes/pki/ca.key",
        "administrator": "controller:kubeconfig",
    }
    missing = {what for what, begin in wanted.items() if not any(name.startswith(begin) for name in secrets)}
    assert missing == set(), sorted(secrets)


def test_no_secret_in_the_output(journey: Journey, secrets: dict[str, str]) -> None:
    assert leaked(journey.run.output, secrets) == []
    assert leaked(json.dumps(journey.run.events), secrets) == []
    assert leaked(journey.plan.output + journey.second_operator.output, secrets) == []


def test_no_secret_in_the_output_of_later_runs(again: Outcome, check: Outcome, secrets: dict[str, str]) -> None:
    assert leaked(again.output, secrets) == []
    assert leaked(check.output, secrets) == []


def test_no_secret_in_the_repository(secrets: dict[str, str]) -> None:
    for name, text in texts_of_repository(ROOT):
        assert leaked(text, secrets) == [], name


@pytest.mark.parametrize(("repository", "tag"), [("platform/tree", "onprem"), (f"charts/{NAMESPACE}", "1.0.0")])
def test_no_secret_in_the_artifacts(journey: Journey, secrets: dict[str, str], repository: str, tag: str) -> None:
    address = json.loads((journey.lab.state / "lab.json").read_text())["nodes"][0]["address"]
    authority = journey.lab.state / "state" / "ca.crt"
    text = artifact(f"{address}:5000", authority, "registry.platform.internal", repository, tag)
    assert "kind: " in text
    assert leaked(text, secrets) == []


def test_no_secret_in_process_arguments(journey: Journey, secrets: dict[str, str]) -> None:
    """The samplers saw the processes of interest, and no secret in any."""
    for host, text in journey.arguments.items():
        assert leaked(text, secrets) == [], host
    assert all("kubeadm " in journey.arguments[node] for node in NODES)
    assert "ansible-playbook" in journey.arguments["controller"]


def test_base64_of_the_first_password_would_be_found(secrets: dict[str, str]) -> None:
    name = next(name for name in secrets if name.startswith(FIRST_PASSWORD))
    encoded = base64.b64encode(f'{{"password": "{secrets[name]}"}}'.encode()).decode()
    assert leaked(encoded, secrets) == [name]


# --- afterwards ---
def test_second_run_is_by_the_oldest_version(again: Outcome) -> None:
    assert "ansible-playbook [core 2.19." in again.output


def test_second_run_changes_nothing(again: Outcome) -> None:
    assert again.code == 0, again.tail()
    assert again.changes() == []
    assert {host: found["changed"] for host, found in again.recap().items()} == dict.fromkeys([*NODES, "localhost"], 0)


def test_check_of_the_converged_platform_changes_nothing(check: Outcome) -> None:
    assert check.code == 0, check.tail()
    assert check.changes() == []


def test_cluster_is_whole(again: Outcome, journey: Journey) -> None:
    assert journey.lab.unready() == []
    assert journey.lab.voters() == ["cp1", "cp2", "cp3"]
