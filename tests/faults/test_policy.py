# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals with their reasons, and what becomes of admission while the policy controller is away.

The tests run in the order of this file. Logs: ``.build/faults/observability/logs``; ``pytest -s`` prints the figures.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

from ansible_collections.onprem.platform.plugins.module_utils._pod_security import strict_pod
from ansible_collections.onprem.platform.tests.faults.observability_lab import (
    Observability,
    eventually,
    now,
    seconds,
)
from ansible_collections.onprem.platform.tests.faults.platform_lab import PlatformLab

CONTROLLER = ("-n", "cosign-system")
DEPLOYMENT = ("deployment", "--field-selector=metadata.name=webhook", *CONTROLLER)
APPLICATION = "laravel-demo"
SELECTOR = ("-n", APPLICATION, "-l", "app.kubernetes.io/component=app")


def signed_image(lab: PlatformLab) -> str:
    """Return an image that runs in the application's namespace, so it is admitted."""
    return str(lab.objects("pods", *SELECTOR)[0]["spec"]["containers"][0]["image"])


def ask(lab: PlatformLab, namespace: str, image: str) -> str:
    """Ask admission about a pod; return an empty text when it is admitted, or the refusal."""
    pod = json.dumps(strict_pod("asked", image))
    done = lab.run_kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", text=pod)
    return done.stderr if done.returncode else ""


@contextmanager
def asking(lab: PlatformLab, image: str) -> Iterator[list[tuple[float, float, str]]]:
    """Ask all the time as long as the block takes; the list gets (time, seconds it took, refusal)."""
    found: list[tuple[float, float, str]] = []
    end = threading.Event()

    def loop() -> None:
        while not end.is_set():
            start = time.monotonic()
            refusal = ask(lab, APPLICATION, image)
            found.append((start, time.monotonic() - start, refusal))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield found
    finally:
        end.set()
        thread.join()


def suspend(lab: PlatformLab, name: str, suspended: bool) -> None:
    """Keep Flux from applying a Kustomization, or let it go on."""
    change = json.dumps({"spec": {"suspend": suspended}})
    lab.kubectl("patch", f"kustomization/{name}", "-n", "flux-system", "--type=merge", "-p", change)


def ready(lab: PlatformLab) -> int:
    """Return how many replicas of the controller are available."""
    status = lab.objects(*DEPLOYMENT)[0]["status"]
    return int(status.get("availableReplicas", 0))


def test_refused_and_admitted_with_and_without_the_registry(observability: Observability) -> None:
    lab = observability.lab
    done = lab.play("verify", "--tags", "admission", extra={"verify_admission_registry_down": True})
    assert done.code == 0, done.tail()
    report = lab.state / "state" / "report" / "admission.xml"
    root = ElementTree.parse(report).getroot()  # noqa: S314 - written by the run above
    assert int(root.attrib["tests"]) >= 14 and root.attrib["failures"] == "0"


def test_one_replica_killed(observability: Observability) -> None:
    lab = observability.lab
    image = signed_image(lab)
    eventually(lambda: ready(lab) == 2, "two replicas", 180)
    with asking(lab, image) as answers:
        victim = lab.objects("pods", *CONTROLLER, "-l", "role=webhook")[0]["metadata"]["name"]
        killed = time.monotonic()
        lab.kubectl("delete", "pod", victim, *CONTROLLER, "--grace-period=0", "--force")
        eventually(lambda: ready(lab) == 2, "two replicas again", 180)
        back = time.monotonic()
    after = [one for one in answers if one[0] > killed]
    refused = [one for one in after if one[2]]
    print(f"one of two killed: two again after {back - killed:.1f} s; {len(refused)} of {len(after)} answers refused")
    # Nobody is let in unseen, and one replica is enough.
    assert all("failed calling webhook" in refusal for _start, _took, refusal in refused), refused[0]
    assert after[-1][2] == "", after[-1]


def test_all_replicas_away(observability: Observability) -> None:
    lab = observability.lab
    image = signed_image(lab)
    try:
        # The outer one first: it would let the inner one go on.
        for name in ("platform", "policy"):
            suspend(lab, name, True)
        lab.kubectl("scale", "deployment/webhook", *CONTROLLER, "--replicas=0")
        eventually(lambda: not lab.objects("pods", *CONTROLLER, "-l", "role=webhook"), "no replica", 120)
        # Chosen namespaces refuse, for this reason; all others, the controller's own among them, go on.
        assert "failed calling webhook" in ask(lab, APPLICATION, image)
        for namespace in ("kube-system", "cosign-system", "flux-system", "default"):
            refusal = ask(lab, namespace, image)
            assert "failed calling webhook" not in refusal, (namespace, refusal)
        # What runs goes on; what ends has to wait.
        running = {pod["metadata"]["name"] for pod in lab.objects("pods", *SELECTOR)}
        deleted = now()
        lab.kubectl("delete", "pod", sorted(running)[0], "-n", APPLICATION, "--wait=true")
        reason = eventually(
            lambda: [
                event["message"]
                for event in lab.objects("events", "-n", APPLICATION, "--field-selector=reason=FailedCreate")
                if "failed calling webhook" in event["message"]
                and seconds(event["lastTimestamp"]) >= int(seconds(deleted))
            ],
            "the ReplicaSet says why it makes no pod",
            60,
        )
        assert "policy.sigstore.dev" in reason[0], reason
        pods = lab.objects("pods", *SELECTOR)
        assert pods and {pod["metadata"]["name"] for pod in pods} < running
    finally:
        for name in ("policy", "platform"):
            suspend(lab, name, False)
    # Flux undoes the scaling, nothing that it needs asks the controller, and the lost pod is replaced by itself.
    start = time.monotonic()
    asked = f"reconcile.fluxcd.io/requestedAt={time.time()}"
    lab.kubectl("annotate", "--overwrite", "kustomization/policy", "-n", "flux-system", asked)
    eventually(lambda: ready(lab) == 2, "two replicas by Flux", 240)
    healed = time.monotonic()
    eventually(lambda: ask(lab, APPLICATION, image) == "", "admission answers", 120)
    answered = time.monotonic()

    def replaced() -> bool:
        deployment = lab.objects("deployment", *SELECTOR)[0]
        return bool(deployment["status"].get("availableReplicas") == deployment["spec"]["replicas"])

    # A ReplicaSet that was refused tries again after pauses that double up to 1000 seconds.
    eventually(replaced, "the application has all its pods", 1100)
    print(
        f"all replicas away: available {healed - start:.1f} s after Flux was let go on, "
        f"answering {answered - start:.1f} s, the application's pod replaced {time.monotonic() - start:.1f} s"
    )
