<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Support;

use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Redis;
use Throwable;

/** Answers whether the backing services work, with a reason that names no host and no user. */
class Dependencies
{
    public const CHECKS = ['database', 'redis'];

    /** @return string|null why the service cannot be used, or null when it answers */
    public static function reason(string $name): ?string
    {
        try {
            match ($name) {
                'database' => DB::select('select 1'),
                'redis' => Redis::connection()->ping(),
            };

            return null;
        } catch (Throwable $error) {
            // The details are for the operators' log; the answer is public.
            Log::error("$name is unavailable", ['exception' => $error]);

            return self::describe($error);
        }
    }

    private static function describe(Throwable $error): string
    {
        $message = $error->getMessage();

        return match (true) {
            (bool) preg_match('/Access denied|NOAUTH|WRONGPASS|NOPERM/', $message) => 'access denied',
            str_contains($message, 'Unknown database') => 'database does not exist',
            (bool) preg_match('/refused|timed out|read error|No route|getaddrinfo|gone away|went away|No such file/i', $message) => 'unreachable',
            default => 'error',
        };
    }
}
