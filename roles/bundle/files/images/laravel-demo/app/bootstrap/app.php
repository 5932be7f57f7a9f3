<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use Illuminate\Foundation\Application;

// The root file system is read-only: everything the framework writes (compiled views, manifests) goes to a
// temporary directory. The manifests hold class names only, no configuration and no secret.
$storage = getenv('LARAVEL_STORAGE_PATH') ?: '/tmp/storage';
foreach (['framework/views', 'framework/cache', 'bootstrap', 'logs'] as $directory) {
    if (! is_dir("$storage/$directory") && ! @mkdir("$storage/$directory", 0700, true) && ! is_dir("$storage/$directory")) {
        throw new RuntimeException("Cannot create $storage/$directory: mount a writable volume there.");
    }
}
foreach (['APP_SERVICES_CACHE' => 'services', 'APP_PACKAGES_CACHE' => 'packages'] as $variable => $manifest) {
    $_ENV[$variable] = $_SERVER[$variable] = "$storage/bootstrap/$manifest.php";
}

$application = new Application(dirname(__DIR__));
$application->useStoragePath($storage);
$application->singleton(Illuminate\Contracts\Http\Kernel::class, App\Http\Kernel::class);
$application->singleton(Illuminate\Contracts\Console\Kernel::class, App\Console\Kernel::class);
$application->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, App\Exceptions\Handler::class);

return $application;
