# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The way to a Vault server: TLS, proxies and, if wanted, a port-forward through a Kubernetes API server."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ._vault_errors import VaultConfigurationError, VaultConnectionError

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError
except ImportError:  # hvac needs requests, so the message about hvac covers this one
    HTTPAdapter = object  # type: ignore[misc, assignment]

_FORWARD_THREAD = "Kubernetes port forward proxy"


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


def kubernetes_api(kubeconfig: str | None, context: str | None) -> Any:
    """Return a CoreV1Api for a kubeconfig file.

    Raises VaultConfigurationError when the library is missing or the file cannot be used.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise VaultConfigurationError(
            f"The Python library kubernetes cannot be imported: {error}.",
            hint="Install it for the interpreter that runs this module.",
        ) from error
    try:
        api_client = config.new_client_from_config(config_file=kubeconfig, context=context, persist_config=False)
    except (config.ConfigException, OSError) as error:
        raise VaultConfigurationError(f"The kubeconfig cannot be used: {error}.") from error
    return client.CoreV1Api(api_client)


class ForwardedSockets:
    """Opens sockets to pods by way of the API server. No port listens on this machine."""

    def __init__(self, forward: PortForward) -> None:
        self._forward = forward
        self._api: Any = None
        self._selected: str | None = None

    def open(self, host: str, port: int, timeout: float | None) -> Any:
        """Return a connected socket to the pod behind host.

        Raises VaultConnectionError with what the API server said.
        """
        if self._api is None:
            self._api = kubernetes_api(self._forward.kubeconfig, self._forward.context)
        pod = self._pod(host)
        port = self._forward.port or port
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import portforward

        _silence_forward_threads()
        try:
            forward = portforward(
                self._api.connect_get_namespaced_pod_portforward, pod, self._forward.namespace, ports=str(port)
            )
        except (ApiException, OSError) as error:
            raise VaultConnectionError(
                f"No port-forward to port {port} of pod {self._forward.namespace}/{pod}: {_reason(error)}.",
                hint="Check that the pod runs and that the kubeconfig's user may create pods/portforward.",
            ) from error
        connection = forward.socket(port)
        connection.settimeout(timeout)
        return connection

    def _pod(self, host: str) -> str:
        """Return the pod's name: given, selected once by label (ready pods first), or the host's first label."""
        if self._forward.pod:
            return self._forward.pod
        if not self._forward.selector:
            return host.split(".")[0]
        if self._selected is None:
            self._selected = self._select(self._forward.selector)
        return self._selected

    def _select(self, selector: str) -> str:
        from kubernetes.client.exceptions import ApiException

        try:
            pods = self._api.list_namespaced_pod(self._forward.namespace, label_selector=selector).items
        except (ApiException, OSError) as error:
            raise VaultConnectionError(f"Pods with labels {selector} cannot be listed: {_reason(error)}.") from error
        running = [pod for pod in pods if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]
        if not running:
            phases = ", ".join(f"{pod.metadata.name} {pod.status.phase}" for pod in pods) or "no pod at all"
            raise VaultConnectionError(
                f"No running pod in {self._forward.namespace} has the labels {selector}: {phases}."
            )

        def rank(pod: Any) -> tuple[bool, str]:
            ready = any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions or [])
            return not ready, pod.metadata.name

        return str(min(running, key=rank).metadata.name)


def _reason(error: Exception) -> str:
    """Return the part of an API or socket error that matters; a refused WebSocket brings all its headers along."""
    return " ".join(str(getattr(error, "reason", None) or error).split(" -+-+- ", maxsplit=1)[0].split())


def _silence_forward_threads() -> None:
    """Keep the traceback of a forward's thread off stderr when the other end hangs up.

    The client library lets its thread die with an unhandled exception then; the error itself reaches the caller
    through the socket.
    """
    previous = threading.excepthook
    if getattr(previous, "silences_forwards", False):
        return

    def hook(arguments: Any) -> None:
        if arguments.thread is None or not arguments.thread.name.startswith(_FORWARD_THREAD):
            previous(arguments)

    hook.silences_forwards = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def _forwarding_pools(sockets: ForwardedSockets) -> dict[str, type]:
    """Return connection pools whose connections run over forwarded sockets. TLS stays urllib3's own."""

    def new_connection(connection: Any) -> Any:
        try:
            return sockets.open(connection.host, connection.port, connection.timeout)
        except VaultConnectionError as error:
            raise NewConnectionError(connection, str(error)) from error

    class ForwardedHTTPConnection(HTTPConnection):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return new_connection(self)

    class ForwardedHTTPSConnection(HTTPSConnection):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return new_connection(self)

    class ForwardedHTTPPool(HTTPConnectionPool):  # type: ignore[misc]
        ConnectionCls = ForwardedHTTPConnection

    class ForwardedHTTPSPool(HTTPSConnectionPool):  # type: ignore[misc]
        ConnectionCls = ForwardedHTTPSConnection

    return {"http": ForwardedHTTPPool, "https": ForwardedHTTPSPool}


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
            self.poolmanager.pool_classes_by_scheme = _forwarding_pools(self._sockets)


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
