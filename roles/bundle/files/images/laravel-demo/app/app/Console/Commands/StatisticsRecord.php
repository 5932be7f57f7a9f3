<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Console\Commands;

use App\Models\Bracelet;
use Illuminate\Console\Command;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Schema;

class StatisticsRecord extends Command
{
    protected $signature = 'statistics:record';

    protected $description = 'Record how many bracelets are registered today';

    public function handle(): int
    {
        if (! Schema::hasTable('statistics')) {
            // The scheduler runs before the first migration has ended.
            Log::info('statistics skipped: the schema is not there yet');

            return self::SUCCESS;
        }
        $counts = Bracelet::query()->selectRaw('status, count(*) as number')->groupBy('status')->pluck('number', 'status');
        $row = ['day' => now()->toDateString(), 'recorded_at' => now()->toDateTimeString()];
        foreach (Bracelet::STATUSES as $status) {
            $row[$status] = (int) ($counts[$status] ?? 0);
        }
        DB::table('statistics')->upsert([$row], ['day'], ['recorded_at', ...Bracelet::STATUSES]);
        Log::info('statistics recorded', $row);

        return self::SUCCESS;
    }
}
