# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host waits for its own API server. What it reads there, the tests of the lab show."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import kubeadm_info

NOTHING = (None, "connection refused", False)
ELSEWHERE = ({"nodes": []}, "", False)
HERE = ({"nodes": []}, "", True)
PARAMETERS = {
    **{name: option["default"] for name, option in kubeadm_info.ARGUMENTS.items() if "default" in option},
    "node_name": "cp1",
    "advertise_address": "192.0.2.1",
    "control_plane": True,
}


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(kubeadm_info, "time", clock)
    return clock


def gather(monkeypatch: pytest.MonkeyPatch, answers: list[Any], running: bool = True) -> dict[str, Any]:
    """Let the API give these answers, the last one for ever."""

    def answer(*_address: Any, **_options: Any) -> Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    facts = {"files": {"admin_conf": True, "manifests": ["kube-apiserver"]}, "kubelet_active": running}
    monkeypatch.setattr(kubeadm_info.state, "host_facts", lambda *_directories: facts)
    monkeypatch.setattr(kubeadm_info.state, "view_or_reason", answer)
    return kubeadm_info.gather(PARAMETERS)


@pytest.mark.parametrize(
    ("answers", "own", "seconds"),
    [
        pytest.param([HERE], True, 0, id="answers at once"),
        pytest.param([ELSEWHERE, ELSEWHERE, HERE], True, 2, id="was not ready for a moment"),
        pytest.param([ELSEWHERE], False, 20, id="is not ready while another one is"),
        pytest.param([NOTHING] * 60 + [HERE], True, 60, id="starts"),
        pytest.param([NOTHING] * 60 + [ELSEWHERE], False, 60, id="starts later than another one"),
        pytest.param([NOTHING], False, 300, id="none answers"),
    ],
)
def test_patience(clock: Clock, monkeypatch: pytest.MonkeyPatch, answers: list[Any], own: bool, seconds: int) -> None:
    facts = gather(monkeypatch, answers)
    assert (facts["api_local"], clock.now) == (own, seconds)


@pytest.mark.parametrize("answer", [NOTHING, ELSEWHERE])
def test_a_host_that_does_not_run_is_not_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    assert gather(monkeypatch, [answer], running=False)["cluster"] == answer[0]
    assert clock.now == 0
