# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The frame of every module that talks to the Kubernetes API (private)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._kube_client import KubeClient
from ._kube_config import CONNECTION_ARGUMENTS, kubeconfig_secrets, load_connection
from ._kube_diagnose import Diagnoser
from ._kube_documents import Document, public_view
from ._kube_errors import KubeConnectionError, KubeError
from ._kube_resources import Resources
from ._kube_wait import Waiter

PLAN_ARGUMENTS: dict[str, dict[str, Any]] = {"plan_without_cluster": {"type": "bool", "default": False}}
WAIT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "wait_timeout": {"type": "int", "default": 300},
    "crash_loop_restarts": {"type": "int", "default": 3},
    "log_lines": {"type": "int", "default": 20},
}


class KubeModule(AnsibleModule):  # type: ignore[misc]
    """An AnsibleModule with the connection options and one client for the whole call."""

    def __init__(self, argument_spec: dict[str, Any], **options: Any) -> None:
        super().__init__(argument_spec={**CONNECTION_ARGUMENTS, **argument_spec}, supports_check_mode=True, **options)
        self._client: KubeClient | None = None
        self._mask_precisely()

    def _mask_precisely(self) -> None:
        """Narrow the masking of options that hold secrets among ordinary words.

        ``no_log`` keeps such options out of the system log, but it would also strike every string in them ("v1",
        "default") out of the result. So their values are forgotten here and replaced by exactly the secret ones.
        """
        for name in ("definition", "kubeconfig"):
            self.no_log_values -= _strings(self.params.get(name))
        self.no_log_values |= kubeconfig_secrets(self.params.get("kubeconfig"))

    def hide_definition(self, documents: list[Document], hidden: list[str]) -> None:
        """Replace ``definition`` by its public view, because Ansible shows the options of a module at ``-vvv``."""
        if self.params.get("definition"):
            self.params["definition"] = [public_view(document, hidden) for document in documents]

    @property
    def client(self) -> KubeClient:
        """The client, made on first use; raises KubeConfigError."""
        if self._client is None:
            self._client = KubeClient(load_connection(self.params), lambda: load_connection(self.params))
        return self._client

    def waiter(self, resources: Resources) -> Waiter:
        """Return a waiter with this module's wait options."""
        diagnoser = Diagnoser(self.client, resources, self.params["crash_loop_restarts"], self.params["log_lines"])
        return Waiter(self.client, resources, diagnoser)

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
        self.exit_json(**result)

    def fail(self, error: KubeError, **result: Any) -> None:
        """End the module with the message, the hint and the structured ``failure`` of an error."""
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        self.fail_json(msg=message, failure=error.as_failure(), **{**self.request_counts(), **result})


def _strings(value: Any) -> set[str]:
    """Return what Ansible's no_log collects of a value: all strings and numbers in it, as text."""
    if isinstance(value, dict):
        return {text for item in value.values() for text in _strings(item)}
    if isinstance(value, (list, tuple)):
        return {text for item in value for text in _strings(item)}
    return {str(value)} if value is not None and not isinstance(value, bool) else set()
