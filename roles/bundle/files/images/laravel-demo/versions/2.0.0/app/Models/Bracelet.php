<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** A numbered wristband with a check digit that finds mistyped numbers; the telephone number is never given out. */
class Bracelet extends Model
{
    public const STATUSES = ['confirmed', 'unconfirmed'];

    protected $fillable = ['number', 'phone', 'status'];

    protected $visible = ['number', 'status', 'check_digit', 'created_at'];

    protected $casts = ['number' => 'integer'];

    protected static function booted(): void
    {
        static::creating(function (Bracelet $bracelet) {
            $bracelet->setAttribute('check_digit', self::checkDigit($bracelet->number));
        });
    }

    /** Rows that version 1 writes during the rollout, or after a rollback, have no stored digit. */
    public function getCheckDigitAttribute(?int $stored): int
    {
        return $stored ?? self::checkDigit($this->number);
    }

    /** Luhn's algorithm (ISO/IEC 7812-1, annex B). */
    public static function checkDigit(int $number): int
    {
        $sum = 0;
        foreach (array_reverse(str_split((string) $number)) as $position => $digit) {
            $value = (int) $digit * ($position % 2 === 0 ? 2 : 1);
            $sum += intdiv($value, 10) + $value % 10;
        }

        return (10 - $sum % 10) % 10;
    }
}
