# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The frame of the modules that keep one Flux object (private)."""

from __future__ import annotations

import time
from typing import Any

from ._flux import API_VERSIONS, FluxObject, Reconciler
from ._flux_images import prove_images
from ._flux_status import summary
from ._kube_documents import Document, load_documents, public_view
from ._kube_errors import KubeConfigError
from ._kube_module import KubeModule
from ._kube_object import OBJECT_ARGUMENTS as _COMMON_ARGUMENTS
from ._kube_object import keep as keep_object
from ._kube_object import metadata
from ._kube_resources import Resources

OBJECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    **_COMMON_ARGUMENTS,
    "namespace": {"type": "str", "default": "flux-system"},
    "interval": {"type": "str"},
    "timeout": {"type": "str"},
    "suspend": {"type": "bool"},
    "spec": {"type": "dict", "default": {}, "no_log": True},
    "expected_revision": {"type": "str"},
}


def reference(option: dict[str, Any] | None) -> dict[str, Any] | None:
    """Turn a reference option (kind, name, namespace) into the API's form."""
    return {key: value for key, value in option.items() if value is not None} if option else None


def named(name: str | None) -> dict[str, str] | None:
    """Turn the name of a Secret or other local object into a reference."""
    return {"name": name} if name else None


def build(params: dict[str, Any], kind: str, fields: dict[str, Any]) -> Document:
    """Return the object's document from its common options, ``fields`` of the spec, and the option ``spec``.

    Fields that are None are left out. Raises KubeConfigError if ``spec`` repeats a field that an option sets.
    """
    chosen = {"interval": params["interval"], "timeout": params["timeout"], "suspend": params["suspend"], **fields}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    twice = sorted(set(chosen) & set(params["spec"]))
    if twice:
        raise KubeConfigError(f"spec repeats fields that have options of their own: {', '.join(twice)}")
    document = {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": metadata(params),
        "spec": {**chosen, **params["spec"]},
    }
    return load_documents(document, None)[0]


def keep(module: KubeModule, document: Document) -> dict[str, Any]:
    """Bring the object into its state, wait for Flux if asked to, and return the module's result."""
    params = module.params
    spec = public_view(document, params["hidden_fields"])["spec"]
    module.show("spec", {key: spec[key] for key in params["spec"]})
    if "values" in params:
        module.show("values", spec.get("values"))
    if "substitute" in params:
        module.show("substitute", (spec.get("postBuild") or {}).get("substitute"))
    item = FluxObject(document["kind"], params["namespace"], params["name"])

    def settle(resources: Resources) -> dict[str, Any]:
        deadline, waiter = time.monotonic() + params["wait_timeout"], module.waiter(resources)
        reconciler = Reconciler(module.client, resources, waiter)
        reached = reconciler.wait(item, params["wait_timeout"], params["expected_revision"] or "")
        result: dict[str, Any] = {"flux": summary(reached)}
        if params.get("verify_images"):
            result["images"] = prove_images(module.client, resources, waiter, reached, deadline - time.monotonic())
        return result

    return keep_object(module, document, settle)
