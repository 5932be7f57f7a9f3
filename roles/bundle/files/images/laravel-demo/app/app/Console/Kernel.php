<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Console;

use Illuminate\Console\Scheduling\Schedule;
use Illuminate\Foundation\Console\Kernel as ConsoleKernel;

class Kernel extends ConsoleKernel
{
    protected $commands = [
        Commands\FeatureSet::class,
        Commands\SmsGateway::class,
        Commands\StatisticsRecord::class,
    ];

    protected function schedule(Schedule $schedule): void
    {
        // Called in this process: a scheduled sub-process would need a shell in the image and boot the framework again.
        $schedule->call(fn () => $this->call('statistics:record'))->name('statistics:record')->everyMinute();
    }
}
