# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Licences of what the bundle has: only known ones, and those that bind a user are told to the user."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import Artefact, load_lock
from ansible_collections.onprem.platform.tests.rules.project import ROOT

# SPDX identifiers. Whoever passes a bundle on under these keeps the notices, which are in the images.
PERMISSIVE = {"Apache-2.0", "BSD-3-Clause", "MIT", "MPL-2.0", "ISC"}
# Whoever passes a bundle on offers the source too: the lock names where it is from. LicenseRef-Debian is a selection of
# Debian's packages with a licence file each.
COPYLEFT = {"GPL-2.0-only", "GPL-3.0-or-later", "LicenseRef-Debian"}
# What one may do with the running program is limited.
BINDING = {"AGPL-3.0-only", "BUSL-1.1"}
LOCK = load_lock(ROOT / "roles/bundle/files/lock.yml")
LICENSED = [*LOCK.components.values(), *LOCK.artefacts]


@pytest.mark.parametrize("item", LICENSED, ids=lambda item: f"{type(item).__name__}-{item.name}")
def test_licence_is_known(item: Artefact) -> None:
    assert item.licence in PERMISSIVE | COPYLEFT | BINDING


def test_binding_licences_are_told() -> None:
    bound = [item for item in LICENSED if item.licence in BINDING]
    guide = (ROOT / "docs/bundle.md").read_text(encoding="utf-8")
    assert {item.licence for item in bound} == BINDING
    assert [item.name for item in bound if f"`{item.licence}`" not in guide or item.name not in guide.lower()] == []
    # Each run shows the notices of artefacts; one per program is enough, and an image stands for its component.
    told = {item.name for item in LOCK.artefacts if item.notice}
    assert {item.name for item in bound} <= told
