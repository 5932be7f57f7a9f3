<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Http\Controllers;

use App\Models\Bracelet;
use App\Models\SmsGateway;
use App\Support\Dependencies;
use App\Support\PrometheusText;
use App\Support\RequestStatistics;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Queue;
use Illuminate\Support\Facades\Redis;
use Throwable;

/**
 * Prometheus text format. A backing service that is down costs its own metrics and shows as app_dependency_up 0;
 * the rest is still answered.
 */
class MetricsController
{
    public function __invoke(Request $request): Response
    {
        // Set by nginx on its metrics port; a client cannot set a FastCGI parameter of this name.
        abort_unless($request->server('METRICS_LISTENER') === '1', 404);
        $text = new PrometheusText;
        $text->gauge('app_build_info', 'Versions of this build.', 1, [
            'version' => config('app.version'),
            'php' => PHP_VERSION,
            'framework' => app()->version(),
            'environment' => app()->environment(),
        ]);
        $text->gauge('app_system_load1', 'Load average of the node over one minute.', sys_getloadavg()[0]);
        $text->gauge('app_process_resident_memory_bytes', 'Resident memory of the answering process.', $this->residentMemory());
        foreach (Dependencies::CHECKS as $name) {
            $up = Dependencies::reason($name) === null;
            $text->gauge('app_dependency_up', 'Whether the backing service answers.', (int) $up, ['dependency' => $name]);
            if ($up) {
                $this->collect($text, $name);
            }
        }

        return new Response($text->render(), 200, ['Content-Type' => 'text/plain; version=0.0.4; charset=utf-8']);
    }

    private function collect(PrometheusText $text, string $name): void
    {
        try {
            $name === 'redis' ? $this->redis($text) : $this->database($text);
        } catch (Throwable $error) {
            // Before the first migration there are no tables yet.
            Log::warning("metrics of $name are incomplete", ['exception' => $error]);
        }
    }

    private function redis(PrometheusText $text): void
    {
        $this->queue($text);
        RequestStatistics::write($text);
    }

    private function queue(PrometheusText $text): void
    {
        $redis = Redis::connection();
        $states = [
            'pending' => (int) $redis->llen('queues:default'),
            'delayed' => (int) $redis->zcard('queues:default:delayed'),
            'reserved' => (int) $redis->zcard('queues:default:reserved'),
            'completed' => (int) $redis->get('jobs:completed'),
        ];
        $text->gauge('queue_size', 'Jobs in the queue in any state.', Queue::size('default'), ['queue' => 'default']);
        $text->gauge('queue_reserved_jobs', 'Jobs taken by a worker.', $states['reserved'], ['queue' => 'default']);
        foreach ($states as $state => $count) {
            $text->gauge('app_jobs', 'Jobs by state.', $count, ['state' => $state]);
        }
    }

    private function database(PrometheusText $text): void
    {
        $text->gauge('app_jobs', 'Jobs by state.', DB::table('failed_jobs')->count(), ['state' => 'failed']);
        $counts = Bracelet::query()->selectRaw('status, count(*) as number')->groupBy('status')->pluck('number', 'status');
        foreach (Bracelet::STATUSES as $status) {
            $text->gauge('app_bracelets', 'Registered bracelets by status.', (int) ($counts[$status] ?? 0), ['status' => $status]);
        }
        $recorded = DB::table('statistics')->max('recorded_at');
        if ($recorded !== null) {
            $text->gauge('app_scheduler_last_run_timestamp_seconds', 'Last run of the scheduled command.', strtotime("$recorded UTC"));
        }
        $gateway = SmsGateway::current();
        $text->gauge('app_sms_gateway_up', 'Whether the SMS gateway accepts messages.', (int) $gateway->up);
        $text->gauge('app_sms_gateway_balance_eur', 'Prepaid balance at the SMS gateway.', $gateway->balance_cents / 100);
    }

    private function residentMemory(): int
    {
        preg_match('/^VmRSS:\s+(\d+) kB$/m', (string) file_get_contents('/proc/self/status'), $match);

        return 1024 * (int) $match[1];
    }
}
