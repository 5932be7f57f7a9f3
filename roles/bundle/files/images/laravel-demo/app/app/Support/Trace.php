<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Support;

/** The trace id of the request, job or command being handled: 32 hexadecimal digits (W3C Trace Context). */
class Trace
{
    private static ?string $id = null;

    public static function id(): string
    {
        return self::$id ??= bin2hex(random_bytes(16));
    }

    /** Continue a trace: from a `traceparent` header, or from a bare id as nginx's $request_id; else start one. */
    public static function start(?string $parent): string
    {
        $valid = $parent !== null && preg_match('/^(?:[0-9a-f]{2}-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?$/', $parent, $match);
        self::$id = $valid ? $match[1] : bin2hex(random_bytes(16));

        return self::$id;
    }
}
