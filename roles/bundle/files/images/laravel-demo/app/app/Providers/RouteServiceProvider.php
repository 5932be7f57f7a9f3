<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Providers;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider as ServiceProvider;
use Illuminate\Support\Facades\Route;

class RouteServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        $this->routes(function () {
            Route::middleware('web')->group(base_path('routes/web.php'));
            Route::group([], base_path('routes/api.php'));
        });
    }
}
