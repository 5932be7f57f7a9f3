<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Logging;

use App\Support\Trace;
use Monolog\Formatter\NormalizerFormatter;
use Monolog\LogRecord;
use Throwable;

/** One JSON object per line: time, level, message, trace_id, version and the context. */
class JsonLineFormatter extends NormalizerFormatter
{
    public function format(LogRecord $record): string
    {
        $line = [
            'time' => $record->datetime->format('Y-m-d\TH:i:s.vP'),
            'level' => strtolower($record->level->getName()),
            'message' => $record->message,
            'trace_id' => Trace::id(),
            'version' => config('app.version'),
        ];
        if ($record->context !== []) {
            $line['context'] = $this->normalize($record->context);
        }

        return $this->toJson($line, true)."\n";
    }

    /** Class, message, place: a full stack would exceed one log line, and its arguments may hold secrets. */
    protected function normalizeException(Throwable $e, int $depth = 0): array
    {
        return [
            'class' => $e::class,
            'code' => $e->getCode(),
            'message' => $e->getMessage(),
            'file' => $e->getFile().':'.$e->getLine(),
        ];
    }
}
