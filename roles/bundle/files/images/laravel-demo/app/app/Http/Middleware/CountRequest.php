<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Http\Middleware;

use App\Support\RequestStatistics;
use Closure;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Log;
use Symfony\Component\HttpFoundation\Response;
use Throwable;

/** Counts a request when its answer has been sent, so that the visitor never waits for it and never sees it fail. */
class CountRequest
{
    public function handle(Request $request, Closure $next): Response
    {
        return $next($request);
    }

    public function terminate(Request $request, Response $response): void
    {
        if ($request->is('healthz', 'metrics')) {
            return;
        }
        try {
            RequestStatistics::count($response->getStatusCode(), microtime(true) - $request->server('REQUEST_TIME_FLOAT'));
        } catch (Throwable $error) {
            Log::warning('the request is not counted', ['exception' => $error]);
        }
    }
}
