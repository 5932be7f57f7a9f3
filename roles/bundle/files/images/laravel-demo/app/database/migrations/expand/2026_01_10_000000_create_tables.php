<?php

// Copyright: (c) 2026, onprem.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\DB;

// One complete statement per table: DDL is not transactional, so a killed migration is repeated from the start and
// must neither fail on a table that exists nor leave one without its indexes (the schema builder adds them later).
return new class extends Migration
{
    public function up(): void
    {
        // legacy_code was written by the service that preceded 1.0.0. Version 1 neither reads nor writes it;
        // version 2 drops it.
        DB::statement('create table if not exists bracelets (
            id bigint unsigned not null auto_increment primary key,
            number int unsigned not null unique,
            phone varchar(20) not null,
            status varchar(20) not null,
            legacy_code varchar(40) null,
            created_at timestamp null,
            updated_at timestamp null,
            index (status)
        )');
        DB::statement('create table if not exists features (
            id bigint unsigned not null auto_increment primary key,
            name varchar(60) not null unique,
            enabled boolean not null,
            created_at timestamp null,
            updated_at timestamp null
        )');
        DB::statement('create table if not exists sms_gateway (
            id tinyint unsigned not null primary key,
            up boolean not null,
            balance_cents int not null,
            created_at timestamp null,
            updated_at timestamp null
        )');
        DB::statement('create table if not exists sms_messages (
            id bigint unsigned not null auto_increment primary key,
            phone varchar(20) not null,
            text varchar(200) not null,
            created_at timestamp null
        )');
        DB::statement('create table if not exists statistics (
            day date not null primary key,
            confirmed int unsigned not null,
            unconfirmed int unsigned not null,
            recorded_at timestamp null
        )');
        DB::statement('create table if not exists failed_jobs (
            id bigint unsigned not null auto_increment primary key,
            uuid varchar(40) not null unique,
            connection text not null,
            queue text not null,
            payload longtext not null,
            exception longtext not null,
            failed_at timestamp not null default current_timestamp
        )');
    }
};
