"""A client of activity's HTTP API, of nothing but the standard library."""
from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .api import Event, EventPage, NewEvent

__all__ = ["Activity", "AsyncActivity", "ActivityError", "StreamReset", "verify_webhook"]


class ActivityError(Exception):
    """What the API refused."""

    def __init__(self, problem: dict[str, Any], retry_after: float | None = None):
        super().__init__(problem.get("message"))
        self.status: int = problem["status"]
        self.code: str = problem.get("code", "unknown")
        self.parameter: str | None = problem.get("parameter")
        self.hint: str | None = problem.get("hint")
        self.retry_after = retry_after


class StreamReset(Exception):
    """The cursor can't be continued: expired, epoch or future."""

    def __init__(self, reason: str, earliest: int | None):
        super().__init__(f"the stream can't be continued from this cursor: {reason}")
        self.reason = reason
        self.earliest = earliest


def _query(parameters: dict[str, Any] | None) -> str:
    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            return value.astimezone().isoformat()
        if isinstance(value, (list, tuple)):
            return ",".join(map(str, value))
        return str(value)

    pairs = [(name.rstrip("_"), text(value)) for name, value in (parameters or {}).items() if value is not None]
    return "?" + urlencode(pairs) if pairs else ""


def _problem(response: http.client.HTTPResponse) -> ActivityError:
    try:
        told = json.loads(response.read())
    except (ValueError, http.client.HTTPException):
        told = None
    problem = {"status": response.status, "code": "unknown", "message": f"HTTP {response.status}"}
    after = response.headers.get("retry-after", "")
    return ActivityError(problem | (told if isinstance(told, dict) else {}), float(after) if after.isdigit() else None)


class Activity:
    """Blocking calls. One object may be used by several threads: each call has a connection of its own."""

    def __init__(self, base_url: str, organization: str, token: str, timeout: float = 60):
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError("base_url must be http or https")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = f"{parts.path.rstrip('/')}/api/v1/organizations/{quote(organization, safe='')}"
        self._token = token
        self._timeout = timeout

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def request(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None,
                headers: dict[str, str] | None = None) -> Any:
        """Any call below the organization; path begins with a slash."""
        connection = self._connect()
        try:
            content = None if body is None else json.dumps(body).encode()
            sent = {"Authorization": f"Bearer {self._token}"} | ({} if content is None else {"Content-Type": "application/json"}) | (headers or {})
            connection.request(method, self._path + path + _query(query), content, sent)
            response = connection.getresponse()
            if not 200 <= response.status < 300:
                raise _problem(response)
            text = response.read()
            return json.loads(text) if text else None
        finally:
            connection.close()

    def page(self, **filters: Any) -> EventPage:
        """One page; `from` is written from_."""
        return self.request("GET", "/activity", filters)

    def events(self, **filters: Any) -> Iterator[Event]:
        """Every event that the filters take, newest first, page by page."""
        filters = {"limit": 200} | filters | {"page": None, "count": False}
        while True:
            page = self.page(**filters)
            yield from page["items"]
            if not page["hasMore"] or page["nextCursor"] is None:
                return
            filters["before"] = page["nextCursor"]

    def event(self, event_id: str) -> Event:
        return self.request("GET", "/activity/" + quote(event_id, safe=""))

    def record(self, event: NewEvent, idempotency_key: str | None = None) -> Event:
        return self.request("POST", "/activity", body=event, headers={"Idempotency-Key": idempotency_key} if idempotency_key else None)

    def stream(self, cursor: str | None = None, types: list[str] | None = None,
               on_cursor: Callable[[str], None] | None = None, stop: threading.Event | None = None) -> Iterator[Event]:
        """Events as they happen, across whatever cuts the connection.

        on_cursor gets the cursor of each event once the loop has come back for the next.
        """
        stop = stop or threading.Event()
        failures = 0
        while not stop.is_set():
            try:
                for frame in self._frames(cursor, types, stop):
                    failures = 0
                    if frame["op"] == "reset":
                        raise StreamReset(frame["reason"], frame.get("earliest"))
                    if frame["op"] == "event":
                        yield frame["event"]
                    if "cursor" in frame:
                        cursor = frame["cursor"]
                        if on_cursor:
                            on_cursor(cursor)
            except ActivityError as error:
                if error.status < 500 and error.status != 429:
                    raise
                failures += 1
                stop.wait(min(30, (error.retry_after or 0.25) * 2 ** min(failures, 7)) * random.uniform(0.5, 1))
            except (OSError, http.client.HTTPException):
                failures += 1
                stop.wait(min(30, 0.25 * 2 ** min(failures, 7)) * random.uniform(0.5, 1))

    def _frames(self, cursor: str | None, types: list[str] | None, stop: threading.Event) -> Iterator[dict[str, Any]]:
        connection = self._connect()
        try:
            connection.request("GET", self._path + "/stream" + _query({"cursor": cursor, "types": types}),
                               headers={"Authorization": f"Bearer {self._token}", "Accept": "text/event-stream"})
            response = connection.getresponse()
            if response.status != 200:
                raise _problem(response)
            data: list[str] = []
            while not stop.is_set():
                line = response.readline()
                if not line:
                    return
                text = line.decode().rstrip("\r\n")
                if text.startswith("data:"):
                    data.append(text[5:].lstrip())
                elif text == "" and data:
                    yield json.loads("\n".join(data))
                    data = []
        finally:
            connection.close()


class AsyncActivity:
    """The same for asyncio; what blocks runs in threads."""

    def __init__(self, base_url: str, organization: str, token: str, timeout: float = 60):
        self._blocking = Activity(base_url, organization, token, timeout)

    async def request(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None,
                      headers: dict[str, str] | None = None) -> Any:
        return await asyncio.to_thread(self._blocking.request, method, path, query, body, headers)

    async def page(self, **filters: Any) -> EventPage:
        return await asyncio.to_thread(lambda: self._blocking.page(**filters))

    async def event(self, event_id: str) -> Event:
        return await asyncio.to_thread(self._blocking.event, event_id)

    async def record(self, event: NewEvent, idempotency_key: str | None = None) -> Event:
        return await asyncio.to_thread(self._blocking.record, event, idempotency_key)

    async def events(self, **filters: Any) -> AsyncIterator[Event]:
        filters = {"limit": 200} | filters | {"page": None, "count": False}
        while True:
            page = await self.page(**filters)
            for event in page["items"]:
                yield event
            if not page["hasMore"] or page["nextCursor"] is None:
                return
            filters["before"] = page["nextCursor"]

    async def stream(self, cursor: str | None = None, types: list[str] | None = None,
                     on_cursor: Callable[[str], None] | None = None) -> AsyncIterator[Event]:
        """Ends, with its thread, when the loop does."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Any] = asyncio.Queue()
        room = threading.Semaphore(1)
        stop = threading.Event()

        def read() -> None:
            try:
                for event in self._blocking.stream(cursor, types, on_cursor, stop):
                    loop.call_soon_threadsafe(queue.put_nowait, (event, None))
                    room.acquire()  # until the loop has come back for the next
                    if stop.is_set():
                        return
            except Exception as error:  # told to whoever reads
                loop.call_soon_threadsafe(queue.put_nowait, (None, error))

        room.acquire()
        threading.Thread(target=read, daemon=True).start()
        try:
            while True:
                event, error = await queue.get()
                if error is not None:
                    raise error
                yield event
                room.release()
        finally:
            stop.set()
            room.release()


def verify_webhook(headers: Any, body: bytes | str, secret: str, tolerance: float = 300, now: float | None = None) -> dict[str, Any]:
    """The message that a webhook brought; ValueError unless it was signed with this secret within tolerance seconds."""
    fields = {str(name).lower(): value for name, value in dict(headers).items()}
    content = body.encode() if isinstance(body, str) else body
    identity, timestamp = fields.get("webhook-id"), fields.get("webhook-timestamp", "")
    if not identity or not (timestamp.isascii() and timestamp.isdigit()) or "webhook-signature" not in fields:
        raise ValueError("the message is not signed")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise ValueError("the message is too old, or from the future")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, f"{identity}.{timestamp}.".encode() + content, hashlib.sha256).digest()
    for signature in fields["webhook-signature"].split(" "):
        version, _, value = signature.partition(",")
        try:
            if version == "v1" and hmac.compare_digest(base64.b64decode(value, validate=True), expected):
                return json.loads(content)
        except (binascii.Error, ValueError):
            continue
    raise ValueError("the message was not signed with this secret")
