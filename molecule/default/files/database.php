<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Run in a pod of the application. Prints as JSON who the database takes the application for, the columns of its table,
// and whether the administrator's password on standard input still opens it.

/** Opens the application's database as somebody. */
function connect(array $settings, string $user, string $password): PDO
{
    $source = "mysql:host={$settings['DB_HOST']};port={$settings['DB_PORT']};dbname={$settings['DB_DATABASE']}";

    return new PDO($source, $user, $password);
}

$settings = parse_ini_file('/srv/app/.env', false, INI_SCANNER_RAW) + getenv();
$database = connect($settings, $settings['DB_USERNAME'], $settings['DB_PASSWORD']);
$columns = $database->query('SHOW COLUMNS FROM bracelets')->fetchAll(PDO::FETCH_COLUMN);
$administrator = 'accepted';
try {
    connect($settings, 'vault', trim(stream_get_contents(STDIN)));
} catch (PDOException $refusal) {
    // 1045 is the server's own refusal of user or password; anything else proves nothing.
    $administrator = $refusal->getCode() === 1045 ? 'refused' : 'unknown';
}
echo json_encode([
    'user' => $database->query('SELECT CURRENT_USER()')->fetchColumn(),
    'columns' => $columns,
    'administrator' => $administrator,
]);
