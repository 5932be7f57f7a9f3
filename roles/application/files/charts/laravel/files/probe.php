<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Readiness probe: asks php-fpm itself, by FastCGI, as nginx does: `php probe.php ADDRESS SCRIPT PATH`.
// Ends with 0 when the answer is 2xx, else prints the answer, which Kubernetes shows in the pod's events.
// FastCGI 1.0: sections 3.3 (records), 3.4 (name-value pairs), 5.1 (begin), 5.5 (end).

[, $address, $script, $path] = $argv;

$record = fn (int $type, string $content): string => pack('CCnnCC', 1, $type, 1, strlen($content), 0, 0).$content;
$pair = fn (string $name, string $value): string => pack('NN', strlen($name) | 1 << 31, strlen($value) | 1 << 31).$name.$value;

$socket = @stream_socket_client("tcp://$address", $code, $message, 3);
if ($socket === false) {
    fwrite(STDOUT, "php-fpm at $address: $message\n");
    exit(1);
}
stream_set_timeout($socket, 8);
$parameters = [
    'GATEWAY_INTERFACE' => 'CGI/1.1',
    'REQUEST_METHOD' => 'GET',
    'SCRIPT_FILENAME' => $script,
    'SCRIPT_NAME' => '/index.php',
    'REQUEST_URI' => $path,
    'QUERY_STRING' => '',
    'SERVER_PROTOCOL' => 'HTTP/1.1',
    'SERVER_NAME' => 'localhost',
    'SERVER_PORT' => '80',
    'REMOTE_ADDR' => '127.0.0.1',
    'HTTP_HOST' => 'localhost',
];
$pairs = implode('', array_map($pair, array_keys($parameters), $parameters));
fwrite($socket, $record(1, pack('nCx5', 1, 0)).$record(4, $pairs).$record(4, '').$record(5, ''));

$answer = '';
while (strlen($header = (string) stream_get_contents($socket, 8)) === 8) {
    ['type' => $type, 'length' => $length, 'padding' => $padding] = unpack('Cversion/Ctype/nid/nlength/Cpadding', $header);
    $content = (string) stream_get_contents($socket, $length + $padding);
    if ($type === 3) {
        break;
    }
    if ($type === 6) {
        $answer .= substr($content, 0, $length);
    }
}
// php-fpm leaves the Status line out when it is 200.
$status = preg_match('/^Status: (\d{3})/mi', $answer, $match) ? (int) $match[1] : ($answer === '' ? 0 : 200);
if ($status < 200 || $status > 299) {
    fwrite(STDOUT, "$path answers $status: ".trim(substr(strstr($answer, "\r\n\r\n") ?: '', 0, 500))."\n");
    exit(1);
}
