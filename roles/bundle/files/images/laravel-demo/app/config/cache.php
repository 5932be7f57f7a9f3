<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

return [
    'default' => env('CACHE_DRIVER', 'redis'),
    'stores' => [
        'redis' => ['driver' => 'redis', 'connection' => 'default', 'lock_connection' => 'default'],
        // For jobs that may reach the database only.
        'array' => ['driver' => 'array', 'serialize' => false],
    ],
    'prefix' => 'cache:',
];
