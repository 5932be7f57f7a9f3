<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Facades\DB;
use RuntimeException;

/** Stands for the telephone company's service: one row with a state and a prepaid balance. */
class SmsGateway extends Model
{
    protected $table = 'sms_gateway';

    protected $fillable = ['up', 'balance_cents'];

    protected $casts = ['up' => 'boolean', 'balance_cents' => 'integer'];

    public static function current(): self
    {
        return self::query()->findOrFail(1);
    }

    /** @throws RuntimeException when the gateway is down or the balance does not cover the message */
    public static function send(string $phone, string $text): void
    {
        $price = config('sms.price_cents');
        DB::transaction(function () use ($phone, $text, $price) {
            $paid = self::query()->whereKey(1)->where('up', true)->where('balance_cents', '>=', $price)
                ->decrement('balance_cents', $price);
            if ($paid === 0) {
                throw new RuntimeException('The SMS gateway is down or has no balance.');
            }
            DB::table('sms_messages')->insert(['phone' => $phone, 'text' => $text, 'created_at' => now()]);
        });
    }
}
