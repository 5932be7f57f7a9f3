# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of the tokens that roles of auth methods issue; all methods have them in common."""

from __future__ import annotations

from typing import Any

from ._compare import Field, boolean, cidrs, integer, seconds, unordered

TOKEN_OPTIONS: dict[str, Any] = {
    "token_policies": {"type": "list", "elements": "str", "no_log": False},
    "token_ttl": {"type": "str", "no_log": False},
    "token_max_ttl": {"type": "str", "no_log": False},
    "token_explicit_max_ttl": {"type": "str", "no_log": False},
    "token_period": {"type": "str", "no_log": False},
    "token_num_uses": {"type": "int", "no_log": False},
    "token_type": {
        "type": "str",
        "choices": ["default", "service", "batch", "default-service", "default-batch"],
        "no_log": False,
    },
    "token_bound_cidrs": {"type": "list", "elements": "str", "no_log": False},
    "token_no_default_policy": {"type": "bool"},
}
TOKEN_FIELDS = (
    Field("token_policies", unordered),
    Field("token_ttl", seconds),
    Field("token_max_ttl", seconds),
    Field("token_explicit_max_ttl", seconds),
    Field("token_period", seconds),
    Field("token_num_uses", integer),
    Field("token_type", absent="default"),
    Field("token_bound_cidrs", cidrs),
    Field("token_no_default_policy", boolean),
)
