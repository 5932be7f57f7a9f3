# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Connection settings for the Kubernetes API (private: may change in any release).

Option names and environment variables are those of ``kubernetes.core``, so that one set of defaults serves both.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import env_fallback

from ._kube_errors import KubeConfigError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]


def _option(env: str, **spec: Any) -> dict[str, Any]:
    return {"type": "str", "fallback": (env_fallback, [env]), **spec}


CONNECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": _option("K8S_AUTH_KUBECONFIG", type="raw", no_log=True),
    "context": _option("K8S_AUTH_CONTEXT"),
    "host": _option("K8S_AUTH_HOST"),
    "api_key": _option("K8S_AUTH_API_KEY", no_log=True),
    "client_cert": _option("K8S_AUTH_CERT_FILE", type="path", aliases=["cert_file"]),
    "client_key": _option("K8S_AUTH_KEY_FILE", type="path", no_log=False, aliases=["key_file"]),
    "ca_cert": _option("K8S_AUTH_SSL_CA_CERT", type="path", aliases=["ssl_ca_cert"]),
    "validate_certs": _option("K8S_AUTH_VERIFY_SSL", type="bool", aliases=["verify_ssl"]),
    "tls_server_name": _option("K8S_AUTH_TLS_SERVER_NAME"),
    "proxy": _option("K8S_AUTH_PROXY"),
    "impersonate_user": _option("K8S_AUTH_IMPERSONATE_USER"),
    "impersonate_groups": _option("K8S_AUTH_IMPERSONATE_GROUPS", type="list", elements="str"),
    "request_timeout": {"type": "int", "default": 30},
    "retry_timeout": {"type": "int", "default": 30},
}
_SECRET_KEYS = ("token", "password", "client-key-data", "id-token", "refresh-token", "access-token", "client-secret")
_DEFAULT_KUBECONFIG = "~/.kube/config"


@dataclass
class Connection:
    """Everything that is needed to reach one API server. Times are seconds."""

    host: str = ""
    token: str = field(default="", repr=False)
    ca_file: str = ""
    ca_data: str = ""
    cert_file: str = ""
    key_file: str = ""
    cert_data: bytes = b""
    key_data: bytes = field(default=b"", repr=False)
    verify: bool = True
    tls_server_name: str = ""
    proxy: str = ""
    namespace: str = "default"
    headers: list[tuple[str, str]] = field(default_factory=list)
    request_timeout: float = 30.0
    retry_timeout: float = 30.0

    def ssl_context(self) -> ssl.SSLContext:
        """Build the TLS context; raises KubeConfigError when a certificate or key cannot be used."""
        # A plain client context verifies chain and name. create_default_context() would add VERIFY_X509_STRICT on
        # Python >= 3.13, which refuses cluster CAs that sites have used for years.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif self.ca_data or self.ca_file:
                context.load_verify_locations(cafile=self.ca_file or None, cadata=self.ca_data or None)
            else:
                context.load_default_certs()
        except (OSError, ssl.SSLError) as error:
            raise KubeConfigError(f"the cluster's CA certificate cannot be read: {error}") from error
        try:
            if self.cert_data:
                _load_pair_from_memory(context, self.cert_data, self.key_data)
            elif self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise KubeConfigError(f"the client certificate and key cannot be used: {error}") from error
        return context


def _load_pair_from_memory(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate held in memory; OpenSSL's API wants a file, so one exists for a moment (0600)."""
    descriptor, path = tempfile.mkstemp(prefix="ansible-kube-")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(certificate + b"\n" + key)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


def kubeconfig_secrets(kubeconfig: Any) -> set[str]:
    """Return the secret strings inside an inline kubeconfig, for masking."""
    found: set[str] = set()
    if isinstance(kubeconfig, dict):
        for key, value in kubeconfig.items():
            if key in _SECRET_KEYS and isinstance(value, str) and value:
                found.add(value)
            else:
                found |= kubeconfig_secrets(value)
    elif isinstance(kubeconfig, list):
        for item in kubeconfig:
            found |= kubeconfig_secrets(item)
    return found


def _read_kubeconfig(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as handle:
            parsed = yaml.safe_load(handle)
    except FileNotFoundError as error:
        raise KubeConfigError(
            f"kubeconfig {path} does not exist", "Set kubeconfig, K8S_AUTH_KUBECONFIG or host."
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise KubeConfigError(f"kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(parsed, dict):
        raise KubeConfigError(f"kubeconfig {path} is not a mapping")
    return parsed


def _named(config: dict[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return dict(entry.get(key) or {})
    known = ", ".join(str(entry.get("name")) for entry in config.get(section) or []) or "none"
    raise KubeConfigError(f"kubeconfig has no entry {name!r} in {section} (known: {known})")


def _decoded(entry: dict[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(entry.get(key) or "", validate=True)
    except ValueError as error:
        raise KubeConfigError(f"{key} in the kubeconfig is not valid base64") from error


def _apply_user(connection: Connection, user: dict[str, Any], base: str, plugin_config: dict[str, Any]) -> None:
    if "exec" in user or "auth-provider" in user:
        _apply_plugin_credentials(connection, plugin_config, base)
        return
    if user.get("tokenFile"):
        with open(os.path.join(base, user["tokenFile"]), encoding="utf-8") as handle:
            connection.token = handle.read().strip()
    elif user.get("token"):
        connection.token = str(user["token"])
    connection.cert_data = _decoded(user, "client-certificate-data")
    connection.key_data = _decoded(user, "client-key-data")
    if user.get("client-certificate"):
        connection.cert_file = os.path.join(base, user["client-certificate"])
    if user.get("client-key"):
        connection.key_file = os.path.join(base, user["client-key"])


def _apply_plugin_credentials(connection: Connection, config: dict[str, Any], base: str) -> None:
    """Run the credential plugin of the kubeconfig through the ``kubernetes`` package.

    The package is imported only here: it costs 0.15 s, and ordinary kubeconfigs do not need it.
    """
    try:
        from kubernetes.client import Configuration
        from kubernetes.config.kube_config import KubeConfigLoader
    except ImportError as error:
        raise KubeConfigError(
            "this kubeconfig uses a credential plugin, which needs the Python package 'kubernetes'"
        ) from error
    loaded = Configuration()
    KubeConfigLoader(config, config_base_path=base).load_and_set(loaded)
    token = (loaded.api_key or {}).get("BearerToken") or (loaded.api_key or {}).get("authorization") or ""
    connection.token = token.removeprefix("Bearer ")
    connection.cert_file = loaded.cert_file or ""
    connection.key_file = loaded.key_file or ""
    if not connection.token and not connection.cert_file:
        raise KubeConfigError("the credential plugin of the kubeconfig returned no credentials")


def _from_kubeconfig(kubeconfig: Any, context_name: str) -> Connection:
    if isinstance(kubeconfig, dict):
        config, base = kubeconfig, os.getcwd()
    else:
        paths = [os.path.expanduser(part) for part in str(kubeconfig).split(os.pathsep) if part]
        config, base = _merged(paths)
    name = context_name or config.get("current-context") or ""
    if not name:
        raise KubeConfigError("kubeconfig has no current-context", "Set context.")
    context = _named(config, "contexts", "context", name)
    cluster = _named(config, "clusters", "cluster", str(context.get("cluster")))
    connection = Connection(
        host=str(cluster.get("server") or "").rstrip("/"),
        ca_data=_decoded(cluster, "certificate-authority-data").decode("utf-8", "replace"),
        verify=not cluster.get("insecure-skip-tls-verify", False),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster.get("proxy-url") or ""),
        namespace=str(context.get("namespace") or "default"),
    )
    if cluster.get("certificate-authority"):
        connection.ca_file = os.path.join(base, cluster["certificate-authority"])
    if context.get("user"):
        user = _named(config, "users", "user", str(context["user"]))
        _apply_user(connection, user, base, {**config, "current-context": name})
    return connection


def _merged(paths: list[str]) -> tuple[dict[str, Any], str]:
    """Merge several kubeconfig files as kubectl does: the first file that names an entry wins."""
    existing = [path for path in paths if os.path.exists(path)] if len(paths) > 1 else paths
    if not existing:
        raise KubeConfigError(f"none of the kubeconfig files exists: {', '.join(paths)}")
    merged: dict[str, Any] = {}
    for path in existing:
        config = _read_kubeconfig(path)
        merged.setdefault("current-context", config.get("current-context"))
        merged["current-context"] = merged["current-context"] or config.get("current-context")
        for section in ("clusters", "users", "contexts"):
            known = {entry.get("name") for entry in merged.setdefault(section, [])}
            merged[section] += [entry for entry in config.get(section) or [] if entry.get("name") not in known]
    return merged, os.path.dirname(os.path.abspath(existing[0]))


def load_connection(params: dict[str, Any]) -> Connection:
    """Combine module options with the kubeconfig: an option that is set beats the kubeconfig.

    Raises KubeConfigError when the settings are incomplete or unreadable.
    """
    if yaml is None:
        raise KubeConfigError("the Python package 'PyYAML' is missing on the controller", "pip install PyYAML")
    kubeconfig = params.get("kubeconfig")
    if not kubeconfig and not params.get("host"):
        kubeconfig = os.environ.get("KUBECONFIG") or _DEFAULT_KUBECONFIG
    connection = _from_kubeconfig(kubeconfig, params.get("context") or "") if kubeconfig else Connection()
    if params.get("host"):
        connection.host = str(params["host"]).rstrip("/")
    if params.get("api_key"):
        connection.token = params["api_key"]
    if params.get("ca_cert"):
        connection.ca_file, connection.ca_data = params["ca_cert"], ""
    if params.get("client_cert"):
        connection.cert_file, connection.key_file = params["client_cert"], params.get("client_key") or ""
        connection.cert_data = connection.key_data = b""
    if params.get("validate_certs") is not None:
        connection.verify = params["validate_certs"]
    connection.tls_server_name = params.get("tls_server_name") or connection.tls_server_name
    connection.proxy = params.get("proxy") or connection.proxy
    if params.get("impersonate_user"):
        connection.headers.append(("Impersonate-User", params["impersonate_user"]))
        connection.headers += [("Impersonate-Group", group) for group in params.get("impersonate_groups") or []]
    connection.request_timeout = float(params.get("request_timeout") or 30)
    connection.retry_timeout = float(params.get("retry_timeout") or 0)
    if not connection.host.startswith(("https://", "http://")):
        raise KubeConfigError(f"the API server's address {connection.host!r} is no http(s) URL", "Set host.")
    return connection
