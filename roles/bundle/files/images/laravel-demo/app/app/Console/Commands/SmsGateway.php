<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Console\Commands;

use App\Models\SmsGateway as Gateway;
use Illuminate\Console\Command;

class SmsGateway extends Command
{
    protected $signature = 'sms:gateway {--balance= : Balance in euro} {--up : Accept messages} {--down : Refuse messages}';

    protected $description = 'Show or set the state of the demonstration SMS gateway';

    public function handle(): int
    {
        $gateway = Gateway::current();
        $balance = $this->option('balance');
        if (($balance !== null && ! is_numeric($balance)) || ($this->option('up') && $this->option('down'))) {
            $this->error('--balance takes a number, and only one of --up and --down can be given.');

            return self::INVALID;
        }
        if ($balance !== null) {
            $gateway->balance_cents = (int) round(100 * (float) $balance);
        }
        if ($this->option('up') || $this->option('down')) {
            $gateway->up = $this->option('up');
        }
        $gateway->save();
        $this->line(json_encode(['up' => $gateway->up, 'balance_eur' => $gateway->balance_cents / 100]));

        return self::SUCCESS;
    }
}
