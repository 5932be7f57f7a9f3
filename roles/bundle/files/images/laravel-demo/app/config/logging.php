<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

$stderr = [
    'driver' => 'monolog',
    'level' => env('LOG_LEVEL', 'info'),
    'handler' => Monolog\Handler\StreamHandler::class,
    'with' => ['stream' => 'php://stderr'],
    'formatter' => App\Logging\JsonLineFormatter::class,
];

return [
    'default' => 'stderr',
    'deprecations' => ['channel' => 'null', 'trace' => false],
    'channels' => [
        'stderr' => $stderr,
        'emergency' => $stderr,
        'null' => ['driver' => 'monolog', 'handler' => Monolog\Handler\NullHandler::class],
    ],
];
