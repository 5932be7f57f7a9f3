<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Jobs;

use App\Models\SmsGateway;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use Illuminate\Support\Facades\Log;

class SendSms implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    public int $tries = 5;

    /** Seconds between the tries: rides out a restart of the database. */
    public array $backoff = [1, 5, 15, 30];

    public function __construct(private readonly string $phone, private readonly string $text)
    {
    }

    public function handle(): void
    {
        SmsGateway::send($this->phone, $this->text);
        Log::info('message sent', ['job' => $this->job?->uuid()]);
    }
}
