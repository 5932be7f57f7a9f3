<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\DB;

// Nullable: version 1 goes on inserting rows without the column until its last pod has ended, and after a rollback.
return new class extends Migration
{
    public function up(): void
    {
        DB::statement('alter table bracelets add column if not exists check_digit tinyint unsigned null after number');
    }
};
