# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server with STARTTLS and login, and a webhook receiver, on loopback; both keep what they get."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as mail_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Message:
    """What was received: the time (monotonic), ``mail`` or the webhook's name, and the mail or the JSON document."""

    time: float
    receiver: str
    content: Any

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [] if self.receiver == "mail" else self.content["alerts"]

    @property
    def subject(self) -> str:
        return str(self.content["Subject"])

    def part(self, kind: str) -> str:
        """Return the text of the mail's part, ``plain`` or ``html``."""
        body = self.content.get_body((kind,))
        return str(body.get_content()) if body else ""


@dataclass
class Inbox:
    """The messages of all receivers, oldest first."""

    messages: list[Message] = field(default_factory=list)

    def add(self, receiver: str, content: Any) -> None:
        self.messages.append(Message(time.monotonic(), receiver, content))

    def about(self, alert: str, receiver: str, status: str = "firing") -> list[Message]:
        """Return the receiver's messages that say that the alert fires or is resolved."""
        found = []
        for message in list(self.messages):
            if message.receiver != receiver:
                continue
            if receiver == "mail":
                said = f"{status.upper()} {alert}:" in message.part("plain")
            else:
                said = any(a["labels"]["alertname"] == alert and a["status"] == status for a in message.alerts)
            if said:
                found.append(message)
        return found


class Webhooks:
    """Receives ``POST /<name>``."""

    def __init__(self, inbox: Inbox) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.add(self.path.strip("/"), json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class MailServer:
    """Takes mail after STARTTLS (RFC 3207) and AUTH PLAIN or LOGIN (RFC 4954) only."""

    def __init__(self, inbox: Inbox, context: ssl.SSLContext, username: str, password: str) -> None:
        self.inbox, self.context = inbox, context
        self.login = (username, password)
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._session, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        encrypted = known = False

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 mail.test ESMTP")
        while line := (await reader.readline()).decode().strip():
            command = line.split(":", 1)[0].upper().split(" ")[0]
            if command == "EHLO":
                say("250-mail.test")
                say("250 AUTH PLAIN" if encrypted else "250 STARTTLS")
            elif command == "STARTTLS" and not encrypted:
                say("220 go ahead")
                await writer.drain()
                await writer.start_tls(self.context)
                encrypted = True
            elif command == "AUTH" and encrypted:
                _identity, username, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                known = (username, password) == self.login
                say("235 welcome" if known else "535 5.7.8 authentication failed")
            elif command in ("MAIL", "RCPT"):
                say("250 ok" if known else "530 5.7.0 log in first")
            elif command == "DATA" and known:
                say("354 go ahead")
                await writer.drain()
                data = await reader.readuntil(b"\r\n.\r\n")
                message = message_from_bytes(data[:-3].replace(b"\r\n..", b"\r\n."), policy=mail_policy)
                assert isinstance(message, EmailMessage)
                self.inbox.add("mail", message)
                say("250 kept")
            elif command == "QUIT":
                say("221 bye")
                break
            else:
                say("502 not here")
            await writer.drain()
        writer.close()
