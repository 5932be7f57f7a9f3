<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace Database\Seeders;

use App\Models\Bracelet;
use Illuminate\Database\Seeder;
use Illuminate\Support\Facades\DB;

/** Back-fills the check digit of rows that version 1 wrote; in small steps, so that no lock is held for long. */
class CheckDigitSeeder extends Seeder
{
    public function run(): void
    {
        DB::table('bracelets')->whereNull('check_digit')->select(['id', 'number'])->chunkById(500, function ($rows) {
            foreach ($rows as $row) {
                DB::table('bracelets')->where('id', $row->id)->update(['check_digit' => Bracelet::checkDigit($row->number)]);
            }
        });
    }
}
