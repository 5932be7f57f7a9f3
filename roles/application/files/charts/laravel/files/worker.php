<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Runs a queue worker and starts a new one when the rendered environment file changes, so that a long-lived worker
// gets rotated credentials: `php worker.php FILE COMMAND [ARGUMENT...]`. SIGTERM lets the worker finish its job.
// It is the container's first process; it needs PHP with pcntl, as a graceful queue worker does, and no shell.

$file = $argv[1];
$command = array_slice($argv, 2);
$stopping = false;
$stop = function () use (&$stopping, &$process): void {
    $stopping = true;
    if (is_resource($process)) {
        proc_terminate($process, SIGTERM);
    }
};
$report = function (string $message): void {
    $line = ['time' => date(DATE_RFC3339_EXTENDED), 'level' => 'info', 'message' => $message];
    fwrite(STDERR, json_encode($line, JSON_UNESCAPED_SLASHES)."\n");
};
pcntl_async_signals(true);
foreach ([SIGTERM, SIGQUIT, SIGINT] as $signal) {
    pcntl_signal($signal, $stop);
}

while (! $stopping) {
    // Taken before the start: a change between start and first look is seen.
    $before = @hash_file('sha256', $file);
    $process = proc_open($command, [STDIN, STDOUT, STDERR], $pipes);
    if ($process === false) {
        exit(127);
    }
    $asked = false;
    while (($status = proc_get_status($process))['running']) {
        sleep(1);
        $now = @hash_file('sha256', $file);
        if (! $asked && $now !== false && $now !== $before) {
            $report("$file changed: the worker ends after its current job");
            proc_terminate($process, SIGTERM);
            $asked = true;
        }
    }
    proc_close($process);
    // A worker that ends by itself with 0 has reached its job, time or memory limit. A failure is for Kubernetes to see
    // and to slow down.
    if ($status['signaled'] && ! $asked && ! $stopping) {
        exit(128 + $status['termsig']);
    }
    if (! $status['signaled'] && $status['exitcode'] !== 0) {
        exit($status['exitcode']);
    }
}
