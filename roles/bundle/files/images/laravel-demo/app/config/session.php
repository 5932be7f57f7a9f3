<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

return [
    'driver' => 'redis',
    'connection' => 'default',
    'store' => 'redis',
    'lifetime' => 30,
    'expire_on_close' => true,
    'encrypt' => true,
    'lottery' => [0, 100],
    'cookie' => 'laravel_demo_session',
    'path' => '/',
    'domain' => null,
    'secure' => (bool) env('SESSION_SECURE_COOKIE', false),
    'http_only' => true,
    'same_site' => 'strict',
];
