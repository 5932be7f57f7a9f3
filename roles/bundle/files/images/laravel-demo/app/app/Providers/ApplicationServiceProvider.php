<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Providers;

use App\Support\Trace;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\JobProcessing;
use Illuminate\Support\Facades\Event;
use Illuminate\Support\Facades\Queue;
use Illuminate\Support\Facades\Redis;
use Illuminate\Support\ServiceProvider;

class ApplicationServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        // A job continues the trace of the request that queued it.
        Queue::createPayloadUsing(fn () => ['trace_id' => Trace::id()]);
        Event::listen(JobProcessing::class, fn (JobProcessing $event) => Trace::start($event->job->payload()['trace_id'] ?? null));
        Event::listen(JobProcessed::class, fn () => Redis::connection()->incr('jobs:completed'));
    }
}
