{{-- Copyright: (c) 2026, onprem.platform contributors --}}
{{-- SPDX-License-Identifier: GPL-3.0-or-later --}}
<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <title>{{ config('app.name') }}</title>
    <link rel="stylesheet" href="/application.css">
</head>
<body>
<h1>{{ config('app.name') }}</h1>
@if ($notice)
    <p class="notice">Maintenance is planned for tonight.</p>
@endif
@foreach ($errors->all() as $error)
    <p class="notice">{{ $error }}</p>
@endforeach
<form method="post" action="/">
    @csrf
    <label>Number <input name="number" required pattern="[0-9]{6,9}" value="{{ old('number') }}"></label>
    <label>Telephone of the parents <input name="phone" required pattern="\+[0-9]{6,15}"></label>
    <button>Register</button>
</form>
<table>
    <thead><tr><th>Number</th><th>Check digit</th><th>Status</th><th>Registered</th></tr></thead>
    <tbody>
    @foreach ($bracelets as $bracelet)
        <tr><td>{{ $bracelet->number }}</td><td>{{ $bracelet->check_digit }}</td><td>{{ $bracelet->status }}</td><td>{{ $bracelet->created_at }}</td></tr>
    @endforeach
    </tbody>
</table>
<footer>Version {{ config('app.version') }}</footer>
</body>
</html>
