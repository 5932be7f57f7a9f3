# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No line is lost while Loki, a collector or a node is away, and a full volume is told, not a crash.

What was written is what the nodes' own log files and journals say. The tests run in the order of this file. Logs:
``.build/faults/observability/logs``.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from ansible_collections.onprem.platform.tests.faults.observability_lab import (
    NAMESPACE,
    Observability,
    eventually,
    now,
    seconds,
)
from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, PlatformLab

REGISTRY = "registry.platform.internal:5000"
WRITERS = "log-writers"
WORKERS = ("w1", "w2", "w3")
# Which run of the container and which line: no two lines are alike.
WRITE = 'run=$(date +%s); number=0; while :; do number=$((number+1)); echo "$run line $number"; sleep 0.1; done'
VOLUME = "96m"


def writer(node: str, image: str) -> dict[str, object]:
    """Return a pod that writes lines all the time on a node."""
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"writer-{node}", "namespace": WRITERS, "labels": {"app.kubernetes.io/name": "writer"}},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {"name": "writer", "image": image, "command": ["sh", "-c", WRITE], "securityContext": security}
            ],
        },
    }


def toolbox() -> str:
    """Return the reference of the image that has a shell."""
    entries = json.loads((BUNDLE / "index.json").read_text())["entries"]
    found = next(one for one in entries if one["kind"] == "image" and one["name"] == "toolbox")
    return f"{REGISTRY}/{found['repository']}@{found['digest']}"


@pytest.fixture(scope="module")
def writers(observability: Observability) -> Iterator[Observability]:
    """A pod on each worker writes lines as long as this module runs."""
    image = toolbox()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": WRITERS}}
    items = [namespace, *(writer(node, image) for node in WORKERS)]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    observability.lab.kubectl("apply", "-f", "-", text=manifest)
    eventually(lambda: all(written(observability.lab, node, 0) for node in WORKERS), "lines are written", 120)
    yield observability
    observability.lab.kubectl("delete", "namespace", WRITERS)


def written(lab: PlatformLab, node: str, since: float, until: float = float("inf")) -> list[str]:
    """Return the lines that the pod of a node wrote in a time, from the files of the container runtime (CRI format)."""
    text = lab.ssh(node, f"cat /var/log/pods/{WRITERS}_writer-{node}_*/writer/*.log", check=False)
    found = []
    for line in text.splitlines():
        moment, _stream, tag, content = line.split(" ", 3)
        if tag == "F" and since <= seconds(moment.replace("Z", "+00:00")) < until:
            found.append(f"{node} {content}")
    return found


def assert_complete(observability: Observability, since: float, until: float) -> None:
    """Expect that Loki has each line of a time once; those on their way are waited for."""
    expected = [line for node in WORKERS for line in written(observability.lab, node, since, until)]
    assert len(expected) > (until - since) * len(WORKERS), "the writers did not write"
    assert len(set(expected)) == len(expected)

    def stored() -> list[str]:
        return [
            f"{node} {line}"
            for node in WORKERS
            for line in observability.lines(f'{{namespace="{WRITERS}"}} | node="{node}"', since, until)
        ]

    def complete() -> bool:
        return set(stored()) >= set(expected)

    try:
        eventually(complete, "all lines are in Loki", 240, 5)
    except AssertionError:
        lost = sorted(set(expected) - set(stored()))
        raise AssertionError(f"{len(lost)} of {len(expected)} lines are lost: {lost[:3]} ... {lost[-3:]}") from None
    twice = [line for line, number in Counter(stored()).items() if number > 1]
    assert not twice, f"{len(twice)} lines are there twice: {twice[:5]}"
    print(f"{len(expected)} lines, each once")


def loki_is(observability: Observability, number: int) -> None:
    """Have as many pods of Loki (0 or 1), and wait until it is so."""
    observability.lab.kubectl("scale", "statefulset/loki", "-n", NAMESPACE, f"--replicas={number}")
    names = ["loki-0"] * number

    def reached() -> bool:
        every = observability.lab.objects("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=loki")
        return observability.pods("loki") == names and len(every) == number

    eventually(reached, f"{number} pods of Loki", 240)


def test_lines_of_a_minute_without_loki_arrive_later(writers: Observability) -> None:
    """And the collectors are killed in that minute, so that only what is on their disks is left."""
    lab, since = writers.lab, time.time()
    loki_is(writers, 0)
    away = time.time()
    eventually(lambda: time.time() > away + 30, "half a minute has passed", 60)
    for node in WORKERS:
        lab.ssh(node, "kill -KILL $(pidof otelcol)")
    eventually(lambda: time.time() > away + 60, "a minute has passed", 60)
    assert writers.pods("loki") == [], "Loki was away all the time"
    back = time.time()
    loki_is(writers, 1)
    assert_complete(writers, since, back)


def test_killed_collector_goes_on_where_it_was(writers: Observability) -> None:
    lab, since = writers.lab, time.time()
    for node in WORKERS * 2:
        lab.ssh(node, "kill -KILL $(pidof otelcol)")
        eventually(lambda node=node: lab.ssh(node, "pidof otelcol", check=False), "it is back", 60)
    assert_complete(writers, since, time.time())


def test_restart_of_a_node_loses_no_line(writers: Observability) -> None:
    """Lines of its pods, and of its journal up to the last moment."""
    lab, since = writers.lab, time.time()
    pod = lab.objects("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=loki")[0]
    node = next(one for one in WORKERS if one != pod["spec"]["nodeName"])
    token = f"restart-{int(since)}"
    lab.ssh(node, f"seq -f '{token} %04g' 200 | logger -t platform-test")
    lab.restart(node)
    back = time.time()

    def is_back() -> bool:
        return lab.unready() == [] and len(written(lab, node, back)) > 50

    eventually(is_back, f"{node} works again", 300)
    assert_complete(writers, since, time.time())
    expected = [f"{token} {number:04}" for number in range(1, 201)]

    def journal() -> list[str]:
        return sorted(writers.lines(f'{{source="journal"}} |= "{token}"', since, time.time()))

    eventually(lambda: len(journal()) >= len(expected), "the journal is in Loki", 120)
    assert journal() == expected


@pytest.fixture
def small_volume(writers: Observability) -> Iterator[tuple[str, str]]:
    """Loki's volume is one of few megabytes for a while; gives its node and directory."""
    lab = writers.lab
    claim = json.loads(lab.kubectl("get", "pvc", "data-loki-0", "-n", NAMESPACE, "-o", "json"))
    volume = json.loads(lab.kubectl("get", "pv", claim["spec"]["volumeName"], "-o", "json"))["spec"]
    path = (volume.get("hostPath") or volume["local"])["path"]
    node = volume["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"][0]
    loki_is(writers, 0)
    lab.ssh(node, f"mount -t tmpfs -o size={VOLUME},mode=$(stat -c %a {path}) platform-test {path}")
    loki_is(writers, 1)
    yield node, path
    loki_is(writers, 0)
    lab.ssh(node, f"umount {path}")
    loki_is(writers, 1)


def test_full_volume_is_an_alert_and_no_crash(writers: Observability, small_volume: tuple[str, str]) -> None:
    lab, (node, path) = writers.lab, small_volume
    began, since = time.time(), now()

    def state() -> tuple[str, int]:
        pod = lab.objects("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=loki")[0]
        return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]

    before = state()
    # The last bytes too, whatever Loki writes meanwhile.
    lab.ssh(node, f"dd if=/dev/zero of={path}/filler bs=1M 2>/dev/null; df --output=pcent {path} | grep 100%")
    eventually(lambda: writers.mails(since, "LokiVolumeFull", "FIRING"), "the mail about the full volume", 600)
    assert state() == before, "Loki was started anew"
    lab.ssh(node, f"rm {path}/filler")
    freed = time.time()
    assert_complete(writers, began, freed)
    eventually(lambda: writers.mails(since, "LokiVolumeFull", "RESOLVED"), "the alert is called off", 900)
    assert state() == before, "Loki was started anew"
    assert writers.pods("loki") == ["loki-0"]
