<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

define('LARAVEL_START', microtime(true));

require __DIR__.'/../bootstrap/autoload.php';

$application = require __DIR__.'/../bootstrap/app.php';
$kernel = $application->make(Illuminate\Contracts\Http\Kernel::class);
$request = Illuminate\Http\Request::capture();
$response = $kernel->handle($request)->send();
$kernel->terminate($request, $response);
