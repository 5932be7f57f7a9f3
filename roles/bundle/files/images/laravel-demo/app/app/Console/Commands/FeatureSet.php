<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Console\Commands;

use App\Models\Feature;
use Illuminate\Console\Command;

class FeatureSet extends Command
{
    protected $signature = 'feature:set {name : Name of the flag} {state : on or off}';

    protected $description = 'Switch a feature flag without a release';

    public function handle(): int
    {
        $state = $this->argument('state');
        $feature = Feature::query()->where('name', $this->argument('name'))->first();
        if ($feature === null || ! in_array($state, ['on', 'off'], true)) {
            $this->error('The flag must exist ('.Feature::query()->orderBy('name')->pluck('name')->implode(', ').') and the state be "on" or "off".');

            return self::INVALID;
        }
        $feature->update(['enabled' => $state === 'on']);
        $this->line($feature->wasChanged() ? "$feature->name is $state now." : "$feature->name was $state already.");

        return self::SUCCESS;
    }
}
