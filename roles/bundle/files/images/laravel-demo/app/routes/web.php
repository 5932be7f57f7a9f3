<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use App\Http\Controllers\BraceletController;
use Illuminate\Support\Facades\Route;

Route::get('/', [BraceletController::class, 'index']);
Route::post('/', [BraceletController::class, 'register']);
