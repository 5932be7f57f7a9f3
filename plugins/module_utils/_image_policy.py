# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""ClusterImagePolicy objects of sigstore's policy-controller: from options to document, and their status (private).

API: https://github.com/sigstore/policy-controller/blob/v0.13.1/docs/api-types/index.md. What its webhook would fill in
is filled in here, so that a second run finds exactly what it applies.
"""

from __future__ import annotations

import re
from typing import Any

from ._kube_conditions import Progress, condition, describe, describe_all, failed, is_current, progressing, ready
from ._kube_errors import KubeConfigError

API_VERSION = "policy.sigstore.dev/v1beta1"
KIND = "ClusterImagePolicy"
PUBLIC_FULCIO = "https://fulcio.sigstore.dev"
"""What the webhook takes for a keyless authority that names neither an address nor a certificate."""

# option -> field, where they are not the same word in the two spellings
_FIELDS = {"insecure_ignore_sct": "insecureIgnoreSCT", "rfc3161_timestamp": "rfc3161timestamp"}
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]+\n-----END PUBLIC KEY-----\n")
# Conditions that only another policy or another key can make true; ConfigMapUpdated fails for a moment in conflicts.
_DECISIVE = ("KeysInlined", "PoliciesInlined")


def _field(option: str) -> str:
    first, *rest = option.split("_")
    return _FIELDS.get(option, first + "".join(word.capitalize() for word in rest))


def _fields(option: Any) -> Any:
    """Turn options into fields: camel case, without what is not set."""
    if isinstance(option, dict):
        return {_field(key): _fields(value) for key, value in option.items() if value is not None}
    return [_fields(item) for item in option] if isinstance(option, list) else option


def specification(params: dict[str, Any]) -> dict[str, Any]:
    """Return the policy's spec from the module's options; raises KubeConfigError when they contradict each other."""
    authorities = [_authority(index, item) for index, item in enumerate(params["authorities"] or [])]
    names = [authority["name"] for authority in authorities]
    if len(set(names)) < len(names):
        raise KubeConfigError(f"authorities need different names, not {', '.join(names)}")
    spec = {
        "images": [{"glob": glob} for glob in params["images"] or []],
        "mode": params["mode"],
        "authorities": authorities or None,
        "policy": _rule(params["policy"], "policy") if params["policy"] else None,
        "match": [_match(item) for item in params["match"] or []] or None,
    }
    return {key: value for key, value in spec.items() if value is not None}


def _match(option: dict[str, Any]) -> dict[str, Any]:
    # The selector is a LabelSelector in the API's own words.
    return {key: value for key, value in option.items() if value is not None}


def _authority(index: int, option: dict[str, Any]) -> dict[str, Any]:
    option = {key: value for key, value in option.items() if value is not None}
    if "source" in option:
        option["source"] = [{**item, "signature_pull_secrets": _named(item)} for item in option["source"]]
    name = option.get("name") or f"authority-{index}"
    where = f"authority {name}"
    kinds = sorted({"key", "keyless", "static"} & set(option))
    if len(kinds) != 1:
        raise KubeConfigError(
            f"{where} needs exactly one of key, keyless and static, not {' and '.join(kinds) or 'none'}"
        )
    attestations = option.pop("attestations", None)
    fields = {**_fields({key: value for key, value in option.items() if key not in kinds}), "name": name}
    if kinds == ["key"]:
        fields["key"] = _key(option["key"], where)
    elif kinds == ["keyless"]:
        fields["keyless"] = _keyless(option["keyless"], where)
    else:
        static = option["static"]
        fields["static"] = {"action": static["action"], **({"message": static["reason"]} if static["reason"] else {})}
        if attestations:
            raise KubeConfigError(f"{where} is static: it verifies nothing, so it cannot have attestations")
    if attestations:
        fields["attestations"] = [
            {
                "name": item["name"],
                "predicateType": item["predicate_type"],
                **({"policy": _rule(item["policy"], f"{where}: attestation {item['name']}")} if item["policy"] else {}),
            }
            for item in attestations
        ]
    return fields


def _named(source: dict[str, Any]) -> list[dict[str, str]] | None:
    secrets = source.get("signature_pull_secrets")
    return [{"name": name} for name in secrets] if secrets else None


def _key(option: dict[str, Any], where: str) -> dict[str, Any]:
    option = {key: value for key, value in option.items() if value is not None}
    chosen = sorted({"data", "kms", "secret_ref"} & set(option))
    if len(chosen) != 1:
        raise KubeConfigError(
            f"{where}: a key is exactly one of data, kms and secret_ref, not {' and '.join(chosen) or 'none'}"
        )
    if "data" in option:
        option["data"] = public_key(option["data"], where)
    return dict(_fields(option))


def public_key(text: str, where: str) -> str:
    """Return a PEM public key with one line end at its end, whatever spaces surround it; raises KubeConfigError."""
    pem = "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"
    if not _PUBLIC_KEY.fullmatch(pem):
        raise KubeConfigError(f"{where}: the key is no public key in PEM (-----BEGIN PUBLIC KEY-----)")
    return pem


def _keyless(option: dict[str, Any], where: str) -> dict[str, Any]:
    for identity in option["identities"]:
        for name in ("issuer", "subject"):
            given = [key for key in (name, f"{name}_reg_exp") if identity.get(key)]
            if len(given) != 1:
                raise KubeConfigError(f"{where}: an identity needs exactly one of {name} and {name}_reg_exp")
            if given[0].endswith("reg_exp"):
                _check_expression(identity[given[0]], f"{where}: {given[0]}")
    certificate = option.get("ca_cert")
    fields = dict(_fields({key: value for key, value in option.items() if key != "ca_cert"}))
    if certificate:
        fields["ca-cert"] = dict(_fields(certificate))
    else:
        fields.setdefault("url", PUBLIC_FULCIO)
    return fields


def _check_expression(text: str, where: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise KubeConfigError(f"{where} is no regular expression: {error}") from error
    if not (text.startswith("^") and text.endswith("$")):
        # An unanchored expression admits every identity that merely contains the wanted one.
        raise KubeConfigError(f"{where} must begin with ^ and end with $: the controller also accepts a match inside")


def _rule(option: dict[str, Any], where: str) -> dict[str, Any]:
    if (option["data"] is None) == (option["config_map_ref"] is None):
        raise KubeConfigError(f"{where} needs exactly one of data and config_map_ref")
    return dict(_fields(option))


def judge(document: dict[str, Any]) -> Progress:
    """Judge a live policy: ready when the controller has taken exactly this generation into its configuration."""
    if not (document.get("status") or {}).get("conditions"):
        return progressing("policy-controller has not seen it yet")
    if not is_current(document):
        return progressing("policy-controller has not seen the newest change yet")
    for name in _DECISIVE:
        item = condition(document, name)
        if item.get("status") == "False":
            return failed(describe(item))
    item = condition(document, "Ready")
    return ready() if item.get("status") == "True" else progressing(describe_all(document))
