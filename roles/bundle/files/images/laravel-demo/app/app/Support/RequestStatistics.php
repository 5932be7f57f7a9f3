<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Support;

use Illuminate\Support\Facades\Redis;

/**
 * Requests by class of status, and their durations, added up over all pods in one Redis hash.
 *
 * Visitors only: probes and scrapes are left out by the caller. Without Redis a request is not counted; that time shows as
 * app_dependency_up 0.
 */
class RequestStatistics
{
    private const KEY = 'statistics:requests';

    private const CLASSES = ['2xx', '3xx', '4xx', '5xx'];

    /** Upper bounds in seconds. */
    private const BOUNDS = ['0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10'];

    public static function count(int $status, float $seconds): void
    {
        $bucket = '+Inf';
        foreach (self::BOUNDS as $bound) {
            if ($seconds <= (float) $bound) {
                $bucket = $bound;
                break;
            }
        }
        $class = max(2, min(5, intdiv($status, 100))).'xx';
        Redis::connection()->pipeline(function ($pipe) use ($class, $bucket, $seconds) {
            $pipe->hIncrBy(self::KEY, "status:$class", 1);
            $pipe->hIncrBy(self::KEY, "bucket:$bucket", 1);
            $pipe->hIncrByFloat(self::KEY, 'seconds', round($seconds, 6));
        });
    }

    /** Every class and bucket is written, also while it is 0: a counter that begins at 1 hides its first event. */
    public static function write(PrometheusText $text): void
    {
        $stored = Redis::connection()->hgetall(self::KEY);
        foreach (self::CLASSES as $class) {
            $text->counter('app_http_requests_total', 'Requests of visitors by class of status.', (int) ($stored["status:$class"] ?? 0), ['status' => $class]);
        }
        $buckets = [];
        foreach ([...self::BOUNDS, '+Inf'] as $bound) {
            $buckets[$bound] = (int) ($stored["bucket:$bound"] ?? 0);
        }
        $text->histogram('app_http_request_duration_seconds', 'Seconds to answer a visitor.', $buckets, (float) ($stored['seconds'] ?? 0));
    }
}
