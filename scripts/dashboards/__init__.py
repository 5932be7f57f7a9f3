# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's dashboards as code: one module for each dashboard, and what proves their expressions.

``python -m dashboards generate`` writes the JSON files of role ``observability``. ``expressions`` and ``live`` read
only those files and the rule templates, so that they run without Grafana's SDK.
"""
