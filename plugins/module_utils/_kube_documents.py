# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Documents that describe Kubernetes objects: reading, checking, ordering, masking (private)."""

from __future__ import annotations

import base64
import copy
import os
import re
from dataclasses import dataclass
from typing import Any

from ._kube_errors import KubeConfigError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

Document = dict[str, Any]

MASK = "********"
# Kinds that others refer to come first; kinds that act on others' requests (webhooks) come last.
_RANKS = {
    "CustomResourceDefinition": 0,
    "Namespace": 1,
    "PriorityClass": 2,
    "StorageClass": 2,
    "RuntimeClass": 2,
    "IngressClass": 2,
    "ResourceQuota": 2,
    "LimitRange": 2,
    "ServiceAccount": 3,
    "Secret": 3,
    "ConfigMap": 3,
    "ClusterRole": 3,
    "Role": 3,
    "NetworkPolicy": 3,
    "PersistentVolume": 3,
    "PersistentVolumeClaim": 3,
    "ClusterRoleBinding": 4,
    "RoleBinding": 4,
    "Service": 4,
    "ValidatingWebhookConfiguration": 7,
    "MutatingWebhookConfiguration": 7,
    "APIService": 7,
}
_RANK_WORKLOAD = 5
_RANK_CUSTOM = 6
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Object names are one path segment (IsValidPathSegmentName of the API server); RBAC names may hold colons.
_BAD_SEGMENT = re.compile(r"[/%\x00-\x1f]")
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Identity:
    """Which object is meant. ``namespace`` is empty for cluster-scoped objects."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def as_dict(self) -> dict[str, str]:
        return {
            "api_version": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
        }


def identity(document: Document) -> Identity:
    """Return the identity of a checked document."""
    metadata = document["metadata"]
    return Identity(document["apiVersion"], document["kind"], metadata.get("namespace") or "", metadata["name"])


def _loader() -> Any:
    """Return a safe YAML loader that leaves timestamps as text, as the API expects them."""
    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc, valid-type]
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return Loader


def _files(path: str) -> list[str]:
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if name.endswith((".yaml", ".yml", ".json")))
        if not names:
            raise KubeConfigError(f"directory {path} holds no .yaml, .yml or .json file")
        return [os.path.join(path, name) for name in names]
    return [path]


def _parse(text: str, origin: str) -> list[Any]:
    try:
        return [part for part in yaml.load_all(text, Loader=_loader()) if part is not None]
    except yaml.YAMLError as error:
        # The error's own text may quote the line, and with it a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise KubeConfigError(f"{origin} is not valid YAML: {getattr(error, 'problem', '')}{where}") from error


def load_documents(definition: Any, sources: list[str] | None, namespace: str | None = None) -> list[Document]:
    """Return checked documents from inline definitions (mapping, list, YAML text) and from files or directories.

    ``List`` objects are unpacked; ``namespace`` is filled in where a document names none (it is dropped later for
    kinds that are not namespaced). Raises KubeConfigError with the position of the first bad document.
    """
    loaded: list[tuple[str, Any]] = []
    for index, part in enumerate(definition if isinstance(definition, list) else [definition] if definition else []):
        origin = f"definition[{index}]" if isinstance(definition, list) else "definition"
        for item in _parse(part, origin) if isinstance(part, str) else [part]:
            loaded.append((origin, item))
    for source in sources or []:
        for path in _files(source):
            try:
                with open(path, encoding="utf-8") as handle:
                    text = handle.read()
            except OSError as error:
                raise KubeConfigError(f"{path} cannot be read: {error.strerror}") from error
            loaded += [(f"{path} (document {number})", item) for number, item in enumerate(_parse(text, path), 1)]
    documents: list[Document] = []
    seen: dict[Identity, str] = {}
    for origin, item in loaded:
        for document in _unpack(item):
            checked = _checked(document, origin, namespace)
            key = identity(checked)
            if key in seen:
                raise KubeConfigError(f"{key} is described twice: in {seen[key]} and in {origin}")
            seen[key] = origin
            documents.append(checked)
    if not documents:
        raise KubeConfigError("no documents were given", "Set definition or src.")
    return documents


def _unpack(item: Any) -> list[Any]:
    if isinstance(item, list):
        return [inner for part in item for inner in _unpack(part)]
    if isinstance(item, dict) and item.get("kind") == "List" and isinstance(item.get("items"), list):
        return list(item["items"])
    return [item]


def _checked(document: Any, origin: str, namespace: str | None) -> Document:
    if not isinstance(document, dict):
        raise KubeConfigError(f"{origin} is not a mapping")
    metadata = document.get("metadata")
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise KubeConfigError(f"{origin} has no {key}")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise KubeConfigError(f"{origin} ({document['kind']}) has no metadata.name", "generateName cannot be applied.")
    name = metadata["name"]
    if not name or name in (".", "..") or len(name) > 253 or _BAD_SEGMENT.search(name):
        raise KubeConfigError(f"{origin} ({document['kind']}) has the invalid name {name!r}")
    result = copy.deepcopy(document)
    result["metadata"].setdefault("namespace", namespace) if namespace else None
    chosen = result["metadata"].get("namespace")
    if chosen is not None and (not isinstance(chosen, str) or not _LABEL.fullmatch(chosen)):
        raise KubeConfigError(f"{origin} ({document['kind']} {name}) has the invalid namespace {chosen!r}")
    if result["apiVersion"] == "v1" and result["kind"] == "Secret":
        _fold_string_data(result)
    for key in _SERVER_FIELDS:
        result["metadata"].pop(key, None)
    return result


def _fold_string_data(secret: Document) -> None:
    """Write ``stringData`` into ``data`` as the server would; sent as it is, removed keys would stay for ever."""
    plain = secret.pop("stringData", None) or {}
    if plain:
        data = dict(secret.get("data") or {})
        data.update({key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()})
        secret["data"] = data


def rank(document: Document) -> int:
    """Return the phase in which a document is applied (0 first); deletion goes the other way round."""
    kind, group = document["kind"], document["apiVersion"].rpartition("/")[0]
    builtin = "." not in group or group.endswith(".k8s.io")
    if not builtin:
        return _RANK_CUSTOM
    return _RANKS.get(kind, _RANK_WORKLOAD)


def crd_kinds(document: Document) -> set[tuple[str, str]]:
    """Return the (apiVersion, kind) pairs that a CustomResourceDefinition brings, else nothing."""
    if document["kind"] != "CustomResourceDefinition":
        return set()
    spec = document.get("spec") or {}
    return {
        (f"{spec.get('group')}/{version.get('name')}", str((spec.get("names") or {}).get("kind")))
        for version in spec.get("versions") or []
        if version.get("served", True)
    }


def public_view(document: Document | None, hidden: list[str] | None = None) -> Document:
    """Return what may be shown of an object: no status, no server bookkeeping, no Secret value, no hidden field.

    ``hidden`` lists dotted paths such as ``spec.values.password``.
    """
    if not document:
        return {}
    shown: Document = {key: copy.deepcopy(value) for key, value in document.items() if key != "status"}
    metadata = shown.get("metadata") or {}
    for key in _SERVER_FIELDS:
        metadata.pop(key, None)
    annotations = metadata.get("annotations") or {}
    annotations.pop(_LAST_APPLIED, None)
    if "annotations" in metadata and not annotations:
        del metadata["annotations"]
    if shown.get("kind") == "Secret":
        for section in ("data", "stringData"):
            if isinstance(shown.get(section), dict):
                shown[section] = dict.fromkeys(shown[section], MASK)
    for path in hidden or []:
        _hide(shown, path.split("."))
    return shown


def _hide(node: Any, keys: list[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _hide(item, keys)
    elif isinstance(node, dict) and keys[0] in node:
        if len(keys) == 1:
            node[keys[0]] = MASK
        else:
            _hide(node[keys[0]], keys[1:])


def _value_at(node: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(node, dict) or key not in node:
            return None
        node = node[key]
    return node


def _put(node: Document, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value


def public_diff(
    before: Document | None, after: Document | None, header: str, hidden: list[str] | None = None
) -> dict[str, str]:
    """Return one entry for Ansible's ``diff``; masked values that differ are marked ``(changed)`` on the new side."""
    old, new = public_view(before, hidden), public_view(after, hidden)
    paths = [path.split(".") for path in hidden or []]
    if (after or {}).get("kind") == "Secret":
        paths += [["data", key] for key in (after or {}).get("data") or {}]
    for keys in paths:
        if _value_at(new, keys) == MASK and _value_at(old, keys) == MASK:
            changed = _value_at(before, keys) != _value_at(after, keys)
            _put(new, keys, f"{MASK} (changed)" if changed else MASK)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return {
        "before_header": header,
        "after_header": header,
        "before": yaml.dump(old, Dumper=dumper, sort_keys=True) if old else "",
        "after": yaml.dump(new, Dumper=dumper, sort_keys=True) if new else "",
    }


def secret_values(documents: list[Document], hidden: list[str] | None = None) -> set[str]:
    """Return the values of all Secrets, encoded and plain, and of hidden fields, to be struck out of messages."""
    found: set[str] = set()
    for document in documents:
        if document.get("kind") == "Secret":
            for encoded in (document.get("data") or {}).values():
                found.add(str(encoded))
                try:
                    found.add(base64.b64decode(encoded, validate=True).decode())
                except (ValueError, TypeError):
                    continue
        for path in hidden or []:
            found |= texts(_values_at(document, path.split(".")))
    return {value for value in found if value}


def masked(text: str, values: set[str]) -> str:
    """Return the text without these values; the longest go first, because one may be part of another."""
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _values_at(node: Any, keys: list[str]) -> list[Any]:
    """Return what is at a path, in every item of the lists on the way, as :func:`_hide` finds it."""
    if isinstance(node, list):
        return [value for item in node for value in _values_at(item, keys)]
    if not keys:
        return [node]
    return _values_at(node[keys[0]], keys[1:]) if isinstance(node, dict) and keys[0] in node else []


def texts(value: Any) -> set[str]:
    """Return all strings and numbers in a value, as text."""
    if isinstance(value, dict):
        return {text for item in value.values() for text in texts(item)}
    if isinstance(value, (list, tuple)):
        return {text for item in value for text in texts(item)}
    return {str(value)} if value is not None and not isinstance(value, bool) else set()
