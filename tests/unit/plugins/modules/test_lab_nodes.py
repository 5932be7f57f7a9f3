# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lab_nodes and lab_image refuse before they touch anything. What they do is in tests/integration/lab."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import lab_image, lab_nodes

PARAMETERS: dict[str, Any] = {
    "name": "onprem-lab-test",
    "image": "localhost/node:1",
    "authorized_key": "ssh-ed25519 AAAA",
    "nodes": [{"name": "cp1", "number": 11}],
}


@pytest.mark.parametrize("missing", ["name", "image", "authorized_key"])
def test_missing_argument(run_module: Any, missing: str) -> None:
    result = run_module(lab_nodes.main, {key: value for key, value in PARAMETERS.items() if key != missing})
    assert result["failed"]
    assert missing in result["msg"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../x"}, "no name of lower-case letters"),
        ({"nodes": [{"name": "CP1", "number": 11}]}, "'CP1' is no name"),
        ({"nodes": [{"name": "a", "number": 11}, {"name": "a", "number": 12}]}, "same name"),
        ({"nodes": [{"name": "a", "number": 11}, {"name": "b", "number": 11}]}, "same number"),
        ({"nodes": [{"name": "a", "number": 1}]}, "2 to 254"),
        ({"nodes": [{"name": "a", "number": 255}]}, "2 to 254"),
    ],
)
def test_wrong_values(run_module: Any, change: dict[str, Any], message: str) -> None:
    result = run_module(lab_nodes.main, {**PARAMETERS, **change})
    assert result["failed"]
    assert message in result["msg"]


def test_a_host_without_podman_is_one_clear_message(
    run_module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(lab_nodes, "exclusive", nullcontext)
    result = run_module(lab_nodes.main, PARAMETERS)
    assert result["failed"]
    assert "podman is not installed" in result["msg"]


def test_an_incomplete_recipe_is_refused(run_module: Any, tmp_path: Path) -> None:
    (tmp_path / "packages").write_text("systemd\n")
    result = run_module(lab_image.main, {"recipe": str(tmp_path)})
    assert result["failed"]
    assert "lacks customize" in result["msg"]
