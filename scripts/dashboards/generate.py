# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the dashboards as JSON: sorted keys, so that the same code gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import application, cluster, control_plane, flux, logs, nodes, policy, service_level, vault
from .expressions import DASHBOARDS

MODULES = {
    "cluster": cluster,
    "nodes": nodes,
    "control-plane": control_plane,
    "flux": flux,
    "vault": vault,
    "policy": policy,
    "application": application,
    "logs": logs,
    "slo": service_level,
}


def rendered() -> dict[str, str]:
    """Return the files that belong into the role: name without ``.json`` -> text."""
    return {
        name: json.dumps(module.dashboard(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, module in MODULES.items()
    }


def write() -> Iterator[str]:
    """Write all files, remove those that nothing generates any more; yields the names written."""
    DASHBOARDS.mkdir(parents=True, exist_ok=True)
    files = rendered()
    for path in DASHBOARDS.glob("*.json"):
        if path.stem not in files:
            path.unlink()
    for name, text in files.items():
        (DASHBOARDS / f"{name}.json").write_text(text, encoding="utf-8")
        yield name
