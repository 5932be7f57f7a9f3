<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Debian's package registers the framework's class map itself, so no Composer is needed; only the
// application's own name spaces remain.
require '/usr/share/php/Illuminate/autoload.php';

spl_autoload_register(static function (string $class): void {
    foreach (['App\\' => 'app/', 'Database\\Seeders\\' => 'database/seeders/'] as $prefix => $directory) {
        if (str_starts_with($class, $prefix)) {
            $file = dirname(__DIR__).'/'.$directory.strtr(substr($class, strlen($prefix)), '\\', '/').'.php';
            if (is_file($file)) {
                require $file;
            }
        }
    }
});
