# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 1 to 4 of the benchmark, judged by what cis_benchmark_info read. Private: may change in any release."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ..module_utils._cis_result import FAIL, INFO, MANUAL, PASS, WARN, result

_MANIFESTS = "/etc/kubernetes/manifests"
_PKI = "/etc/kubernetes/pki"
# TLS 1.3 suites cannot be chosen in Go and are all strong; these are the strong ones of TLS 1.2.
STRONG_CIPHERS = frozenset(
    {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    }
)
# What nobody may ask for without a name, beside health and the data that kubeadm join reads.
_ANONYMOUS_PATHS = {
    "/livez",
    "/readyz",
    "/healthz",
    "/api/v1/namespaces/kube-public/configmaps/cluster-info",
}

# id -> (title, path pattern, most open mode, whether the file has to exist)
_MODES: dict[str, tuple[str, str, int, bool]] = {
    "1.1.1": ("Only root reads the API server's manifest", f"{_MANIFESTS}/kube-apiserver.yaml", 0o600, True),
    "1.1.3": (
        "Only root reads the controller manager's manifest",
        f"{_MANIFESTS}/kube-controller-manager.yaml",
        0o600,
        True,
    ),
    "1.1.5": ("Only root reads the scheduler's manifest", f"{_MANIFESTS}/kube-scheduler.yaml", 0o600, True),
    "1.1.7": ("Only root reads etcd's manifest", f"{_MANIFESTS}/etcd.yaml", 0o600, True),
    "1.1.9": ("Only root reads the files of the pod network", "/etc/cni/net.d/*", 0o600, False),
    "1.1.13": ("Only root reads the administrator's kubeconfig", "/etc/kubernetes/*admin.conf", 0o600, True),
    "1.1.15": ("Only root reads the scheduler's kubeconfig", "/etc/kubernetes/scheduler.conf", 0o600, True),
    "1.1.17": (
        "Only root reads the controller manager's kubeconfig",
        "/etc/kubernetes/controller-manager.conf",
        0o600,
        True,
    ),
    "1.1.20": ("Only root writes certificates", f"{_PKI}/*.crt", 0o644, True),
    "1.1.21": ("Only root reads private keys", f"{_PKI}/*.key", 0o600, True),
    "4.1.1": ("Only root reads the kubelet's unit", "*/systemd/system/kubelet.service*", 0o600, True),
    "4.1.5": ("Only root reads the kubelet's kubeconfig", "/etc/kubernetes/kubelet.conf", 0o600, True),
    "4.1.7": ("Only root writes the authority of clients", f"{_PKI}/ca.crt", 0o644, True),
    "4.1.9": ("Only root reads the kubelet's configuration", "/var/lib/kubelet/config.yaml", 0o600, True),
}
# The ownership check of each file follows it in the profile, with these exceptions.
_OWNER_ID = {"1.1.20": "1.1.19", "1.1.21": ""}
_MANUAL_MODES = {"1.1.9", "1.1.10", "1.1.20", "1.1.21", "4.1.7", "4.1.8"}


class Host:
    """Judges what was read on one host."""

    def __init__(self, name: str, facts: Mapping[str, Any], control_plane: bool) -> None:
        self.name = name
        self.facts = facts
        self.control_plane = control_plane
        self.results: list[dict[str, Any]] = []
        self.programs: Mapping[str, Mapping[str, str]] = facts["programs"]

    def judge(self) -> list[dict[str, Any]]:
        """All results of sections 1 to 4 for this host; section 1 to 3 only on control planes."""
        self._permissions()
        if self.control_plane:
            self._data_directory()
            self._api_server()
            self._encryption()
            self._controllers()
            self._etcd()
            self._control_plane_configuration()
        self._kubelet()
        self._proxy()
        return self.results

    def _add(self, identifier: str, title: str, status: str, found: str, remedy: str = "") -> None:
        self.results.append(result(identifier, title, self.name, status, found, remedy))

    def _check(self, identifier: str, title: str, good: bool, found: str, remedy: str, manual: bool = False) -> None:
        self._add(identifier, title, PASS if good else WARN if manual else FAIL, found, remedy)

    # --- files ----------------------------------------------------------------------------------------------------
    def _permissions(self) -> None:
        for identifier, (title, pattern, mode, needed) in _MODES.items():
            if identifier.startswith("1.") and not self.control_plane:
                continue
            files = {
                path: state
                for path, state in self.facts["files"].items()
                if fnmatch.fnmatchcase(path, pattern) and not state["directory"]
            }
            if not files:
                found = f"there is no {pattern}"
                self._add(identifier, title, FAIL if needed else INFO, found, "Make the file, or name where it is.")
                continue
            manual = identifier in _MANUAL_MODES
            loose = [f"{path} {state['mode']}" for path, state in files.items() if int(state["mode"], 8) & ~mode]
            found = ", ".join(loose) or f"{_count(files, 'file')} with at most {mode:04o}"
            self._check(identifier, title, not loose, found, f"chmod {mode:04o} the named files.", manual)
            owner = _OWNER_ID.get(identifier, _following(identifier))
            if identifier == "1.1.20":
                files = {path: state for path, state in self.facts["files"].items() if path.startswith(_PKI)}
                title = "Root owns certificates and keys"
            if owner:
                self._owned(owner, title.replace("Only root reads", "Root owns").replace("writes", "owns"), files)
        for identifier, title in (
            ("4.1.3", "Only root reads kube-proxy's kubeconfig"),
            ("4.1.4", "Root owns kube-proxy's kubeconfig"),
        ):
            path = self.programs.get("kube-proxy", {}).get("kubeconfig", "")
            state = self.facts["files"].get(path)
            if state is None:
                self._add(identifier, title, INFO, "kube-proxy has no kubeconfig on the host")
            elif identifier == "4.1.3":
                good = not int(state["mode"], 8) & ~0o600
                self._check(identifier, title, good, f"{path} {state['mode']}", f"chmod 0600 {path}", True)
            else:
                self._owned(identifier, title, {path: state})

    def _owned(self, identifier: str, title: str, files: Mapping[str, Mapping[str, Any]]) -> None:
        wrong = [
            f"{path} {state['owner']}:{state['group']}"
            for path, state in files.items()
            if (state["owner"], state["group"]) != ("root", "root")
        ]
        found = ", ".join(wrong) or f"{_count(files, 'file')} of root:root"
        remedy = "chown root:root the named files."
        self._check(identifier, title, not wrong, found, remedy, identifier in _MANUAL_MODES)

    def _data_directory(self) -> None:
        path = self.programs.get("etcd", {}).get("data-dir", "/var/lib/etcd")
        state = self.facts["files"].get(path)
        if state is None:
            for identifier in ("1.1.11", "1.1.12"):
                self._add(identifier, "etcd's data directory", FAIL, f"{path} is not there", "Run etcd on this host.")
            return
        good = not int(state["mode"], 8) & ~0o700
        title = "Only its owner enters etcd's data directory"
        self._check("1.1.11", title, good, f"{path} {state['mode']}", f"chmod 0700 {path}")
        owner = f"{state['owner']}:{state['group']}"
        title = "A user of its own owns etcd's data directory"
        self._check("1.1.12", title, owner == "etcd:etcd", f"{path} {owner}", "Run etcd as the user etcd.")

    # --- arguments ----------------------------------------------------------------------------------------------------
    def _flag(
        self,
        identifier: str,
        title: str,
        program: str,
        flag: str,
        good: Callable[[str | None], bool],
        remedy: str,
        manual: bool = False,
    ) -> None:
        """Judge one argument (None when it is not given) of a program that has to run on this host."""
        if program not in self.programs:
            self._add(identifier, title, FAIL, f"{program} does not run", f"Start {program} on this host.")
            return
        value = self.programs[program].get(flag)
        found = f"--{flag} is not given" if value is None else f"--{flag}={value}"
        self._check(identifier, title, good(value), found, remedy, manual)

    def _files_given(
        self, identifier: str, title: str, program: str, flags: tuple[str, ...], manual: bool = False
    ) -> None:
        given = self.programs.get(program, {})
        missing = [flag for flag in flags if not given.get(flag)]
        found = f"not given: {', '.join(missing)}" if missing else ", ".join(f"--{flag}" for flag in flags)
        remedy = f"Give {program} " + ", ".join(f"--{flag}" for flag in flags) + "."
        self._check(identifier, title, not missing, found, remedy, manual)

    def _anonymous(self) -> None:
        title = "Only who has a name is served"
        server = self.programs.get("kube-apiserver", {})
        document = _yaml(self.facts["authentication_configuration"])
        anonymous = document.get("anonymous") or {}
        paths = {str(item.get("path", "")) for item in anonymous.get("conditions") or []}
        if server.get("anonymous-auth") == "false" or anonymous.get("enabled") is False:
            self._add("1.2.1", title, PASS, "anonymous requests are refused")
        elif anonymous.get("enabled") and paths:
            found = f"anonymous requests only for {', '.join(sorted(paths))}"
            remedy = "Take the other paths out of the authentication configuration."
            self._check("1.2.1", title, paths <= _ANONYMOUS_PATHS, found, remedy, True)
        else:
            remedy = "Restrict anonymous requests to paths by an AuthenticationConfiguration."
            self._add("1.2.1", title, WARN, "anonymous requests reach authorization", remedy)

    def _api_server(self) -> None:
        server = "kube-apiserver"
        self._anonymous()
        self._flag("1.2.2", "No file of tokens", server, "token-auth-file", lambda v: v is None, "Take the flag away.")
        for identifier, title, plugin in (
            ("1.2.3", "Services cannot claim foreign addresses", "DenyServiceExternalIPs"),
            ("1.2.9", "Requests for events are limited", "EventRateLimit"),
            ("1.2.11", "Images are authorised at each start", "AlwaysPullImages"),
            ("1.2.14", "Kubelets change only their own node and pods", "NodeRestriction"),
        ):
            remedy = f"Add {plugin} to --enable-admission-plugins."
            manual = plugin != "NodeRestriction"
            self._flag(identifier, title, server, "enable-admission-plugins", _has(plugin), remedy, manual)
        flags = ("kubelet-client-certificate", "kubelet-client-key")
        self._files_given("1.2.4", "The API server shows kubelets a certificate", server, flags)
        title = "The API server verifies the kubelets' certificates"
        self._files_given("1.2.5", title, server, ("kubelet-certificate-authority",))
        authorization = self.programs.get(server, {}).get("authorization-config")
        for identifier, title, good in (
            ("1.2.6", "Not everything is allowed", lambda v: v is not None and not _has("AlwaysAllow")(v)),
            ("1.2.7", "Kubelets are authorised as nodes", _has("Node")),
            ("1.2.8", "Roles authorise requests", _has("RBAC")),
        ):
            remedy = "Set --authorization-mode=Node,RBAC."
            if authorization:
                self._add(
                    identifier, title, MANUAL, f"--authorization-config={authorization}", "Look at its authorizers."
                )
            else:
                self._flag(identifier, title, server, "authorization-mode", good, remedy)
        for identifier, title, flag, plugin in (
            ("1.2.10", "Admission is not switched off", "enable-admission-plugins", "AlwaysAdmit"),
            ("1.2.12", "Pods get service accounts", "disable-admission-plugins", "ServiceAccount"),
            ("1.2.13", "Nothing is made in namespaces that end", "disable-admission-plugins", "NamespaceLifecycle"),
        ):
            self._flag(identifier, title, server, flag, _lacks(plugin), f"Take {plugin} out of --{flag}.")
        self._profiling("1.2.15", server)
        self._files_given("1.2.16", "Requests are audited", server, ("audit-log-path",))
        for identifier, title, flag, least in (
            ("1.2.17", "Audit logs are kept long enough", "audit-log-maxage", 30),
            ("1.2.18", "Enough files of the audit log are kept", "audit-log-maxbackup", 10),
            ("1.2.19", "Files of the audit log are large enough", "audit-log-maxsize", 100),
        ):
            self._flag(identifier, title, server, flag, _at_least(least), f"Set --{flag}={least} or more.")
        value = self.programs.get(server, {}).get("request-timeout")
        title = "Requests end in time"
        self._add("1.2.20", title, PASS, f"--request-timeout={value}" if value else "the default of one minute")
        self._flag(
            "1.2.21", "Revoked tokens are refused", server, "service-account-lookup", _unset_or("true"), "Unset it."
        )
        self._files_given("1.2.22", "Tokens are verified by a key", server, ("service-account-key-file",))
        self._files_given("1.2.23", "etcd is asked with a certificate", server, ("etcd-certfile", "etcd-keyfile"))
        flags = ("tls-cert-file", "tls-private-key-file")
        self._files_given("1.2.24", "The API is served by TLS", server, flags)
        self._files_given("1.2.25", "Clients' certificates are verified", server, ("client-ca-file",))
        self._files_given("1.2.26", "etcd's certificate is verified", server, ("etcd-cafile",))
        self._ciphers("1.2.29", server, (self.programs.get(server, {}).get("tls-cipher-suites") or "").split(","), True)
        self._flag(
            "1.2.30",
            "Tokens of pods end when they say",
            server,
            "service-account-extend-token-expiration",
            lambda v: v == "false",
            "Set --service-account-extend-token-expiration=false.",
        )

    def _profiling(self, identifier: str, program: str) -> None:
        title = f"{program} shows no profiles of itself"
        self._flag(identifier, title, program, "profiling", lambda v: v == "false", "Set --profiling=false.")

    def _ciphers(self, identifier: str, program: str, given: list[str], manual: bool) -> None:
        suites = [suite for suite in given if suite]
        weak = sorted(set(suites) - STRONG_CIPHERS)
        found = f"weak: {', '.join(weak)}" if weak else f"{len(suites)} suites, all strong" if suites else "none named"
        title = f"{program} accepts only strong ciphers"
        remedy = "Name only suites with ECDHE and an AEAD cipher."
        self._check(identifier, title, bool(suites) and not weak, found, remedy, manual)

    def _encryption(self) -> None:
        title = "Secrets are encrypted in etcd"
        self._files_given("1.2.27", title, "kube-apiserver", ("encryption-provider-config",), True)
        providers = self.facts["encryption_providers"]
        found = f"providers: {', '.join(providers) or 'none'}"
        good = bool(providers) and providers[0] in ("aescbc", "kms", "secretbox")
        remedy = "Put secretbox, aescbc or kms first."
        self._check("1.2.28", "The first provider of encryption is a strong one", good, found, remedy, True)

    def _controllers(self) -> None:
        manager = "kube-controller-manager"
        self._flag(
            "1.3.1",
            "Ended pods are cleared away",
            manager,
            "terminated-pod-gc-threshold",
            lambda v: v is not None and v.isdigit() and int(v) > 0,
            "Set --terminated-pod-gc-threshold.",
            True,
        )
        self._profiling("1.3.2", manager)
        flag = "use-service-account-credentials"
        self._flag(
            "1.3.3", "Each controller has rights of its own", manager, flag, lambda v: v == "true", f"Set --{flag}."
        )
        flags = ("service-account-private-key-file",)
        self._files_given("1.3.4", "Tokens are signed by a key", manager, flags)
        self._files_given("1.3.5", "Pods get the cluster's authority", manager, ("root-ca-file",))
        gate = "RotateKubeletServerCertificate=false"
        self._flag(
            "1.3.6", "Kubelets' certificates are renewed", manager, "feature-gates", _lacks(gate), f"Take {gate} away."
        )
        self._local("1.3.7", manager)
        self._profiling("1.4.1", "kube-scheduler")
        self._local("1.4.2", "kube-scheduler")

    def _local(self, identifier: str, program: str) -> None:
        title = f"{program} listens only on the host itself"
        self._flag(
            identifier, title, program, "bind-address", lambda v: v == "127.0.0.1", "Set --bind-address=127.0.0.1."
        )

    def _etcd(self) -> None:
        self._files_given("2.1", "etcd is served by TLS", "etcd", ("cert-file", "key-file"))
        for identifier, title, flag in (
            ("2.2", "etcd's clients show a certificate", "client-cert-auth"),
            ("2.5", "etcd's members show a certificate", "peer-client-cert-auth"),
        ):
            self._flag(identifier, title, "etcd", flag, lambda v: v == "true", f"Set --{flag}=true.")
        for identifier, title, flag in (
            ("2.3", "etcd makes itself no certificate for clients", "auto-tls"),
            ("2.6", "etcd makes itself no certificate for members", "peer-auto-tls"),
        ):
            self._flag(identifier, title, "etcd", flag, _unset_or("false"), f"Take --{flag} away.")
        self._files_given("2.4", "etcd's members talk by TLS", "etcd", ("peer-cert-file", "peer-key-file"))
        authorities = self.facts["authorities"]
        own = "etcd" in authorities and authorities["etcd"] != authorities.get("kubernetes")
        found = "an authority of its own" if own else "no authority of its own"
        remedy = "Give etcd an authority apart from that of the cluster."
        self._check("2.7", "etcd has an authority of its own", own, found, remedy, True)

    def _control_plane_configuration(self) -> None:
        for identifier, what in (
            ("3.1.1", "client certificates"),
            ("3.1.2", "tokens of service accounts"),
            ("3.1.3", "bootstrap tokens"),
        ):
            issuers = [
                str((item.get("issuer") or {}).get("url"))
                for item in _yaml(self.facts["authentication_configuration"]).get("jwt") or []
            ]
            found = f"people can log in by {', '.join(issuers)}" if issuers else "no other way to log in is configured"
            remedy = "Log people in by OpenID Connect (jwt in the AuthenticationConfiguration)."
            self._add(identifier, f"People do not log in by {what}", MANUAL, found, remedy)
        self._files_given("3.2.1", "There is an audit policy", "kube-apiserver", ("audit-policy-file",), True)
        problems = audit_problems(_yaml(self.facts["audit_policy"]))
        found = "; ".join(problems) or "secrets by metadata only, and each of the required subjects is logged"
        title = "The audit policy covers what matters"
        self._check("3.2.2", title, not problems, found, "Correct the rules of the audit policy.", True)

    # --- nodes ----------------------------------------------------------------------------------------------------
    def _kubelet(self) -> None:
        document = _yaml(self.facts["kubelet_configuration"])
        given = self.programs.get("kubelet")
        if given is None or "config-dir" in given:
            found = "the kubelet does not run" if given is None else f"--config-dir={given['config-dir']} overrides it"
            for number in range(1, 15):
                status = FAIL if given is None else MANUAL
                self._add(f"4.2.{number}", "The kubelet's settings", status, found, "Look at the effective settings.")
            return

        def value(flag: str, path: str, default: Any = None) -> Any:
            """The flag wins over the file, as the kubelet has it; then the default of the file's API version."""
            if flag in given:
                return given[flag]
            found: Any = document
            for part in path.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
            # A duration of 0s in the file is one that is not set (defaults.go of the kubelet's API version).
            return default if found in (None, "0s") else found

        def check(
            identifier: str, title: str, flag: str, path: str, good: Callable[[str], bool], default: Any, manual: bool
        ) -> None:
            found = value(flag, path, default)
            text = str(found).lower() if isinstance(found, bool) else str(found)
            self._check(
                identifier, title, good(text), f"{path}: {text}", f"Correct {path} in its configuration.", manual
            )

        def false(value: str) -> bool:
            return value == "false"

        def true(value: str) -> bool:
            return value == "true"

        anonymous, webhook = "authentication.anonymous.enabled", "authorization.mode"
        check("4.2.1", "Only who has a name is served", "anonymous-auth", anonymous, false, False, False)
        check(
            "4.2.2",
            "The API server authorises requests",
            "authorization-mode",
            webhook,
            lambda v: v == "Webhook",
            "Webhook",
            False,
        )
        client_ca = "authentication.x509.clientCAFile"
        check("4.2.3", "Clients' certificates are verified", "client-ca-file", client_ca, lambda v: v != "", "", False)
        check("4.2.4", "No port without authentication", "read-only-port", "readOnlyPort", lambda v: v == "0", 0, True)
        idle = "streamingConnectionIdleTimeout"
        check(
            "4.2.5",
            "Idle connections end",
            "streaming-connection-idle-timeout",
            idle,
            lambda v: not v.startswith("-") and v.strip("0hms") != "",
            "4h0m0s",
            True,
        )
        chains = "makeIPTablesUtilChains"
        check("4.2.6", "The kubelet keeps its packet filter", "make-iptables-util-chains", chains, true, True, False)
        override = given.get("hostname-override")
        found = f"--hostname-override={override}" if override else "the host's own name"
        self._check("4.2.7", "The node has the host's name", not override, found, "Name the host as the node.", True)
        check(
            "4.2.8",
            "Enough events are recorded",
            "event-qps",
            "eventRecordQPS",
            lambda v: v.lstrip("-").isdigit() and int(v) >= 0,
            50,
            True,
        )
        own = value("tls-cert-file", "tlsCertFile") and value("tls-private-key-file", "tlsPrivateKeyFile")
        signed = value("", "serverTLSBootstrap", False) is True
        current = "/var/lib/kubelet/pki/kubelet-server-current.pem" in self.facts["files"]
        title = "The kubelet's certificate is signed by an authority"
        found = (
            "a certificate of its own is named"
            if own
            else "signed by the cluster and renewed"
            if signed and current
            else "it signs its certificate itself"
        )
        self._check("4.2.9", title, bool(own or (signed and current)), found, "Set serverTLSBootstrap: true.", True)
        rotate = "rotateCertificates"
        check("4.2.10", "Its client certificate is renewed", "rotate-certificates", rotate, true, False, False)
        gate = "featureGates.RotateKubeletServerCertificate"
        check("4.2.11", "Its serving certificate is renewed", "", gate, true, True, True)
        suites = value("tls-cipher-suites", "tlsCipherSuites", [])
        self._ciphers("4.2.12", "kubelet", suites.split(",") if isinstance(suites, str) else list(suites), True)
        check(
            "4.2.13",
            "Pods have a limit of processes",
            "pod-max-pids",
            "podPidsLimit",
            lambda v: v.isdigit() and int(v) > 0,
            -1,
            True,
        )
        check("4.2.14", "Containers have a seccomp profile", "seccomp-default", "seccompDefault", true, False, True)

    def _proxy(self) -> None:
        title = "kube-proxy shows measurements only on the host itself"
        if "kube-proxy" not in self.programs:
            self._add("4.3.1", title, INFO, "kube-proxy does not run")
            return
        document = _yaml(self.facts["kube_proxy_configuration"])
        address = self.programs["kube-proxy"].get("metrics-bind-address") or document.get("metricsBindAddress") or ""
        good = address == "" or address.startswith(("127.0.0.1", "[::1]", "localhost"))
        found = f"metricsBindAddress: {address or 'the default, 127.0.0.1:10249'}"
        self._check("4.3.1", title, good, found, "Set metricsBindAddress: 127.0.0.1:10249.")


# Subjects that the benchmark wants in the audit log: group, resource, verb of a request.
_AUDITED = (
    ("", "pods", "create"),
    ("apps", "deployments", "update"),
    ("", "pods/exec", "create"),
    ("", "pods/portforward", "create"),
    ("", "pods/proxy", "get"),
    ("", "services/proxy", "get"),
    ("certificates.k8s.io", "certificatesigningrequests", "create"),
    ("", "serviceaccounts/token", "create"),
)
_METADATA_ONLY = (
    ("", "secrets", "get"),
    ("", "configmaps", "get"),
    ("authentication.k8s.io", "tokenreviews", "create"),
)


def audit_problems(policy: Mapping[str, Any]) -> list[str]:
    """What an audit policy does not log, or logs with content, for an ordinary user and for system identities."""
    rules = policy.get("rules") or []
    if not rules:
        return ["there are no rules"]
    problems = []
    for group, resource, verb in _AUDITED:
        if audit_level(rules, "jane", ["system:authenticated"], verb, group, resource) in ("", "None"):
            problems.append(f"{verb} of {resource} is not logged")
    for group, resource, verb in _METADATA_ONLY:
        level = audit_level(rules, "jane", ["system:authenticated"], verb, group, resource)
        if level != "Metadata":
            problems.append(f"{verb} of {resource} is logged at level {level or 'None'}, not Metadata")
    for user, groups in (
        ("system:node:w1", ["system:nodes", "system:authenticated"]),
        ("system:serviceaccount:kube-system:x", ["system:serviceaccounts", "system:serviceaccounts:kube-system"]),
        ("system:kube-controller-manager", ["system:authenticated"]),
    ):
        if audit_level(rules, user, groups, "get", "", "secrets") in ("", "None"):
            problems.append(f"{user} reads secrets unseen")
    return problems


def audit_level(
    rules: list[Mapping[str, Any]], user: str, groups: list[str], verb: str, group: str, resource: str
) -> str:
    """Level of the first rule that matches a request, as the API server chooses it; empty when none does."""
    for rule in rules:
        if rule.get("users") and user not in rule["users"]:
            continue
        if rule.get("userGroups") and not set(groups) & set(rule["userGroups"]):
            continue
        if rule.get("verbs") and verb not in rule["verbs"]:
            continue
        if rule.get("namespaces"):
            continue
        if rule.get("nonResourceURLs") and not rule.get("resources"):
            continue
        if rule.get("resources") and not any(_names(item, group, resource) for item in rule["resources"]):
            continue
        return str(rule.get("level", ""))
    return ""


def _names(item: Mapping[str, Any], group: str, resource: str) -> bool:
    """Whether a GroupResources entry names a resource; an empty list of resources means all of the group."""
    if (item.get("group") or "") != group or item.get("resourceNames"):
        return False
    named = item.get("resources") or []
    main, _separator, sub = resource.partition("/")
    wildcards = {"*", f"{main}/*" if sub else main, f"*/{sub}" if sub else resource, resource}
    return not named or bool(set(named) & wildcards)


def running_results(hosts: Mapping[str, Mapping[str, Any]], workloads: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the kernel enforces on the running containers: not part of the profile, ids ``running.*``."""
    containers = [(host, item) for host, facts in hosts.items() for item in facts["containers"]]
    names = {item["container"]: workloads.get(item["pod"], f"unknown/{item['pod']}") for _host, item in containers}
    bare = [names[item["container"]] for _host, item in containers if not item["seccomp"]]
    title = "The kernel filters the system calls of every container"
    found = f"{len(set(bare))} workloads without a filter, of {_count(containers, 'container')}"
    remedy = "Set securityContext.seccompProfile.type: RuntimeDefault."
    status = FAIL if bare or not containers else PASS
    results = [result("running.seccomp", title, "cluster", status, found, remedy, bare)]
    able = [host for host, facts in hosts.items() if facts["apparmor"]]
    title = "AppArmor confines every container where the kernel has it"
    if not able:
        found = f"the kernel of none of the {_count(hosts, 'host')} has AppArmor"
        return [*results, result("running.apparmor", title, "cluster", INFO, found)]
    free = [
        names[item["container"]]
        for host, item in containers
        if host in able and item["apparmor"].split(" ")[0] in ("", "unconfined")
    ]
    found = f"{len(set(free))} workloads without a profile, on {_count(able, 'host')} with AppArmor"
    remedy = "Set securityContext.appArmorProfile.type: RuntimeDefault."
    return [*results, result("running.apparmor", title, "cluster", FAIL if free else PASS, found, remedy, free)]


def _yaml(text: str) -> dict[str, Any]:
    """A YAML mapping; empty when the text is none."""
    document = yaml.safe_load(text) if text else None
    return document if isinstance(document, dict) else {}


def _count(items: Any, noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _following(identifier: str) -> str:
    section, _dot, number = identifier.rpartition(".")
    return f"{section}.{int(number) + 1}"


def _has(item: str) -> Callable[[str | None], bool]:
    return lambda value: value is not None and item in value.split(",")


def _lacks(item: str) -> Callable[[str | None], bool]:
    return lambda value: value is None or item not in value.split(",")


def _unset_or(wanted: str) -> Callable[[str | None], bool]:
    return lambda value: value in (None, wanted)


def _at_least(least: int) -> Callable[[str | None], bool]:
    return lambda value: value is not None and value.isdigit() and int(value) >= least
