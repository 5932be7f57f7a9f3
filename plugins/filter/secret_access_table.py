# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the answers of all control planes about a Secret into one table."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret_access_table
short_description: Put the answers of all control planes about a Secret into one table
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Adds up what the audit logs of several API servers say about the same user, verb and program.
positional: _input
options:
  _input:
    description: Results of M(onprem.platform.secret_access_info) by inventory host name.
    type: dict
    required: true
  rows:
    description: Return mappings for programs instead of lines for people.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show who read a Secret
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: access} | onprem.platform.secret_access_table }}"
"""

RETURN = r"""
_value:
  description:
    - Lines of a table, or with O(rows=true) a mapping with C(accesses) (as
      RV(onprem.platform.secret_access_info#module:accesses), with C(hosts)) and C(complete_since), the time from which
      on every log is there.
  type: raw
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

_KEYS = ("user", "impersonated", "verb", "scope", "allowed", "code", "agent", "addresses")
_HEADINGS = ("last", "requests", "who", "verb", "scope", "outcome", "by", "from", "on")


def _rows(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    together: dict[tuple[Any, ...], dict[str, Any]] = {}
    for host, answer in answers.items():
        for access in answer["accesses"]:
            known = together.setdefault(tuple(access[key] for key in _KEYS), {**access, "requests": 0, "hosts": []})
            known["requests"] += access["requests"]
            known["first"] = min(known["first"], access["first"])
            known["last"] = max(known["last"], access["last"])
            known["content_logged"] |= access["content_logged"]
            known["hosts"].append(host)
    since = max((str(answer["oldest"]) for answer in answers.values()), default="")
    return {"accesses": sorted(together.values(), key=lambda row: row["last"]), "complete_since": since}


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    who = f"{row['impersonated']} (by {row['user']})" if row["impersonated"] else row["user"]
    word = "" if row["allowed"] else " refused" if row["code"] in (401, 403) else " failed"
    return (
        row["last"],
        str(row["requests"]),
        who,
        row["verb"],
        row["scope"],
        f"{row['code']}{word}",
        row["agent"].split(" ")[0],
        row["addresses"],
        ",".join(row["hosts"]),
    )


def secret_access_table(answers: Mapping[str, Mapping[str, Any]], rows: bool = False) -> Any:
    """See DOCUMENTATION."""
    try:
        found = _rows(answers)
        if rows:
            return found
        cells = [_HEADINGS, *map(_cells, found["accesses"])]
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(f"secret_access_table needs results of secret_access_info: {error!r}") from error
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells]
    since = found["complete_since"]
    return [*lines, f"The logs of {', '.join(answers)} are complete since {since}." if since else "The logs are empty."]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"secret_access_table": secret_access_table}
