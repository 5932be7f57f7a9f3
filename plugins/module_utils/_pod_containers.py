# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The containers of a pod: what its spec asks for, and what its status says that it runs (private)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_KINDS = (
    ("initContainers", "initContainerStatuses", "init"),
    ("containers", "containerStatuses", "container"),
    ("ephemeralContainers", "ephemeralContainerStatuses", "ephemeral"),
)


@dataclass(frozen=True)
class Container:
    """A container of a pod: what its spec asks for, and what its status says that it runs.

    :ivar kind: ``container``, ``init``, ``sidecar`` (an init container that goes on) or ``ephemeral``.
    :ivar image_id: as the kubelet reports it; empty while the container has not started.
    """

    pod: str
    name: str
    kind: str
    image: str
    image_id: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def running_digest(self) -> str:
        """Digest in the status, whichever repository the runtime names it by; empty when there is none."""
        found = _DIGEST.search(self.image_id)
        return found.group() if found else ""


def containers(pod: Mapping[str, Any]) -> list[Container]:
    """Return all containers of a pod in the order in which they start."""
    found = []
    for specs, statuses, kind in _KINDS:
        states = {item["name"]: item for item in (pod.get("status") or {}).get(statuses) or []}
        for item in pod["spec"].get(specs) or []:
            sidecar = kind == "init" and item.get("restartPolicy") == "Always"
            found.append(
                Container(
                    pod["metadata"]["name"],
                    item["name"],
                    "sidecar" if sidecar else kind,
                    item["image"],
                    str(states.get(item["name"], {}).get("imageID") or ""),
                    pod["metadata"].get("annotations") or {},
                )
            )
    return found
