# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The way to a Vault server: TLS, proxies and, if wanted, a port-forward through a Kubernetes API server."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._vault_errors import VaultConfigurationError, VaultConnectionError

# What speaks to Kubernetes is imported where it is used: most calls do not need it, and a module's code is compiled
# anew each time that it runs.
if TYPE_CHECKING:
    from ._kube_config import Connection

try:
    import requests
    from requests.adapters import HTTPAdapter
except ImportError:  # hvac needs requests, so the message about hvac covers this one
    HTTPAdapter = object  # type: ignore[misc, assignment]


@dataclass(frozen=True)
class PortForward:
    """Where a port-forward ends.

    kubeconfig and context: as for kubectl; None means its defaults. namespace: of the pod.
    pod: its name; None takes the first label of the URL's host, so that ``https://vault-0.vault-internal:8200``
    reaches the pod ``vault-0``. selector: a label selector, in place of pod. port: None takes the URL's port.
    """

    namespace: str
    kubeconfig: str | None = None
    context: str | None = None
    pod: str | None = None
    selector: str | None = None
    port: int | None = None


def kubernetes_connection(kubeconfig: str | None, context: str | None) -> Connection:
    """Return the connection to the API server of a kubeconfig file.

    Raises VaultConfigurationError when the file cannot be used.
    """
    from ._kube_config import load_connection
    from ._kube_errors import KubeConfigError

    try:
        return load_connection({"kubeconfig": kubeconfig, "context": context})
    except (KubeConfigError, OSError) as error:
        hint = error.hint if isinstance(error, KubeConfigError) else ""
        raise VaultConfigurationError(f"The kubeconfig cannot be used: {error}.", hint=hint) from error


class ForwardedSockets:
    """Opens sockets to pods by way of the API server. No port listens on this machine."""

    def __init__(self, forward: PortForward) -> None:
        self._forward = forward
        self._connection: Connection | None = None
        self._selected: str | None = None

    def open(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Return a connected socket to the pod behind host.

        Raises VaultConnectionError with what the API server said.
        """
        from ._kube_errors import KubeConfigError, KubeError
        from ._kube_portforward import open_forward

        if self._connection is None:
            self._connection = kubernetes_connection(self._forward.kubeconfig, self._forward.context)
        namespace, port = self._forward.namespace, self._forward.port or port
        pod = self._pod(self._connection, host)
        try:
            forward = open_forward(self._connection, namespace, pod, port, timeout)
        except KubeConfigError as error:
            raise VaultConfigurationError(f"No port-forward is possible: {error}.", hint=error.hint) from error
        except KubeError as error:
            raise VaultConnectionError(
                f"No port-forward to port {port} of pod {namespace}/{pod}: {error}.",
                hint="Check that the pod runs and that the kubeconfig's user may create pods/portforward.",
            ) from error
        forward.settimeout(timeout)
        return forward

    def _pod(self, connection: Connection, host: str) -> str:
        """Return the pod's name: given, selected once by label (ready pods first), or the host's first label."""
        if self._forward.pod:
            return self._forward.pod
        if not self._forward.selector:
            return host.split(".")[0]
        if self._selected is None:
            self._selected = self._select(connection, self._forward.selector)
        return self._selected

    def _select(self, connection: Connection, selector: str) -> str:
        from ._kube_client import KubeClient
        from ._kube_errors import KubeError
        from ._kube_pools import select_pod

        try:
            return select_pod(KubeClient(connection), self._forward.namespace, selector)
        except KubeError as error:
            raise VaultConnectionError(f"{error}.") from error


class _Adapter(HTTPAdapter):  # type: ignore[misc]
    """A requests adapter with a TLS server name and, if wanted, forwarded sockets."""

    def __init__(self, server_name: str | None, sockets: ForwardedSockets | None) -> None:
        self._server_name = server_name
        self._sockets = sockets
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        if self._server_name:
            options.update(server_hostname=self._server_name, assert_hostname=self._server_name)
        super().init_poolmanager(*arguments, **options)
        if self._sockets:
            from ._kube_pools import forwarding_pools

            self.poolmanager.pool_classes_by_scheme = forwarding_pools(self._sockets.open, VaultConnectionError)


def open_session(
    *,
    verify: bool | str,
    server_name: str | None = None,
    proxies: dict[str, str] | None = None,
    forward: PortForward | None = None,
) -> Any:
    """Return a requests session whose every request, retries included, uses these settings.

    verify: True for the system's authorities, a path of a bundle, or False. server_name: the name that the
    certificate must bear, in place of the URL's host. A forwarded session ignores proxies and the environment.
    """
    session = requests.Session()
    session.verify = verify
    adapter = _Adapter(server_name, ForwardedSockets(forward) if forward else None)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if forward:
        session.trust_env = False
    elif proxies:
        session.proxies = proxies
    return session


def check_url(url: str) -> str:
    """Return the URL of a server without a trailing slash.

    Raises VaultConfigurationError when it is not http(s) or carries a path, credentials or a query.
    """
    parts = urlsplit(url)
    try:
        port_is_valid = parts.port != 0
    except ValueError:
        port_is_valid = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise VaultConfigurationError(f"{url!r} is no address of a Vault server.", hint="Write https://host:8200.")
    if parts.username or parts.query or parts.fragment or parts.path.strip("/"):
        raise VaultConfigurationError(f"The address {parts.hostname} must be scheme, host and port only.")
    return f"{parts.scheme}://{parts.netloc}"
