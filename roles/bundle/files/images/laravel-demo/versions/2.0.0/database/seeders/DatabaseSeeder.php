<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace Database\Seeders;

use Illuminate\Database\Seeder;
use Illuminate\Support\Facades\DB;

/** Rows that must exist. Runs at each release: adds what is missing, never changes what operators or users set. */
class DatabaseSeeder extends Seeder
{
    public function run(): void
    {
        $stamps = ['created_at' => now(), 'updated_at' => now()];
        $bracelets = [];
        foreach (range(100001, 100021) as $number) {
            $bracelets[] = [
                'number' => $number,
                'phone' => "+4900000$number",
                'status' => $number === 100021 ? 'unconfirmed' : 'confirmed',
            ] + $stamps;
        }
        DB::table('bracelets')->insertOrIgnore($bracelets);
        DB::table('features')->insertOrIgnore([
            ['name' => 'maintenance-notice', 'enabled' => false] + $stamps,
            ['name' => 'registration-sms', 'enabled' => true] + $stamps,
        ]);
        DB::table('sms_gateway')->insertOrIgnore(['id' => 1, 'up' => true, 'balance_cents' => 100000] + $stamps);
        $this->call(CheckDigitSeeder::class);
    }
}
