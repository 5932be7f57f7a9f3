<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\DB;

// Version 1 neither reads nor writes legacy_code, so a rollback by one version stays possible.
return new class extends Migration
{
    public function up(): void
    {
        DB::statement('alter table bracelets drop column if exists legacy_code');
    }
};
