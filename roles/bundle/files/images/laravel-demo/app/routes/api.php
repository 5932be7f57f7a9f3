<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use App\Http\Controllers\BraceletController;
use App\Http\Controllers\HealthController;
use App\Http\Controllers\MetricsController;
use Illuminate\Support\Facades\Route;

// Without session and cookies: these answer machines, and /healthz must answer when Redis is down.
Route::get('/healthz', HealthController::class);
Route::get('/metrics', MetricsController::class);
Route::prefix('api/bracelets')->group(function () {
    Route::post('/', [BraceletController::class, 'store']);
    Route::get('/{number}', [BraceletController::class, 'show'])->whereNumber('number');
    Route::post('/{number}/confirm', [BraceletController::class, 'confirm'])->whereNumber('number');
    Route::post('/{number}/found', [BraceletController::class, 'found'])->whereNumber('number');
});
