<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Ends when the agent beside it has rendered the environment file: `php wait.php FILE SECONDS`.

[, $file, $seconds] = $argv;
for ($end = time() + (int) $seconds; ! is_readable($file); usleep(200_000)) {
    clearstatcache();
    if (time() > $end) {
        fwrite(STDERR, "$file is not there after $seconds s: see the log of the container agent.\n");
        exit(1);
    }
}
