<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

namespace App\Support;

/** Writes the Prometheus text exposition format, version 0.0.4; samples of one metric stay together. */
class PrometheusText
{
    /** @var array<string, array{help: string, samples: list<string>}> */
    private array $metrics = [];

    /** @param array<string, string> $labels */
    public function gauge(string $name, string $help, int|float $value, array $labels = []): void
    {
        $pairs = [];
        foreach ($labels as $label => $text) {
            $pairs[] = $label.'="'.strtr($text, ['\\' => '\\\\', '"' => '\\"', "\n" => '\\n']).'"';
        }
        $this->metrics[$name] ??= ['help' => $help, 'samples' => []];
        $this->metrics[$name]['samples'][] = $name.($pairs ? '{'.implode(',', $pairs).'}' : '').' '.$value;
    }

    public function render(): string
    {
        $text = '';
        foreach ($this->metrics as $name => $metric) {
            $text .= "# HELP $name {$metric['help']}\n# TYPE $name gauge\n".implode("\n", $metric['samples'])."\n";
        }

        return $text;
    }
}
