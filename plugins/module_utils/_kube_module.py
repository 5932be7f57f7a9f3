# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The frame of every module that talks to the Kubernetes API (private)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ._kube_client import KubeClient
from ._kube_config import CONNECTION_ARGUMENTS, kubeconfig_secrets, load_connection
from ._kube_documents import MASK, Document, masked, public_view, secret_values, texts
from ._kube_errors import KubeConnectionError, KubeError
from ._kube_resources import Resources

if TYPE_CHECKING:
    from ._kube_wait import Waiter

PLAN_ARGUMENTS: dict[str, dict[str, Any]] = {"plan_without_cluster": {"type": "bool", "default": False}}
WAIT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "wait_timeout": {"type": "int", "default": 300},
    "crash_loop_restarts": {"type": "int", "default": 3},
    "log_lines": {"type": "int", "default": 20},
}
# Options that may hold secrets among ordinary words.
_GUARDED = ("definition", "values", "spec", "substitute")
_SHORTEST_SECRET = 4


class KubeModule(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule with the connection options and one client for the whole call."""

    def __init__(self, argument_spec: dict[str, Any], **options: Any) -> None:
        super().__init__(argument_spec={**CONNECTION_ARGUMENTS, **argument_spec}, supports_check_mode=True, **options)
        self._client: KubeClient | None = None
        self._kept_secret: set[str] = set()
        self._shown: set[str] = set()
        self._mask_precisely()

    def _mask_precisely(self) -> None:
        """Narrow the masking of options that hold secrets among ordinary words.

        ``no_log`` keeps such options out of the system log, but it would also strike every string in them ("v1",
        "default") out of the result. So their values are forgotten here and replaced by exactly the secret ones.
        """
        for name in (*_GUARDED, "kubeconfig"):
            self.no_log_values -= texts(self.params.get(name))
        self.no_log_values |= kubeconfig_secrets(self.params.get("kubeconfig"))

    def hide_definition(self, documents: list[Document], hidden: list[str]) -> None:
        """Keep the documents' secrets out of messages, and out of the options that Ansible shows at ``-vvv``."""
        self.keep_secret(secret_values(documents, hidden))
        if self.params.get("definition"):
            self.show("definition", [public_view(document, hidden) for document in documents])

    def show(self, name: str, value: Any) -> None:
        """Let ``value`` stand for an option that may hold secrets; without this call, the option stays hidden."""
        self.params[name] = value
        self._shown.add(name)

    def _hide_options(self) -> None:
        for name in _GUARDED:
            if self.params.get(name) and name not in self._shown:
                self.params[name] = MASK

    def keep_secret(self, values: set[str]) -> None:
        """Strike values out of error messages: conditions, events and logs of others may quote them.

        Very short ones ("1", "on") stay, because a message without them says nothing any more.
        """
        self._kept_secret |= {value for value in values if len(value) >= _SHORTEST_SECRET}

    @property
    def client(self) -> KubeClient:
        """The client, made on first use; raises KubeConfigError."""
        if self._client is None:
            self._client = KubeClient(load_connection(self.params), lambda: load_connection(self.params))
        return self._client

    def waiter(self, resources: Resources) -> Waiter:
        """Return a waiter with this module's wait options."""
        # Here, because a call that waits for nothing should not pay for what only waiting needs.
        from ._kube_diagnose import Diagnoser
        from ._kube_wait import Waiter
        from ._progress import announcer

        diagnoser = Diagnoser(self.client, resources, self.params["crash_loop_restarts"], self.params["log_lines"])
        announce = announcer(self)
        return Waiter(
            self.client, resources, diagnoser, lambda line: announce(lambda: masked(line(), self._kept_secret))
        )

    def diff(self, parts: list[Callable[[list[str]], dict[str, str]]]) -> list[dict[str, str]]:
        """Return the diffs that ``parts`` make of the hidden fields; none where nobody asked, since they take time."""
        return [part(self.params["hidden_fields"]) for part in parts] if self._diff else []

    def cluster_is_planned(self) -> bool:
        """True in a check run for a cluster that does not exist yet, if the user allowed to plan for one."""
        if not (self.check_mode and self.params["plan_without_cluster"]):
            return False
        kubeconfig = self.params.get("kubeconfig")
        missing = isinstance(kubeconfig, str) and not os.path.exists(os.path.expanduser(kubeconfig))
        if not missing:
            patience, self.client.connection.retry_timeout = self.client.connection.retry_timeout, 1.0
            try:
                self.client.get("/version")
            except KubeConnectionError:
                missing = True
            except KubeError:
                # Whatever it answers, there is a server.
                missing = False
            self.client.connection.retry_timeout = patience
        if missing:
            self.warn("There is no cluster yet: every object is reported as if it had to be created.")
        return missing

    def request_counts(self) -> dict[str, int]:
        """Return how many requests, and how many of them writes, this call has sent."""
        return {
            "requests": self._client.requests if self._client else 0,
            "writes": self._client.writes if self._client else 0,
        }

    def run(self, work: Callable[[KubeModule], dict[str, Any]]) -> None:
        """Run ``work`` and end the module with its result, or with one clear message for a typed error."""
        try:
            result = work(self)
        except KubeError as error:
            self.fail(error)
        self._hide_options()
        self.exit_json(**result)

    def fail(self, error: KubeError, **result: Any) -> None:
        """End the module with the message, the hint and the structured ``failure`` of an error."""
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        self._hide_options()
        failure = error.as_failure()
        failure["message"] = masked(failure["message"], self._kept_secret)
        message = masked(message, self._kept_secret)
        self.fail_json(msg=message, failure=failure, **{**self.request_counts(), **result})
