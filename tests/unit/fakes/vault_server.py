# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Vault with a memory: it stores, renames, merges and hides as the real one does.

It proves offline that a second run writes nothing, and injects faults. What the real server does is proved by the
integration tests.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT = "hvs.root-of-the-fake"


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, *errors: str, **body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body or {"errors": list(errors)}


@dataclass
class Fault:
    """An answer in place of the real one. ``after`` executes the request first; a status of 0 cuts the connection."""

    status: int = 0
    body: bytes = b""
    path: str = ""
    method: str = ""
    times: int = 1
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def seconds(value: Any) -> int:
    """Return a duration as the server stores it."""
    if value in (None, "", "system"):
        return 0
    if isinstance(value, (int, float)):
        return int(value)
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if re.fullmatch(r"-?\d+", value):
        return int(value)
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", value))


def as_doubles(value: Any) -> Any:
    """Return JSON data after numbers went through IEEE 754 doubles."""
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return float(value)
    return value


class State:
    """What the server holds."""

    def __init__(self, initialized: bool = True) -> None:
        self.initialized = initialized
        self.sealed = not initialized
        self.seal_type = "shamir"
        self.threshold = 1
        self.shares = ["c2hhcmUtMA==", "c2hhcmUtMQ==", "c2hhcmUtMg=="]
        self.given: list[str] = []
        self.tokens: dict[str, dict[str, Any]] = {ROOT: {"policies": ["root"], "accessor": "accessor-root"}}
        self.logins: dict[tuple[str, str], str] = {}
        self.mounts: dict[str, dict[str, Any]] = {}
        self.auth: dict[str, dict[str, Any]] = {}
        self.audit: dict[str, dict[str, Any]] = {}
        self.policies = {"default": "# default"}
        self.objects: dict[str, dict[str, Any]] = {}
        self.kv: dict[str, dict[str, Any]] = {}
        self.database_passwords: dict[str, str] = {}
        self.role_ids: dict[str, str] = {}
        self.peers: dict[str, dict[str, Any]] = {}
        self.leases: dict[str, dict[str, Any]] = {}
        self.snapshot = b""
        self.restored: list[tuple[str, bytes]] = []


class FakeVault:
    """The server; ``requests`` lists method and path of everything that came in."""

    def __init__(self, initialized: bool = True) -> None:
        self.state = State(initialized)
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.faults: list[Fault] = []
        self.denied: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests that may change something; logins and questions about oneself are none."""
        harmless = ("sys/capabilities-self", "auth/token/lookup-accessor", "sys/leases/lookup")
        return [
            (method, path)
            for method, path in self.requests
            if method not in ("GET", "LIST") and path not in harmless and "/login" not in path
        ]

    def forget(self) -> None:
        """Start counting anew."""
        self.requests.clear()
        self.bodies.clear()

    def issue(self, token: str, *policies: str) -> str:
        """Make a token known and return it."""
        self.state.tokens[token] = {"policies": list(policies), "accessor": f"accessor-of-{len(self.state.tokens)}"}
        return token

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def handle_request(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = fake._read_body(self.rfile.read(length))
                path, _mark, query = self.path[len("/v1/") :].partition("?")
                method = "LIST" if "list=true" in query else self.command
                fake.requests.append((method, path))
                fake.bodies.append(body)
                fault = fake._fault(method, path)
                if fault and not fault.after:
                    return self._break(fault)
                try:
                    answer = fake.answer(method, path, body, self.headers.get("X-Vault-Token"))
                    status = 200 if answer is not None else 204
                except Refused as refused:
                    status, answer = refused.status, refused.body
                if fault:
                    return self._break(fault)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode() if answer else b""
                return self._send(status, content, {})

            def _break(self, fault: Fault) -> None:
                if fault.status:
                    return self._send(fault.status, fault.body, fault.headers)
                self.close_connection = True
                return self.connection.close()

            def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                length = headers.get("Content-Length", str(len(content)))
                self.close_connection = self.close_connection or length != str(len(content))
                self.send_header("Content-Length", length)
                for name, value in headers.items():
                    if name != "Content-Length":
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_LIST = handle_request

        return Handler

    @staticmethod
    def _read_body(content: bytes) -> Any:
        """Return the JSON of a request, or the bytes of one that is no JSON."""
        try:
            return json.loads(content or b"{}")
        except ValueError:
            return content

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.path in path and fault.method in ("", method):
                fault.times -= 1
                return fault
        return None

    # ------------------------------------------------------------------------------------------------ the answers
    def answer(self, method: str, path: str, body: dict[str, Any], token: str | None) -> Any:
        """Return the answer to a request, None for an empty one."""
        open_paths = {
            "sys/seal-status": self._seal_status,
            "sys/init": self._init,
            "sys/unseal": self._unseal,
            "sys/leader": self._leader,
        }
        if path in open_paths:
            return open_paths[path](body)
        if self.state.sealed:
            raise Refused(503, "Vault is sealed")
        if path.startswith("auth/") and "/login" in path:
            return self._login(path, body)
        known = self.state.tokens.get(token or "")
        if known is None:
            raise Refused(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
        if path == "sys/capabilities-self" and path not in self.denied:
            held = {name: ["deny"] if self._is_denied(name, known) else ["root"] for name in body["paths"]}
            return {"data": {**held, "capabilities": ["root"]}}
        if self._is_denied(path, known):
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        for pattern, handler in self._routes():
            match = re.fullmatch(pattern, path)
            if match and (handler != self._list_objects or method == "LIST"):
                return handler(method, body, token, *match.groups())
        raise Refused(404, f'no handler for route "{path}". route entry not found.')

    def _is_denied(self, path: str, known: dict[str, Any]) -> bool:
        return "root" not in known["policies"] and any(path.startswith(prefix) for prefix in self.denied)

    def _routes(self) -> list[tuple[str, Callable[..., Any]]]:
        return [
            (r"sys/(mounts|auth)", self._list_mounts),
            (r"sys/(mounts|auth)/(.+)/tune", self._tune),
            (r"sys/(mounts|auth)/(.+)", self._mount),
            (r"sys/internal/ui/mounts/(.+)", self._mount_information),
            (r"sys/policies/acl", lambda *_arguments: {"data": {"keys": sorted([*self.state.policies, "root"])}}),
            (r"sys/policies/acl/(.+)", self._policy),
            (r"sys/audit", lambda *_arguments: {"data": self.state.audit}),
            (r"sys/audit/(.+)", self._audit),
            (r"sys/storage/raft/(configuration|autopilot/state|remove-peer)", self._raft),
            (r"sys/storage/raft/(snapshot|snapshot-force)", self._snapshot),
            (r"sys/leases/(lookup|revoke)", self._lease),
            (r"sys/leases/(lookup|revoke-prefix|revoke-force)/(.+)", self._leases),
            (r"auth/token/(lookup-self|revoke-self|accessors|lookup-accessor|revoke-accessor)", self._token),
            (r"((?:auth/)?[^/]+/(?:role|roles|config|static-roles))", self._list_objects),
            (r"auth/([^/]+)/config", self._kubernetes_config),
            (r"auth/([^/]+)/role/([^/]+)", self._role),
            (r"auth/([^/]+)/role/([^/]+)/role-id", self._role_id),
            (r"([^/]+)/(data|metadata|delete|undelete|destroy)/(.+)", self._kv),
            (r"([^/]+)/config", self._kv_config),
            (r"([^/]+)/config/(.+)", self._database_config),
            (r"([^/]+)/static-roles/(.+)", self._database_static_role),
            (r"([^/]+)/roles/(.+)", self._database_role),
            (r"([^/]+)/rotate-root/(.+)", self._rotate_root),
        ]

    def _list_objects(self, _method: str, _body: Any, _token: str, path: str) -> Any:
        mount = path.rpartition("/")[0]
        self._require(
            self.state.auth if path.startswith("auth/") else self.state.mounts, mount.removeprefix("auth/"), path
        )
        names = [key.removeprefix(f"{path}/") for key in self.state.objects if key.startswith(f"{path}/")]
        if not names:
            raise Refused(404)
        return {"data": {"keys": names}}

    def _seal_status(self, _body: Any) -> Any:
        state = self.state
        return {
            "type": state.seal_type,
            "initialized": state.initialized,
            "sealed": state.sealed,
            "t": state.threshold,
            "n": len(state.shares),
            "progress": len(state.given),
            "nonce": "n" if state.given else "",
            "version": "1.21.4",
            "storage_type": "raft",
            "cluster_name": "fake",
            "cluster_id": "3b1f",
        }

    def _raft(self, _method: str, body: Any, _token: str, action: str) -> Any:
        peers = self.state.peers
        if not peers:
            raise Refused(404, "1 error occurred:\n\t* unsupported path\n\n")
        if action == "remove-peer":
            peers.pop(body["server_id"], None)
            return None
        if action == "configuration":
            keys = ("address", "leader", "voter")
            servers = [{"node_id": name, **{key: peer[key] for key in keys}} for name, peer in peers.items()]
            return {"data": {"config": {"servers": servers}}}
        known = {name: {"healthy": peer["healthy"], "status": "voter"} for name, peer in peers.items()}
        healthy = all(peer["healthy"] for peer in peers.values())
        return {"data": {"healthy": healthy, "failure_tolerance": len(peers) // 2, "servers": known}}

    def _snapshot(self, method: str, body: Any, _token: str, action: str) -> Any:
        if method == "GET":
            return self.state.snapshot
        self.state.restored.append((action, body))
        self.state.sealed = action.endswith("force")
        return None

    def _lease(self, _method: str, body: Any, _token: str, action: str) -> Any:
        if body["lease_id"] not in self.state.leases:
            raise Refused(400, "invalid lease")
        if action == "revoke":
            del self.state.leases[body["lease_id"]]
            return None
        return {"data": {"id": body["lease_id"], **self.state.leases[body["lease_id"]]}}

    def _leases(self, _method: str, _body: Any, _token: str, action: str, prefix: str) -> Any:
        found = [name for name in self.state.leases if name.startswith(f"{prefix}/")]
        if action != "lookup":
            for name in found:
                del self.state.leases[name]
            return None
        if not found:
            raise Refused(404)
        parts = [name.removeprefix(f"{prefix}/").partition("/") for name in found]
        return {"data": {"keys": sorted({first + slash for first, slash, _rest in parts})}}

    def _init(self, body: Any) -> Any:
        if self.state.initialized:
            raise Refused(400, "Vault is already initialized")
        self.state.initialized = True
        self.state.threshold = body.get("secret_threshold") or body["recovery_threshold"]
        self.state.shares = [
            base64.b64encode(f"share-{number}".encode()).decode()
            for number in range(body.get("secret_shares") or body["recovery_shares"])
        ]
        name = "keys_base64" if "secret_shares" in body else "recovery_keys_base64"
        if "recovery_shares" in body:
            self.state.sealed = False
        return {name: self.state.shares, "root_token": ROOT}

    def _unseal(self, body: Any) -> Any:
        state = self.state
        if not state.initialized:
            raise Refused(400, "Vault is not initialized")
        if body.get("reset"):
            state.given.clear()
            return self._seal_status(None)
        state.given.append(body["key"])
        if len(state.given) >= state.threshold:
            given, state.given = state.given, []
            if not set(given) <= set(state.shares) or len(set(given)) < state.threshold:
                raise Refused(400, "failed to decrypt keys from storage: cipher: message authentication failed")
            state.sealed = False
        return self._seal_status(None)

    def _leader(self, _body: Any) -> Any:
        if self.state.sealed:
            raise Refused(503, "Vault is sealed")
        return {"ha_enabled": True, "is_self": True, "leader_address": self.url}

    def _login(self, path: str, body: Any) -> Any:
        mount = path.split("/")[1]
        if f"{mount}/" not in self.state.auth:
            raise Refused(404, f'no handler for route "{path}". route entry not found.')
        secret = body.get("secret_id") or body.get("jwt") or body.get("password")
        token = self.state.logins.get((path, str(secret)))
        if token is None:
            raise Refused(400 if "approle" in path else 403, "invalid role or secret ID")
        known = self.state.tokens[token]
        return {"auth": {"client_token": token, **known, "lease_duration": 600, "renewable": True}}

    def _collection(self, name: str) -> dict[str, dict[str, Any]]:
        return self.state.mounts if name == "mounts" else self.state.auth

    def _list_mounts(self, _method: str, _body: Any, _token: str, name: str) -> Any:
        return {"data": self._collection(name)}

    def _mount(self, method: str, body: Any, _token: str, name: str, path: str) -> Any:
        collection = self._collection(name)
        key = f"{path}/"
        if method == "DELETE":
            collection.pop(key, None)
            return None
        if any(key.startswith(other) for other in collection):
            raise Refused(400, f"path is already in use at {key}")
        options = body.get("options") or None
        config = body.get("config") or {}
        collection[key] = {
            "type": body["type"],
            "description": body.get("description", ""),
            "local": body.get("local", False),
            "seal_wrap": body.get("seal_wrap", False),
            "external_entropy_access": False,
            "accessor": "x",
            "options": options,
            "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False},
        }
        if name == "auth":
            collection[key]["config"]["token_type"] = "default-service"
        self._apply_config(collection[key], config)
        return None

    @staticmethod
    def _apply_config(mount: dict[str, Any], config: dict[str, Any]) -> None:
        for key, value in config.items():
            if key.endswith("_lease_ttl"):
                if value != "":
                    mount["config"][key] = seconds(value)
            elif value in ([], ""):
                mount["config"].pop(key, None)
            else:
                mount["config"][key] = value

    def _tune(self, method: str, body: Any, _token: str, name: str, path: str) -> Any:
        collection = self._collection(name)
        key = max((key for key in collection if f"{path}/".startswith(key)), key=len, default="")
        if not key:
            raise Refused(400, f"no mount entry found for {path}")
        mount = collection[key]
        if method == "GET":
            effective = {name: mount["config"][name] or 2764800 for name in ("default_lease_ttl", "max_lease_ttl")}
            return {"data": {"description": mount["description"], **effective}}
        body = dict(body)
        if "description" in body:
            mount["description"] = body.pop("description")
        if "options" in body:
            mount["options"] = {**(mount["options"] or {}), **body.pop("options")}
        self._apply_config(mount, body)
        return None

    def _mount_information(self, _method: str, _body: Any, _token: str, path: str) -> Any:
        if f"{path}/" not in self.state.mounts:
            raise Refused(403, "preflight capability check returned 403")
        return {"data": self.state.mounts[f"{path}/"]}

    def _policy(self, method: str, body: Any, _token: str, name: str) -> Any:
        if method == "DELETE":
            self.state.policies.pop(name, None)
            return None
        if method == "GET":
            if name not in self.state.policies:
                raise Refused(404)
            return {"data": {"name": name, "policy": self.state.policies[name]}}
        text = body["policy"]
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            text = base64.b64decode(text, validate=True).decode()
        if "syntax error" in text:
            raise Refused(400, "failed to parse policy: illegal character")
        self.state.policies[name.lower()] = text
        return None

    def _audit(self, method: str, body: Any, _token: str, name: str) -> Any:
        if method == "DELETE":
            self.state.audit.pop(f"{name}/", None)
            return None
        if f"{name}/" in self.state.audit:
            raise Refused(400, "path already in use")
        options = {key: str(value) for key, value in (body.get("options") or {}).items()}
        self.state.audit[f"{name}/"] = {
            "type": body["type"],
            "description": body.get("description", ""),
            "local": body.get("local", False),
            "options": options,
            "path": f"{name}/",
        }
        return None

    def _token(self, _method: str, body: Any, token: str, action: str) -> Any:
        tokens = self.state.tokens
        if action == "lookup-self":
            return {"data": {**tokens[token], "id": token, "ttl": 0}}
        if action == "revoke-self":
            del tokens[token]
            return None
        if action == "accessors":
            return {"data": {"keys": [known["accessor"] for known in tokens.values()]}}
        found = [name for name, known in tokens.items() if known["accessor"] == body["accessor"]]
        if action == "revoke-accessor":  # one that is gone is a warning
            return {"warnings": None if found and tokens.pop(found[0]) else ["No token found with this accessor"]}
        if not found:
            raise Refused(400, "1 error occurred:\n\t* invalid accessor\n\n")
        return {"data": tokens[found[0]]}

    def _require(self, collection: dict[str, Any], mount: str, path: str) -> None:
        if f"{mount}/" not in collection:
            raise Refused(404, f'no handler for route "{path}". route entry not found.')

    def _kubernetes_config(self, method: str, body: Any, _token: str, mount: str) -> Any:
        self._require(self.state.auth, mount, f"auth/{mount}/config")
        key = f"auth/{mount}/config"
        if method == "GET":
            if key not in self.state.objects:
                raise Refused(404)
            stored = dict(self.state.objects[key])
            stored["token_reviewer_jwt_set"] = bool(stored.pop("token_reviewer_jwt"))
            return {"data": stored}
        if not body.get("kubernetes_host"):
            raise Refused(400, "no host provided")
        defaults = {
            "kubernetes_host": "",
            "kubernetes_ca_cert": "",
            "token_reviewer_jwt": "",
            "pem_keys": [],
            "issuer": "",
            "disable_iss_validation": True,
            "disable_local_ca_jwt": False,
            "use_annotations_as_alias_metadata": False,
        }
        self.state.objects[key] = {**defaults, **body}  # every write replaces all
        return None

    def _merge(
        self, method: str, body: Any, key: str, defaults: dict[str, Any], convert: dict[str, Callable[[Any], Any]]
    ) -> Any:
        if method == "DELETE":
            self.state.objects.pop(key, None)
            return None
        if method == "GET":
            if key not in self.state.objects:
                raise Refused(404)
            return {"data": self.state.objects[key]}
        stored = dict(self.state.objects.get(key, defaults))
        for name, value in body.items():
            if name not in defaults:
                raise Refused(400, f"unknown field {name}")
            stored[name] = convert.get(name, lambda item: item)(value)
        self.state.objects[key] = stored
        return None

    def _role(self, method: str, body: Any, _token: str, mount: str, name: str) -> Any:
        self._require(self.state.auth, mount, f"auth/{mount}/role/{name}")
        tokens = {
            **dict.fromkeys(("token_ttl", "token_max_ttl", "token_explicit_max_ttl", "token_period"), 0),
            "token_policies": [],
            "token_bound_cidrs": [],
            "token_type": "default",
            "token_num_uses": 0,
            "token_no_default_policy": False,
        }
        convert: dict[str, Callable[[Any], Any]] = dict.fromkeys(
            [name for name in tokens if name.endswith("ttl")], seconds
        )
        convert |= {"token_period": seconds, "secret_id_ttl": seconds}
        convert["token_bound_cidrs"] = lambda blocks: [block.removesuffix("/32") for block in blocks]
        key = f"auth/{mount}/role/{name}"
        if self.state.auth[f"{mount}/"]["type"] == "approle":
            return self._approle_role(method, body, key, tokens, convert)
        defaults = {
            "bound_service_account_names": [],
            "bound_service_account_namespaces": [],
            "bound_service_account_namespace_selector": "",
            "alias_name_source": "serviceaccount_uid",
            "audience": None,
            **tokens,
        }
        if method == "POST":  # an update without the selector drops it
            body = {"bound_service_account_namespace_selector": "", **body}
        return self._merge(method, body, key, defaults, convert)

    def _approle_role(self, method: str, body: Any, key: str, tokens: dict[str, Any], convert: dict[str, Any]) -> Any:
        body = dict(body)
        role_id = body.pop("role_id", None)
        if method == "POST" and "local_secret_ids" in body and key in self.state.objects:
            raise Refused(400, "local_secret_ids can only be modified during role creation")
        defaults = {
            "bind_secret_id": True,
            "local_secret_ids": False,
            "secret_id_bound_cidrs": None,
            "secret_id_num_uses": 0,
            "secret_id_ttl": 0,
            **tokens,
        }
        answer = self._merge(method, body, key, defaults, convert)
        if method == "POST" and (role_id or key not in self.state.role_ids):
            self.state.role_ids[key] = role_id or f"role-id-of-{key}"
        return answer

    def _role_id(self, _method: str, _body: Any, _token: str, mount: str, name: str) -> Any:
        key = f"auth/{mount}/role/{name}"
        if key not in self.state.objects:
            raise Refused(404)
        return {"data": {"role_id": self.state.role_ids[key]}}

    def _database_static_role(self, method: str, body: Any, _token: str, mount: str, name: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/static-roles/{name}")
        key = f"{mount}/static-roles/{name}"
        stored = self.state.objects.get(key)
        if method == "POST":
            if stored and body.get("username") != stored["username"]:
                raise Refused(400, "cannot update static account username")
            if not stored or not body.keys() & {"rotation_period", "rotation_schedule"}:
                body = {"rotation_period": (stored or {}).get("rotation_period", 0), **body}
            if "rotation_schedule" in body:
                body = {key: value for key, value in body.items() if key != "rotation_period"}
        defaults: dict[str, Any] = {
            "db_name": "",
            "username": "",
            **dict.fromkeys(("rotation_period", "rotation_schedule", "rotation_window"), None),
            "rotation_statements": [],
            "credential_type": "password",
            "credential_config": None,
        }
        answer = self._merge(method, body, key, defaults, {"rotation_period": seconds, "rotation_window": seconds})
        if method == "POST":  # one of the two is stored
            dropped = "rotation_period" if "rotation_schedule" in body else "rotation_schedule"
            self.state.objects[key][dropped] = None
        return answer

    def _kv_config(self, method: str, body: Any, _token: str, mount: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/config")
        if (self.state.mounts[f"{mount}/"]["options"] or {}).get("version") != "2":
            raise Refused(404)
        defaults = {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"}
        stored = self.state.objects.setdefault(f"{mount}/config", defaults)
        if method == "GET":
            return {"data": stored}
        stored.update(body)
        return None

    def _database_role(self, method: str, body: Any, _token: str, mount: str, name: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/roles/{name}")
        kinds = ("creation_statements", "revocation_statements", "rollback_statements", "renew_statements")
        defaults: dict[str, Any] = {
            "db_name": "",
            **{kind: [] for kind in kinds},
            "default_ttl": 0,
            "max_ttl": 0,
            "credential_type": "password",
            "credential_config": None,
        }
        return self._merge(
            method, body, f"{mount}/roles/{name}", defaults, {"default_ttl": seconds, "max_ttl": seconds}
        )

    def _database_config(self, method: str, body: Any, _token: str, mount: str, name: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/config/{name}")
        key = f"{mount}/config/{name}"
        if method == "DELETE":
            self.state.objects.pop(key, None)
            return None
        stored = self.state.objects.get(key)
        if method == "GET":
            if stored is None:
                raise Refused(404)
            details = {key: value for key, value in stored["details"].items() if key != "password"}
            return {"data": {**stored["top"], "connection_details": details}}
        stored = stored or {
            "top": {
                "plugin_name": "",
                "plugin_version": "",
                "allowed_roles": [],
                "root_credentials_rotate_statements": [],
                "password_policy": "",
                "verify_connection": True,
            },
            "details": {},
        }
        top, details = dict(stored["top"]), dict(stored["details"])
        for field_name, value in body.items():
            name_on_read = (
                "root_credentials_rotate_statements" if field_name == "root_rotation_statements" else field_name
            )
            (top if name_on_read in top else details)[name_on_read] = value
        password = self.state.database_passwords.setdefault(name, details.get("password", ""))
        if top["verify_connection"] and details.get("password") != password:
            raise Refused(400, "error verifying connection: Access denied for user")
        self.state.objects[key] = {"top": top, "details": details}
        return None

    def _rotate_root(self, _method: str, _body: Any, _token: str, mount: str, name: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/rotate-root/{name}")
        password = f"rotated-{len(self.requests)}"
        self.state.database_passwords[name] = password
        self.state.objects[f"{mount}/config/{name}"]["details"]["password"] = password
        return None

    def _kv(self, method: str, body: Any, _token: str, mount: str, kind: str, path: str) -> Any:
        self._require(self.state.mounts, mount, f"{mount}/{kind}/{path}")
        key = f"{mount}/{path}"
        secret = self.state.kv.get(key)
        if kind == "data":
            return self._kv_data(method, body, key, secret)
        if kind == "metadata":
            if method == "DELETE":
                self.state.kv.pop(key, None)
                return None
            if method == "POST":
                secret = self.state.kv.setdefault(key, self._new_secret())
                for name, value in body.items():
                    secret[name] = f"{seconds(value)}s" if name == "delete_version_after" else value
                return None
            if secret is None:
                raise Refused(404)
            versions = {number: version["metadata"] for number, version in secret["versions"].items()}
            settings = {name: value for name, value in secret.items() if name != "versions"}
            return {"data": {**settings, "versions": versions, "current_version": len(versions)}}
        if secret is None:
            raise Refused(404)
        for number in body["versions"]:
            metadata = secret["versions"][str(number)]["metadata"]
            if kind == "destroy":
                metadata["destroyed"] = True
            else:
                metadata["deletion_time"] = "2020-01-01T00:00:00.0Z" if kind == "delete" else ""
        return None

    @staticmethod
    def _new_secret() -> dict[str, Any]:
        return {
            "versions": {},
            "custom_metadata": None,
            "max_versions": 0,
            "cas_required": False,
            "delete_version_after": "0s",
        }

    def _kv_data(self, method: str, body: Any, key: str, secret: dict[str, Any] | None) -> Any:
        latest = len(secret["versions"]) if secret else 0
        version = secret["versions"][str(latest)] if secret and latest else None
        if method == "GET":
            if version is None:
                raise Refused(404)
            metadata = version["metadata"]
            if metadata["destroyed"] or metadata["deletion_time"]:
                raise Refused(404, data={"data": None, "metadata": metadata})
            return {"data": {"data": as_doubles(version["data"]), "metadata": metadata}}
        cas = (body.get("options") or {}).get("cas")
        if cas is not None and cas != latest:
            raise Refused(400, "check-and-set parameter did not match the current version")
        data = body["data"]
        if method == "PATCH":
            merged = dict(version["data"]) if version else {}
            for name, value in data.items():
                merged.pop(name, None) if value is None else merged.update({name: value})
            data = merged
        secret = self.state.kv.setdefault(key, self._new_secret())
        metadata = {"version": latest + 1, "deletion_time": "", "destroyed": False, "custom_metadata": None}
        secret["versions"][str(latest + 1)] = {"data": data, "metadata": metadata}
        return {"data": metadata}
