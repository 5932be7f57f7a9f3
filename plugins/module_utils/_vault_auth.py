# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Logging in to Vault: one function per authentication method, each ending with a client token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ._vault_errors import (
    VaultConfigurationError,
    VaultConnectionError,
    VaultError,
    VaultInvalidRequest,
    VaultLoginFailed,
    VaultMissingMount,
    VaultPermissionDenied,
)
from ._vault_transport import kubernetes_connection

Parameters = Mapping[str, Any]
Send = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Sends a login request: path and body in, Vault's answer out."""


def token_from_file(parameters: Parameters) -> str:
    """Return the token in ``token_path``/``token_file``.

    The file holds the token alone, or is a key file of vault_init, whose root token is taken.
    Raises VaultConfigurationError when it is missing or holds no token.
    """
    path = Path(parameters.get("token_path") or Path.home()).expanduser() / parameters["token_file"]
    try:
        content = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VaultConfigurationError(f"The token file {path} cannot be read: {error}.") from error
    if content.startswith("{"):
        try:
            content = str(json.loads(content).get("root_token") or "")
        except ValueError as error:
            raise VaultConfigurationError(f"The token file {path} is no valid JSON: {error}.") from error
    if not content or any(character.isspace() for character in content):
        raise VaultConfigurationError(f"The token file {path} holds no token.")
    return str(content)


def given_token(parameters: Parameters) -> str:
    """Return the token of the method ``token``: the parameter (or VAULT_TOKEN), else the token file."""
    if parameters.get("token"):
        return str(parameters["token"])
    try:
        return token_from_file(parameters)
    except VaultConfigurationError as error:
        raise VaultConfigurationError(
            "There is no Vault token.",
            hint=f"Set token, VAULT_TOKEN or another auth_method. {error}",
        ) from error


def service_account_token(request: Mapping[str, Any]) -> str:
    """Return a short-lived token of a service account (Kubernetes TokenRequest API).

    Raises VaultLoginFailed with the API server's reason.
    """
    from ._kube_client import KubeClient  # as in _vault_transport: most logins do not need them
    from ._kube_errors import KubeApiError, KubeError

    connection = kubernetes_connection(request.get("kubeconfig"), request.get("context"))
    specification: dict[str, Any] = {"expirationSeconds": request["expiration_seconds"]}
    if request.get("audiences"):
        specification["audiences"] = request["audiences"]
    namespace, name = request["namespace"], request["service_account"]
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/serviceaccounts/{quote(name, safe='')}/token"
    try:
        answer = KubeClient(connection).request("POST", path, body={"spec": specification})[1]
    except KubeApiError as error:
        raise VaultLoginFailed(
            f"The API server issues no token for the service account {namespace}/{name}: {error}.",
            hint="Check that it exists and that the kubeconfig's user may create serviceaccounts/token.",
        ) from error
    except KubeError as error:
        raise VaultConnectionError(f"The API server gives no token for {namespace}/{name}: {error}.") from error
    return str(answer["status"]["token"])


def _jwt(parameters: Parameters) -> str:
    if parameters.get("jwt"):
        return str(parameters["jwt"])
    if parameters.get("kubernetes_token_request"):
        return service_account_token(parameters["kubernetes_token_request"])
    path = parameters.get("jwt_path")
    if not path:
        raise VaultConfigurationError("auth_method=kubernetes needs jwt, jwt_path or kubernetes_token_request.")
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VaultConfigurationError(f"jwt_path {path} cannot be read: {error}.") from error


def _login_request(parameters: Parameters) -> tuple[str, dict[str, Any]]:
    """Return path and body of the login request.

    Raises VaultConfigurationError when a parameter of the method is missing.
    """
    method = parameters["auth_method"]
    mount = str(parameters.get("mount_point") or method).strip("/")
    needed = {"approle": ("role_id",), "kubernetes": ("role",), "userpass": ("username", "password")}[method]
    missing = [name for name in needed if not parameters.get(name)]
    if missing:
        raise VaultConfigurationError(f"auth_method={method} needs {' and '.join(missing)}.")
    if method == "approle":
        body = {"role_id": parameters["role_id"]}
        if parameters.get("secret_id"):
            body["secret_id"] = parameters["secret_id"]
        return f"auth/{mount}/login", body
    if method == "kubernetes":
        return f"auth/{mount}/login", {"role": parameters["role"], "jwt": _jwt(parameters)}
    return f"auth/{mount}/login/{parameters['username']}", {"password": parameters["password"]}


def login(parameters: Parameters, send: Send) -> dict[str, Any]:
    """Log in by approle, kubernetes or userpass and return Vault's ``auth`` object (client_token, policies, ...).

    Raises VaultLoginFailed when Vault refuses the credentials, VaultMissingMount when the method is not enabled.
    """
    path, body = _login_request(parameters)
    method = parameters["auth_method"]
    try:
        answer = send(path, body)
    except (VaultPermissionDenied, VaultInvalidRequest) as error:
        raise VaultLoginFailed(f"Vault refuses the {method} login. {error.message}.", path=path) from error
    except VaultMissingMount as error:
        raise VaultMissingMount(
            f"No {method} auth method is enabled at {path.split('/')[1]}.", hint="Check mount_point.", path=path
        ) from error
    auth = answer.get("auth")
    if not isinstance(auth, dict) or not auth.get("client_token"):
        raise VaultError(f"The answer to {path} holds no token.", path=path)
    return auth
