<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Http\Controllers;

use App\Support\Dependencies;
use Illuminate\Http\JsonResponse;

/** 200 when database and Redis answer, else 503 with the reason per part. */
class HealthController
{
    public function __invoke(): JsonResponse
    {
        $checks = [];
        foreach (Dependencies::CHECKS as $name) {
            $reason = Dependencies::reason($name);
            $checks[$name] = $reason === null ? ['ok' => true] : ['ok' => false, 'reason' => $reason];
        }
        $healthy = ! in_array(false, array_column($checks, 'ok'), true);

        return new JsonResponse(
            ['status' => $healthy ? 'ok' : 'unavailable', 'version' => config('app.version'), 'checks' => $checks],
            $healthy ? 200 : 503,
            ['Cache-Control' => 'no-store'],
        );
    }
}
