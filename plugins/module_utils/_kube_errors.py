# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Typed errors of the Kubernetes API (private: may change in any release).

Shapes follow the ``Status`` object, https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/.
"""

from __future__ import annotations

import json
from typing import Any


class KubeError(Exception):
    """A Kubernetes operation failed; ``hint`` says what the user can do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def as_failure(self) -> dict[str, Any]:
        """Return the ``failure`` mapping of a module's result."""
        return {"code": 0, "reason": type(self).__name__.removesuffix("Error"), "message": self.message}


class KubeConfigError(KubeError):
    """The connection settings cannot be used; no request was sent."""


class KubeConnectionError(KubeError):
    """The API server could not be reached within the retry time."""


class KubeTimeoutError(KubeError):
    """Something was waited for and did not happen in time."""


class KubeApiError(KubeError):
    """The API server refused a request.

    ``code`` is the HTTP status, ``reason`` the machine-readable word of the Status object, ``details`` its details.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any], hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code
        self.reason = reason
        self.details = details

    def as_failure(self) -> dict[str, Any]:
        return {"code": self.code, "reason": self.reason, "message": self.message}


class UnauthorizedError(KubeApiError):
    """401: the credentials are missing, wrong or expired."""


class ForbiddenError(KubeApiError):
    """403: the user lacks a permission, or admission refused the object."""


class NotFoundError(KubeApiError):
    """404: the object, its namespace or its kind does not exist."""

    @property
    def names_object(self) -> bool:
        """True if an object is missing; False if the server does not know the path (kind not served)."""
        return bool(self.details.get("name"))


class ConflictError(KubeApiError):
    """409; ``conflicts`` lists ``{"field": str, "owner": str}`` when other field managers own the fields."""

    @property
    def conflicts(self) -> list[dict[str, str]]:
        found = []
        for cause in self.details.get("causes") or []:
            if cause.get("reason") == "FieldManagerConflict":
                text = str(cause.get("message", ""))
                owner = text.split('"')[1] if text.count('"') >= 2 else text
                found.append({"field": str(cause.get("field", "")), "owner": owner})
        return found


class ExpiredError(KubeApiError):
    """410: the resource version of a watch or list is too old."""


class InvalidError(KubeApiError):
    """422 or 400: the object does not validate; 500 for an apply with a field that its kind does not have."""


_BY_CODE: dict[int, type[KubeApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
}
# The server answers an apply so as if it had failed itself; sending it again never helps.
_NOT_IN_SCHEMA = "failed to create typed patch object"
_HINTS = {
    401: "Check the credentials; a client certificate or token may have expired.",
    403: "Give this user the permission named in the message, or use another kubeconfig.",
    410: "",
    429: "The API server is overloaded; try again later or raise retry_timeout.",
}


def error_from_status(code: int, status: dict[str, Any], verb: str, path: str) -> KubeApiError:
    """Make the typed error for a ``Status`` object (or what a proxy answered in its place).

    The message always names the request; for field errors it lists each field path, for ownership conflicts each owner.
    """
    details = status.get("details") or {}
    message = str(status.get("message") or f"the server answered {code}")
    hint = _HINTS.get(code, "")
    error_type = InvalidError if message.startswith(_NOT_IN_SCHEMA) else _BY_CODE.get(code, KubeApiError)
    error = error_type(code, str(status.get("reason") or ""), message, details, hint)
    if isinstance(error, ConflictError) and error.conflicts:
        owners = "; ".join(f"{item['field']} is owned by {item['owner']}" for item in error.conflicts)
        error.message = f"conflict with other field managers: {owners}"
        error.hint = "Leave the fields out, or set force_conflicts to take them over."
    elif isinstance(error, ForbiddenError):
        # Admission refusals name the object; authorisation refusals come in the server's own complete sentence.
        if "cannot" not in message:
            error.hint = "An admission rule refused the object; the message says which."
        if not status.get("message"):
            error.message = f"forbidden: {verb} {path}"
    elif isinstance(error, InvalidError) and details.get("causes"):
        fields = [f"{cause.get('field') or '(object)'}: {cause.get('message')}" for cause in details["causes"]]
        error.message = f"invalid {details.get('kind', 'object')}: " + "; ".join(dict.fromkeys(fields))
    if not status.get("message"):
        error.message = f"{error.message} ({verb} {path})" if verb not in error.message else error.message
    return error


def parse_status(body: bytes) -> dict[str, Any]:
    """Read an error body: the Status object, or a mapping with the first line of whatever else came."""
    try:
        parsed = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip().splitlines()
        return {"message": text[0][:300]} if text else {}
    return parsed if isinstance(parsed, dict) else {}
