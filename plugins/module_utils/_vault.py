# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One client per module call: connection parameters, login, requests with retries, and the module's frame."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from . import _vault_auth, _vault_transport
from ._vault_errors import (
    LOST_THE_LEAD,
    VaultConfigurationError,
    VaultConnectionError,
    VaultError,
    VaultLoginFailed,
    VaultMissingMount,
    VaultMissingObject,
    VaultPermissionDenied,
    VaultSealed,
    VaultServerError,
    VaultTLSError,
    VaultTokenRejected,
    VaultUnavailable,
    VaultUninitialised,
    error_from_answer,
)

try:
    import hvac.adapters
    import requests.exceptions
    import urllib3.exceptions

    HVAC_IMPORT_ERROR = None
except ImportError:
    HVAC_IMPORT_ERROR = traceback.format_exc()

_Answer = TypeVar("_Answer")
_CHUNK = 1024 * 1024

_KUBERNETES = {
    "kubeconfig": {"type": "path", "fallback": (env_fallback, ["K8S_AUTH_KUBECONFIG", "KUBECONFIG"])},
    "context": {"type": "str", "fallback": (env_fallback, ["K8S_AUTH_CONTEXT"])},
    "namespace": {"type": "str", "required": True},
}


def _from(name: str, *others: str) -> tuple[Any, list[str]]:
    """Return the environment variables of an option: community.hashi_vault's own, then those of Vault's tools."""
    return env_fallback, [f"ANSIBLE_HASHI_VAULT_{name}", *others]


CONNECTION_ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "fallback": _from("ADDR", "VAULT_ADDR")},
    "ca_cert": {"type": "str", "aliases": ["cacert"], "fallback": _from("CA_CERT", "VAULT_CACERT")},
    "validate_certs": {"type": "bool"},
    "tls_server_name": {"type": "str", "fallback": (env_fallback, ["VAULT_TLS_SERVER_NAME"])},
    "namespace": {"type": "str", "fallback": _from("NAMESPACE", "VAULT_NAMESPACE")},
    "timeout": {"type": "int", "default": 30, "fallback": _from("TIMEOUT")},
    "retries": {"type": "int", "default": 6, "fallback": _from("RETRIES")},
    "proxies": {"type": "raw", "fallback": _from("PROXIES")},
    "auth_method": {
        "type": "str",
        "default": "token",
        "choices": ["token", "token_file", "approle", "kubernetes", "userpass", "none"],
        "fallback": _from("AUTH_METHOD"),
    },
    "auth_fallback": {"type": "str", "choices": ["token", "token_file"]},
    "token": {"type": "str", "no_log": True, "fallback": _from("TOKEN", "VAULT_TOKEN")},
    "token_path": {"type": "path", "fallback": _from("TOKEN_PATH")},
    "token_file": {"type": "str", "default": ".vault-token", "no_log": False, "fallback": _from("TOKEN_FILE")},
    "token_validate": {"type": "bool", "default": False, "fallback": _from("TOKEN_VALIDATE")},
    "mount_point": {"type": "str", "fallback": _from("MOUNT_POINT")},
    "role_id": {"type": "str", "fallback": _from("ROLE_ID", "VAULT_ROLE_ID")},
    "secret_id": {"type": "str", "no_log": True, "fallback": _from("SECRET_ID", "VAULT_SECRET_ID")},
    "role": {"type": "str"},
    "jwt": {"type": "str", "no_log": True, "fallback": _from("JWT")},
    "jwt_path": {"type": "path"},
    "kubernetes_token_request": {
        "type": "dict",
        "no_log": False,
        "options": {
            **_KUBERNETES,
            "service_account": {"type": "str", "required": True},
            "audiences": {"type": "list", "elements": "str"},
            "expiration_seconds": {"type": "int", "default": 600},
        },
    },
    "username": {"type": "str", "fallback": _from("USERNAME")},
    "password": {"type": "str", "no_log": True, "fallback": _from("PASSWORD")},
    "kubernetes_port_forward": {
        "type": "dict",
        "options": {
            **_KUBERNETES,
            "pod": {"type": "str"},
            "selector": {"type": "str"},
            "port": {"type": "int"},
        },
        "mutually_exclusive": [("pod", "selector")],
    },
}


class VaultClient:
    """Requests to one Vault server, with typed errors.

    Every request goes through the same session, so TLS settings, proxies and forwarding hold for retries too.
    """

    def __init__(self, parameters: Mapping[str, Any], session: Any, verify: bool | str, url: str | None = None) -> None:
        address = url or parameters.get("url")
        if not address:
            raise VaultConfigurationError("There is no address of Vault.", hint="Set url or VAULT_ADDR.")
        self.url = _vault_transport.check_url(str(address))
        self._parameters = parameters
        self._session = session
        self._verify = verify
        self._retries = max(0, int(parameters["retries"]))
        self.auth: dict[str, Any] = {}
        self.auth_method = "none"
        self._adapter = hvac.adapters.RawAdapter(
            base_uri=self.url,
            verify=verify,
            timeout=parameters["timeout"],
            session=session,
            namespace=parameters.get("namespace"),
            proxies=session.proxies,
        )

    @property
    def token(self) -> str | None:
        """The token that requests carry."""
        return self._adapter.token  # type: ignore[no-any-return]

    @token.setter
    def token(self, value: str | None) -> None:
        self._adapter.token = value

    def peer(self, url: str) -> VaultClient:
        """Return a client without a token for another server of the cluster, over the same session."""
        return VaultClient(self._parameters, self._session, self._verify, url)

    def authenticate(self) -> None:
        """Log in as the parameters say, or take the token that was given; ``auth_method`` then tells which way it was.

        Raises VaultLoginFailed, VaultTokenRejected or VaultConfigurationError.
        """
        fallback = self._parameters.get("auth_fallback")
        try:
            self._log_in(self._parameters["auth_method"])
        except (VaultLoginFailed, VaultMissingMount, VaultServerError) as error:
            # a Vault that nobody configured yet has no auth method, or one that is not configured (500)
            if not fallback:
                raise
            try:
                self._log_in(fallback)
            except VaultConfigurationError as second:
                message = f"{error.message} Nor does auth_fallback={fallback} work: {second.message}"
                raise VaultLoginFailed(message, hint=second.hint, path=error.path) from error
        if self.token and self._parameters["token_validate"]:
            self.request("GET", "auth/token/lookup-self")

    def _log_in(self, method: str) -> None:
        """Log in by one method."""
        if method == "none":
            self.token = None
        elif method == "token":
            self.token = _vault_auth.given_token(self._parameters)
        elif method == "token_file":
            self.token = _vault_auth.token_from_file(self._parameters)
        else:
            self.auth = _vault_auth.login(self._parameters, lambda path, body: self.request("POST", path, body=body))
            self.token = self.auth["client_token"]
        self.auth_method = method

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        accept: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        """Send one request and return the JSON object of the answer; an empty answer is an empty object.

        path: without ``/v1/``. repeatable: False for requests that must not reach the server twice; they are then
        sent again only if the server cannot have executed them. accept: error statuses whose body is wanted.

        Raises VaultError or one of its kinds.
        """
        return self._repeat(lambda: self._send(method, path, body, headers, accept), repeatable=repeatable)

    def download(self, path: str, file: BinaryIO) -> None:
        """Replace the content of a file by the answer to a GET, which is no JSON, without keeping it in memory.

        Raises VaultError or one of its kinds; the file then holds a part of the answer or nothing.
        """

        def attempt() -> None:
            file.seek(0)
            file.truncate()
            with self._exchange("GET", path, stream=True) as answer:
                if not answer.ok:
                    raise self._refusal(answer, "GET", path)
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)

        self._repeat(attempt)

    def upload(self, path: str, file: BinaryIO) -> None:
        """Send a file as the body of a POST; never twice if the server may have seen it."""

        def attempt() -> None:
            file.seek(0)
            with self._exchange("POST", path, data=file) as answer:
                if not answer.ok:
                    raise self._refusal(answer, "POST", path)

        self._repeat(attempt, repeatable=False)

    def _repeat(self, send: Callable[[], _Answer], *, repeatable: bool = True) -> _Answer:
        """Send until there is an answer or an error that repeating does not mend, and return the answer."""
        for attempt in range(self._retries + 1):
            try:
                return send()
            except VaultError as error:
                # a server that loses its lead on the way may have done the half of it
                unsure = LOST_THE_LEAD in error.message or (isinstance(error, VaultConnectionError) and error.sent)
                if not error.retryable or attempt == self._retries or (unsure and not repeatable):
                    raise
                time.sleep(min(0.25 * 2**attempt, 2) * error.patience)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def read(self, path: str, **options: Any) -> dict[str, Any] | None:
        """Return the ``data`` of a path, or None when the object does not exist.

        Raises VaultMissingMount when nothing is mounted there, and the other errors of ``request``.
        """
        try:
            answer = self.request("GET", path, **options)
        except VaultMissingObject:
            return None
        data = answer.get("data", answer)
        if not isinstance(data, dict):
            raise VaultServerError(f"The answer to GET {path} holds no data.", path=path)
        return data

    def write(self, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Send a POST and return the answer."""
        return self.request("POST", path, body=body or {}, **options)

    def delete(self, path: str) -> None:
        """Send a DELETE; an object that is gone already is no error."""
        self.request("DELETE", path, accept=(404,))

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        options: dict[str, Any] = {"headers": dict(headers or {})}
        if body is not None:
            options["json"] = dict(body)
        with self._exchange(method, path, **options) as answer:
            if answer.ok or answer.status_code in accept:
                return self._content(answer, method, path)
            raise self._refusal(answer, method, path)

    @contextmanager
    def _exchange(self, method: str, path: str, **options: Any) -> Iterator[Any]:
        """Send one request and hand its answer over; errors of the network, also while it is read, become typed."""
        try:
            yield self._adapter.request(
                method, f"/v1/{quote(path.strip('/'), safe='/')}", raise_exception=False, **options
            )
        except requests.exceptions.SSLError as error:
            raise VaultTLSError(
                f"TLS with {self.url} failed: {_one_line(_innermost(error))}.",
                hint="Check ca_cert, tls_server_name and the certificate's names and dates.",
                path=path,
            ) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            cause = _innermost(error)
            if isinstance(cause, VaultError):  # the port-forward tells more than the library around it
                raise cause from error
            raise VaultConnectionError(
                f"No answer from {self.url} to {method} {path}: {_one_line(cause)}.",
                sent=not _never_sent(error),
                path=path,
            ) from error

    def _refusal(self, answer: Any, method: str, path: str) -> VaultError:
        """Return the error that an answer other than success means."""
        errors = [str(error) for error in self._content(answer, method, path).get("errors") or []]
        return self._look_closer(error_from_answer(method, path, answer.status_code, errors))

    @staticmethod
    def _content(answer: Any, method: str, path: str) -> dict[str, Any]:
        """Return the JSON object of an answer. A broken body is an error only where the status promises one."""
        if not answer.content:
            return {}
        try:
            content = answer.json()
        except ValueError as error:
            if not answer.ok:
                return {"errors": [answer.text[:200]]}
            raise VaultServerError(
                f"The answer to {method} {path} is no valid JSON.",
                hint="Check that the address is Vault's and no proxy stands between.",
                path=path,
                status=answer.status_code,
            ) from error
        return content if isinstance(content, dict) else {"data": content}

    def _look_closer(self, error: VaultError) -> VaultError:
        """Return a more exact error for 403 and 503, whose bodies say little; asks the server once."""
        if isinstance(error, VaultPermissionDenied) and self.token and _names_dead_token(error):
            return self._rejected(error)
        if error.path in ("sys/seal-status", "sys/capabilities-self", "auth/token/lookup-self"):
            return error
        try:
            if isinstance(error, VaultSealed):
                status = self._send("GET", "sys/seal-status")
                if not status.get("initialized"):
                    return VaultUninitialised(
                        f"Vault at {self.url} is not initialised.",
                        hint="Run vault_init first, or wait until the server has joined its cluster.",
                        path=error.path,
                        status=503,
                    )
                if not status.get("sealed"):
                    return VaultUnavailable(f"Vault at {self.url} answered 503 while it is unsealed.", path=error.path)
                return VaultSealed(
                    f"Vault at {self.url} is sealed.", hint="Run vault_unseal first.", path=error.path, status=503
                )
            if isinstance(error, VaultPermissionDenied) and not error.path.endswith("/login"):
                return self._denied(error)
        except VaultError:
            pass
        return error

    def _denied(self, error: VaultPermissionDenied) -> VaultError:
        """Tell a token that is not valid from one that lacks a capability on the path."""
        if not self.token:
            return VaultTokenRejected(f"{error.message}: the request carried no token.", hint="Set auth_method.")
        if "/login/" in error.path:
            return error
        try:
            answer = self._send("POST", "sys/capabilities-self", {"paths": [error.path]})
        except VaultPermissionDenied:
            # a token without the default policy may not ask; an older server tells a dead one only at this path
            try:
                self._send("GET", "auth/token/lookup-self")
            except VaultTokenRejected:
                return self._rejected(error)
            except VaultPermissionDenied:
                pass
            return VaultPermissionDenied(
                f"Permission denied on {error.path}: the request needs {error.capability}.",
                capability=error.capability,
                hint="Add the capability to a policy of the token.",
                path=error.path,
            )
        held = ", ".join(answer.get("data", answer).get(error.path) or ["none"])
        return VaultPermissionDenied(
            f"Permission denied on {error.path}: the request needs {error.capability}, the token has: {held}.",
            capability=error.capability,
            hint="Add the capability to a policy of the token.",
            path=error.path,
        )

    @staticmethod
    def _rejected(error: VaultError) -> VaultTokenRejected:
        return VaultTokenRejected(
            f"{error.message}: Vault does not know the token.",
            hint="It was revoked, has expired or belongs to another cluster or namespace. Log in again.",
            path=error.path,
            status=403,
        )


def _names_dead_token(error: VaultError) -> bool:
    return "invalid token" in error.message or "bad token" in error.message


def _innermost(error: BaseException) -> BaseException:
    """Return the cause that a chain of wrapped network errors began with."""
    seen: set[int] = set()
    while id(error) not in seen and not isinstance(error, VaultError):
        seen.add(id(error))
        for inner in (getattr(error, "reason", None), error.__cause__, *error.args[:1]):
            if isinstance(inner, BaseException):
                error = inner
                break
    return error


def _one_line(error: BaseException) -> str:
    """Return an error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _never_sent(error: BaseException) -> bool:
    """Whether the connection was never made, so that the server cannot have seen the request."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause: Any = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    return isinstance(cause, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))


def _verify(parameters: Mapping[str, Any], directory: str) -> bool | str:
    """Return what the session verifies against.

    ca_cert may be a path or PEM text; PEM text is put into a file in directory, because OpenSSL reads files.
    """
    validate = parameters.get("validate_certs")
    if validate is None:
        validate = os.environ.get("VAULT_SKIP_VERIFY", "").strip().lower() not in ("1", "t", "true", "yes", "on")
    if not validate:
        return False
    authority = parameters.get("ca_cert")
    if not authority:
        return True
    if "-----BEGIN" in authority:
        with tempfile.NamedTemporaryFile("w", suffix=".pem", dir=directory, delete=False) as file:
            file.write(authority)
        return file.name
    path = os.path.expanduser(str(authority))
    if not os.path.exists(path):
        raise VaultConfigurationError(f"ca_cert {path} does not exist.")
    return path


def open_client(parameters: Mapping[str, Any], directory: str, url: str | None = None) -> VaultClient:
    """Return a client for the connection parameters, not logged in yet.

    directory: a private directory that lives as long as the module. url: in place of the parameter.
    Raises VaultConfigurationError.
    """
    proxies = parameters.get("proxies")
    if isinstance(proxies, str):
        proxies = {"http": proxies, "https": proxies}
    forward = parameters.get("kubernetes_port_forward")
    verify = _verify(parameters, directory)
    session = _vault_transport.open_session(
        verify=verify,
        server_name=parameters.get("tls_server_name"),
        proxies=proxies,
        forward=_vault_transport.PortForward(**forward) if forward else None,
    )
    return VaultClient(parameters, session, verify, url)


class VaultModule(AnsibleModule):  # type: ignore[misc]
    """An Ansible module with the connection parameters."""

    def __init__(self, argument_spec: Mapping[str, Any], **options: Any) -> None:
        super().__init__(argument_spec={**CONNECTION_ARGUMENTS, **argument_spec}, supports_check_mode=True, **options)

    def client(self, *, login: bool = True, url: str | None = None) -> VaultClient:
        """Return a client, logged in unless told otherwise."""
        client = open_client(self.params, self.tmpdir, url)
        if login:
            client.authenticate()
        return client


def run(argument_spec: Mapping[str, Any], reconcile: Callable[[VaultModule], dict[str, Any]], **options: Any) -> None:
    """Run a module: parse arguments, call reconcile, print its result or the one message of its error."""
    module = VaultModule(argument_spec, **options)
    if HVAC_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("hvac"), exception=HVAC_IMPORT_ERROR)
    try:
        result = reconcile(module)
    except VaultError as error:
        module.fail_json(**error.result())
    except ValueError as error:
        module.fail_json(**VaultConfigurationError(f"Wrong value: {error}").result())
    module.exit_json(**result)
