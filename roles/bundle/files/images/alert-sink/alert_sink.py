# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server and webhook receiver that keeps what Alertmanager sends, and shows it to whoever asks.

SMTP: STARTTLS is required when there is a certificate (RFC 3207), a login when there is a password file (RFC 4954).
HTTP: ``POST /webhook/<name>`` stores a message; ``GET /messages?since=<RFC 3339>`` returns the messages received at
that moment or later, oldest first; ``GET /healthz`` says how much is stored.

A message is a JSON object with id (text that sorts by age), received_at (RFC 3339, UTC, milliseconds) and kind:
``mail`` has sender, recipients, subject and body; ``webhook`` has name, and json or, where it was no JSON, body.
Each message is one file, written beside and then renamed, so a restart loses none. The oldest give way to new ones.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timezone
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mail_policy
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # label of RFC 1123
MAXIMUM_RECIPIENTS = 50
MAXIMUM_CONNECTIONS = 32
IDLE_SECONDS = 30
STOP_SECONDS = 10


def report(event: str, **details: Any) -> None:
    """Print one JSON line; never the content of a message."""
    print(json.dumps({"time": moment(datetime.now(timezone.utc)), "event": event, **details}), flush=True)


def moment(time: datetime) -> str:
    """Return the time as RFC 3339 with milliseconds, in UTC; such texts sort by time."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Stored(NamedTuple):
    """What the memory knows of a message: its file's name, size in bytes and time."""

    path: Path
    size: int
    received_at: str


class Storage:
    """Messages in a directory, bounded in number and bytes. Safe to use from several threads."""

    def __init__(self, directory: Path, maximum_messages: int, maximum_bytes: int) -> None:
        self.directory = directory
        self.maximum_messages = maximum_messages
        self.maximum_bytes = maximum_bytes
        self.dropped = 0
        self.size = 0
        self._lock = threading.Lock()
        self._stored: deque[Stored] = deque()
        directory.mkdir(parents=True, exist_ok=True)
        for unfinished in directory.glob("*.new"):
            unfinished.unlink()
        for path in sorted(directory.glob("*.json")):
            data = path.read_bytes()
            self._stored.append(Stored(path, len(data), json.loads(data)["received_at"]))
            self.size += len(data)
        self._last = int(self._stored[-1].path.stem) if self._stored else 0
        self._drop()

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, **content: Any) -> str:
        """Store a message and return its id. Raises OSError when the directory takes no more."""
        with self._lock:
            identifier = f"{self._last + 1:012d}"
            received_at = moment(datetime.now(timezone.utc))
            data = json.dumps({"id": identifier, "received_at": received_at, **content}).encode()
            path = self.directory / f"{identifier}.json"
            unfinished = path.with_suffix(".new")
            try:
                with unfinished.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.rename(path)
            except OSError:
                unfinished.unlink(missing_ok=True)
                raise
            self._last += 1
            self._stored.append(Stored(path, len(data), received_at))
            self.size += len(data)
            self._drop()
        return identifier

    def _drop(self) -> None:
        """Delete the oldest messages beyond the bounds; the newest always stays."""
        while len(self._stored) > max(1, self.maximum_messages) or (
            len(self._stored) > 1 and self.size > self.maximum_bytes
        ):
            oldest = self._stored.popleft()
            oldest.path.unlink(missing_ok=True)
            self.size -= oldest.size
            self.dropped += 1

    def since(self, time: str) -> Iterator[bytes]:
        """Yield the JSON of each message received at that time or later, oldest first."""
        with self._lock:
            chosen = [stored.path for stored in self._stored if stored.received_at >= time]
        for path in chosen:
            try:
                yield path.read_bytes()
            except FileNotFoundError:  # dropped meanwhile
                continue


def readable_body(mail: EmailMessage) -> str:
    """Return the text of a mail, or its HTML where it has no text."""
    part = mail.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except LookupError:  # a character set that nobody knows
        return bytes(part.get_payload(decode=True) or b"").decode(errors="replace")


class MailHandler:
    """What the SMTP server asks: whether to take a recipient and a message."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if len(envelope.rcpt_tos) >= MAXIMUM_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Store a mail; the sender keeps it and tries again when that fails."""
        mail = message_from_bytes(bytes(envelope.content or b""), _class=EmailMessage, policy=mail_policy)
        try:
            identifier = self.storage.add(
                kind="mail",
                sender=envelope.mail_from,
                recipients=envelope.rcpt_tos,
                subject=str(mail["Subject"] or ""),
                body=readable_body(mail),
            )
        except OSError as error:
            report("mail refused", reason=str(error))
            return "452 4.3.1 Insufficient system storage"
        report("mail stored", id=identifier, recipients=len(envelope.rcpt_tos))
        return f"250 2.0.0 OK {identifier}"


class MailServer(SMTP):  # type: ignore[misc]
    """The SMTP protocol of one connection; refuses connections beyond the bound."""

    open = 0
    # As all mail servers ask; clients, Alertmanager among them, refuse the library's own words.
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def connection_made(self, transport: Any) -> None:
        """Count a new connection; STARTTLS brings one that is counted already."""
        new = self.transport is None
        super().connection_made(transport)
        MailServer.open += new
        if new and MailServer.open > MAXIMUM_CONNECTIONS:
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a closed connection."""
        if self.transport is not None:
            MailServer.open -= 1
        super().connection_lost(error)


def make_authenticator(username: str, password_file: Path) -> Any:
    """Return the function that checks a login; the file is read each time, so a new password holds at once."""

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
        known = isinstance(login, LoginPassword)
        given = (login.login, login.password) if known else (b"", b"")
        wanted = (username.encode(), password_file.read_bytes().rstrip(b"\r\n"))
        equal = [hmac.compare_digest(*pair) for pair in zip(given, wanted, strict=True)]  # both, whatever the first is
        success = known and bool(wanted[1]) and all(equal)
        if not success:
            report("login refused")
        return AuthResult(success=success, handled=False)

    return authenticate


def make_mail_server(options: argparse.Namespace, storage: Storage, loop: asyncio.AbstractEventLoop) -> MailServer:
    """Return the protocol of a new connection; the certificate is read anew, so that a renewed one is served."""
    security: dict[str, Any] = {"auth_exclude_mechanism": ["LOGIN", "PLAIN"]}
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(options.certificate, options.key)
        security.update(tls_context=context, require_starttls=True)
    if options.password_file:
        security = {
            **security,
            "auth_exclude_mechanism": [],
            "auth_required": True,
            "authenticator": make_authenticator(options.username, options.password_file),
        }
    return MailServer(
        MailHandler(storage),
        hostname="alert-sink",
        ident="alert-sink",
        data_size_limit=options.maximum_message_bytes,
        enable_SMTPUTF8=True,
        timeout=IDLE_SECONDS,
        loop=loop,
        **security,
    )


class WebHandler(BaseHTTPRequestHandler):
    """One HTTP request. The connection closes after the answer."""

    server: WebServer
    server_version = "alert-sink"
    sys_version = ""
    timeout = STOP_SECONDS

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet: stored messages are reported, health checks are many."""

    def answer(self, status: int, content: Any) -> None:
        """Send JSON."""
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """Answer /messages and /healthz."""
        address = urlsplit(self.path)
        storage = self.server.storage
        if address.path == "/healthz":
            self.answer(200, {"messages": len(storage), "bytes": storage.size, "dropped": storage.dropped})
        elif address.path == "/messages":
            self.send_messages(parse_qs(address.query).get("since", ["1970-01-01T00:00:00Z"])[-1])
        else:
            self.answer(404, {"error": "there are /messages, /healthz and POST /webhook/<name>"})

    def send_messages(self, since: str) -> None:
        """Send the messages one by one; without a length, an answer that breaks off is no valid JSON."""
        try:
            time = datetime.fromisoformat(since)
            if time.tzinfo is None:
                raise ValueError("it has no time zone")
        except ValueError as error:
            self.answer(400, {"error": f"since is no RFC 3339 time: {error}"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        separator = b"["
        for message in self.server.storage.since(moment(time)):
            self.wfile.write(separator + message)
            separator = b",\n"
        self.wfile.write(b"[]" if separator == b"[" else b"]")

    def do_POST(self) -> None:
        """Store what a webhook sends."""
        prefix, _slash, name = urlsplit(self.path).path.rpartition("/")
        length = self.headers.get("Content-Length", "")
        if prefix != "/webhook" or not NAME.fullmatch(name):
            self.answer(404, {"error": "webhooks are /webhook/<name>, with a name of small letters, digits and '-'"})
        elif not length.isdecimal():
            self.answer(411, {"error": "the length of the content is missing"})
        elif int(length) > self.server.maximum_message_bytes:
            self.answer(413, {"error": f"a message has at most {self.server.maximum_message_bytes} bytes"})
        else:
            self.store(name, self.rfile.read(int(length)))

    def store(self, name: str, data: bytes) -> None:
        """Store one message."""
        try:
            content = {"json": json.loads(data)}
        except (ValueError, RecursionError):
            content = {"body": data.decode(errors="replace")}
        try:
            identifier = self.server.storage.add(kind="webhook", name=name, **content)
        except OSError as error:
            report("webhook refused", name=name, reason=str(error))
            self.answer(507, {"error": "the storage is full"})
            return
        report("webhook stored", id=identifier, name=name)
        self.answer(200, {"id": identifier})


class WebServer(ThreadingHTTPServer):
    """The HTTP server, with a bound on the requests at one time."""

    daemon_threads = False  # so that closing waits for requests that run

    def __init__(self, address: tuple[str, int], storage: Storage, maximum_message_bytes: int) -> None:
        self.storage = storage
        self.maximum_message_bytes = maximum_message_bytes
        self._places = threading.BoundedSemaphore(MAXIMUM_CONNECTIONS)
        super().__init__(address, WebHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a request, or hang up when there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run a request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a request that broke off."""
        report("request broke off", reason=str(sys.exc_info()[1]))


def make_parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="alert-sink", description="Keeps the mails and webhooks of an Alertmanager.")
    parser.add_argument("--directory", type=Path, default=Path("/var/lib/alert-sink"), help="where messages lie")
    parser.add_argument("--address", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a pod's
    parser.add_argument("--smtp-port", type=int, default=8025)
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--certificate", type=Path, help="PEM file; mail is then taken after STARTTLS only")
    parser.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    parser.add_argument("--username", default="alertmanager", help="who may send mail when there is a password file")
    parser.add_argument("--password-file", type=Path, help="file with the password alone; needs --certificate")
    parser.add_argument("--maximum-messages", type=int, default=1000)
    parser.add_argument("--maximum-bytes", type=int, default=32 * 2**20)
    parser.add_argument("--maximum-message-bytes", type=int, default=256 * 2**10)
    return parser


async def serve(options: argparse.Namespace) -> None:
    """Run both servers until SIGTERM or SIGINT, then end what is open."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    storage = Storage(options.directory, options.maximum_messages, options.maximum_bytes)
    factory = partial(make_mail_server, options, storage, loop)
    factory()  # a certificate that cannot be read is an error now, not at the first mail
    mail = await loop.create_server(factory, options.address, options.smtp_port, family=socket.AF_INET)
    web = WebServer((options.address, options.http_port), storage, options.maximum_message_bytes)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.1}, name="http")
    thread.start()
    report("started", smtp=mail.sockets[0].getsockname()[1], http=web.server_port, messages=len(storage))
    await stopped.wait()
    mail.close()
    await asyncio.to_thread(web.shutdown)
    end = loop.time() + STOP_SECONDS
    while MailServer.open and loop.time() < end:
        await asyncio.sleep(0.05)
    await asyncio.to_thread(web.server_close)
    report("stopped", messages=len(storage))


def main() -> None:
    """Check the options and run."""
    parser = make_parser()
    options = parser.parse_args()
    if bool(options.certificate) != bool(options.key):
        parser.error("--certificate and --key belong together")
    if options.password_file and not options.certificate:
        parser.error("--password-file needs --certificate: a password must not cross the network in clear")
    if options.password_file and not options.password_file.read_bytes().strip():
        parser.error("the password file is empty")
    logging.getLogger("mail").setLevel(logging.ERROR)
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
