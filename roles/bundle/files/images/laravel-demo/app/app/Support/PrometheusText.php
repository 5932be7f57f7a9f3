<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Support;

/** Writes the Prometheus text exposition format, version 0.0.4; samples of one metric stay together. */
class PrometheusText
{
    /** @var array<string, array{type: string, help: string, samples: list<string>}> */
    private array $metrics = [];

    /** @param array<string, string> $labels */
    public function gauge(string $name, string $help, int|float $value, array $labels = []): void
    {
        $this->sample('gauge', $name, $help, $name, $value, $labels);
    }

    /** @param array<string, string> $labels */
    public function counter(string $name, string $help, int|float $value, array $labels = []): void
    {
        $this->sample('counter', $name, $help, $name, $value, $labels);
    }

    /** @param array<string, int> $buckets events by upper bound, in ascending order, each event in one bucket; the last is +Inf */
    public function histogram(string $name, string $help, array $buckets, float $sum): void
    {
        $count = 0;
        foreach ($buckets as $bound => $events) {
            $count += $events;
            $this->sample('histogram', $name, $help, "{$name}_bucket", $count, ['le' => (string) $bound]);
        }
        $this->sample('histogram', $name, $help, "{$name}_sum", $sum);
        $this->sample('histogram', $name, $help, "{$name}_count", $count);
    }

    /** @param array<string, string> $labels */
    private function sample(string $type, string $metric, string $help, string $name, int|float $value, array $labels = []): void
    {
        $pairs = [];
        foreach ($labels as $label => $text) {
            $pairs[] = $label.'="'.strtr($text, ['\\' => '\\\\', '"' => '\\"', "\n" => '\\n']).'"';
        }
        $this->metrics[$metric] ??= ['type' => $type, 'help' => $help, 'samples' => []];
        $this->metrics[$metric]['samples'][] = $name.($pairs ? '{'.implode(',', $pairs).'}' : '').' '.$value;
    }

    public function render(): string
    {
        $text = '';
        foreach ($this->metrics as $name => $metric) {
            $text .= "# HELP $name {$metric['help']}\n# TYPE $name {$metric['type']}\n".implode("\n", $metric['samples'])."\n";
        }

        return $text;
    }
}
