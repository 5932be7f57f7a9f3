<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Http\Middleware;

use App\Support\Trace;
use Closure;
use Illuminate\Http\Request;
use Symfony\Component\HttpFoundation\Response;

/** Gives each request a trace id and tells the client which version answered. */
class TraceRequest
{
    public function handle(Request $request, Closure $next): Response
    {
        $id = Trace::start($request->header('traceparent') ?? $request->header('X-Request-Id'));
        $response = $next($request);
        $response->headers->set('X-Trace-Id', $id);
        $response->headers->set('X-Application-Version', config('app.version'));

        return $response;
    }
}
