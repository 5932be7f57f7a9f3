# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one module of the collection with the arguments that come as JSON on standard input."""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils.testing import patch_module_args

module = importlib.import_module(f"ansible_collections.onprem.platform.plugins.modules.{sys.argv[1]}")
with patch_module_args(json.load(sys.stdin)):
    module.main()
