<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

return [
    // Price of one message, in cents of a euro.
    'price_cents' => (int) env('SMS_PRICE_CENTS', 8),
];
