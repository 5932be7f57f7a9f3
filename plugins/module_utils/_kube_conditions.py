# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Conditions of Kubernetes objects, read without being fooled by stale ones (private)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

READY = "ready"
PROGRESSING = "progressing"
FAILED = "failed"


@dataclass(frozen=True)
class Progress:
    """How far an object is: ``state`` is READY, PROGRESSING or FAILED (nothing but a change can help it)."""

    state: str
    message: str = ""

    @property
    def ready(self) -> bool:
        return self.state == READY


def ready(message: str = "") -> Progress:
    """The object is in the wanted state."""
    return Progress(READY, message)


def progressing(message: str) -> Progress:
    """The object may still get there."""
    return Progress(PROGRESSING, message)


def failed(message: str) -> Progress:
    """The object will not get there by itself."""
    return Progress(FAILED, message)


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the condition of that type, or an empty mapping."""
    for item in (document.get("status") or {}).get("conditions") or []:
        if item.get("type") == kind:
            return dict(item)
    return {}


def is_true(document: dict[str, Any], kind: str) -> bool:
    """Tell whether that condition is True."""
    return condition(document, kind).get("status") == "True"


def is_current(document: dict[str, Any], item: dict[str, Any] | None = None) -> bool:
    """Tell whether the controller has seen the newest spec.

    A condition's own observedGeneration counts most; the object's counts where the condition has none.
    """
    generation = (document.get("metadata") or {}).get("generation")
    observed = (item or {}).get("observedGeneration", (document.get("status") or {}).get("observedGeneration"))
    return generation is None or observed is None or observed >= generation


def describe(item: dict[str, Any]) -> str:
    """Return ``Type=Status Reason: message`` of a condition."""
    if not item:
        return "no such condition yet"
    text = f"{item.get('type')}={item.get('status')}"
    if item.get("reason"):
        text += f" {item['reason']}"
    return f"{text}: {item['message']}" if item.get("message") else text


def describe_all(document: dict[str, Any]) -> str:
    """Return all conditions of an object in one line."""
    return "; ".join(describe(item) for item in (document.get("status") or {}).get("conditions") or [])
