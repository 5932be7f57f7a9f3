<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** A numbered wristband; the telephone number is never given out. */
class Bracelet extends Model
{
    public const STATUSES = ['confirmed', 'unconfirmed'];

    protected $fillable = ['number', 'phone', 'status'];

    protected $visible = ['number', 'status', 'created_at'];

    protected $casts = ['number' => 'integer'];
}
