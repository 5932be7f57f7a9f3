<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

return [
    'paths' => [resource_path('views')],
    'compiled' => storage_path('framework/views'),
];
