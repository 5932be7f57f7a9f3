<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** A feature flag; read from the database at each use, so that a switch needs no new release. */
class Feature extends Model
{
    protected $fillable = ['name', 'enabled'];

    protected $casts = ['enabled' => 'boolean'];

    public static function enabled(string $name): bool
    {
        return (bool) self::query()->where('name', $name)->value('enabled');
    }
}
