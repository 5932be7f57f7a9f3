<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Http\Controllers;

use App\Jobs\SendSms;
use App\Models\Bracelet;
use App\Models\Feature;
use Illuminate\Foundation\Validation\ValidatesRequests;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\RedirectResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Log;
use Illuminate\View\View;

/** Registers bracelets and tells the parents by SMS when a finder types a number. */
class BraceletController
{
    use ValidatesRequests;

    public function index(): View
    {
        return view('bracelets', [
            'bracelets' => Bracelet::query()->latest('id')->limit(20)->get(),
            'notice' => Feature::enabled('maintenance-notice'),
        ]);
    }

    /** The page's form. */
    public function register(Request $request): RedirectResponse
    {
        $this->create($request);

        return redirect('/');
    }

    public function store(Request $request): JsonResponse
    {
        return new JsonResponse($this->create($request), 201);
    }

    public function show(string $number): JsonResponse
    {
        return new JsonResponse($this->find($number));
    }

    public function confirm(string $number): JsonResponse
    {
        $bracelet = $this->find($number);
        $bracelet->update(['status' => 'confirmed']);

        return new JsonResponse($bracelet);
    }

    public function found(string $number): JsonResponse
    {
        $bracelet = $this->find($number);
        SendSms::dispatch($bracelet->phone, "Bracelet $bracelet->number was found.");
        Log::info('bracelet found', ['number' => $bracelet->number]);

        return new JsonResponse(['queued' => true], 202);
    }

    private function find(string $number): Bracelet
    {
        return Bracelet::query()->where('number', $number)->firstOr(fn () => abort(404, 'No such bracelet.'));
    }

    private function create(Request $request): Bracelet
    {
        $fields = $this->validate($request, [
            'number' => ['required', 'integer', 'between:100000,999999999', 'unique:bracelets,number'],
            'phone' => ['required', 'string', 'regex:/^\+[0-9]{6,15}$/'],
        ]);
        $bracelet = Bracelet::query()->create($fields + ['status' => 'unconfirmed']);
        if (Feature::enabled('registration-sms')) {
            SendSms::dispatch($bracelet->phone, "Please confirm bracelet $bracelet->number.");
        }
        Log::info('bracelet registered', ['number' => $bracelet->number]);

        return $bracelet;
    }
}
