"""One keep-alive connection that carries a request through until it is answered."""

from __future__ import annotations

import email.utils
import http.client
import json
import random
import socket
import time
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, TypeVar, Union
from urllib.parse import urlsplit

from . import _safetensors
from .errors import ConnectionFailed, StepdError, from_answer

T = TypeVar("T")

_UNTOUCHED = (429, 503)  # the server itself said not now; a gateway's 502 or 504 leaves open what happened
_PACKET_BYTES = 64 << 10  # below this, joining costs less than another system call


@dataclass(frozen=True)
class Retry:
    """How patiently a request is repeated after a broken connection or an answer that says it may be: 429 and 503
    do, and 408, 502 and 504.

    The pauses double from ``first`` to ``longest`` seconds, each drawn between half and all of that so that many
    clients do not come back together; a ``Retry-After`` of the server is a lower bound. After ``seconds`` the
    failure is raised. A server that was never reached yet is not waited for.
    """

    seconds: float = 120.0
    first: float = 0.05
    longest: float = 5.0
    sleep: Callable[[float], None] = time.sleep


class Body(NamedTuple):
    """What is sent. The pieces are read again when the request is repeated: leave their arrays alone until then."""

    content_type: str
    pieces: Sequence[Union[bytes, memoryview]]
    length: int


class Answer:
    """A successful answer, headers read and body still to come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str, default: str = "") -> str:
        return self._response.headers.get(name, default)

    def json(self) -> Any:
        """The body as JSON; None when it is empty."""
        text = self._response.read()
        return json.loads(text) if text else None

    def tensors(self, scratch: Optional[_safetensors.Scratch] = None) -> _safetensors.Contents:
        """The body as safetensors, in ``scratch`` when given."""
        length = self._response.length
        if length is None:  # chunked
            return _safetensors.decode(bytearray(self._response.read()))
        return _safetensors.read(self._fill, length, scratch)

    def _fill(self, view: memoryview) -> None:
        done = 0
        while done < len(view):
            count = self._response.readinto(view[done:])
            if not count:
                raise http.client.IncompleteRead(b"", len(view) - done)
            done += count


class Connection:
    """Not safe for concurrent use."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 120.0,
        retry: Retry = Retry(),
        headers: Optional[Mapping[str, str]] = None,
    ) -> None:
        """
        Args:
            url: ``http://host:port``, with a path when the server stands behind one; ``https`` too.
            timeout: seconds of silence after which the connection counts as broken.
            headers: sent with every request, such as ``Authorization``.

        Raises:
            ValueError: the address has no host or another scheme.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {url!r}, expected http://host:port or https://host:port")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._options = {"url": url, "timeout": timeout, "retry": retry, "headers": headers}
        self._http = kind(parts.hostname, parts.port, timeout=timeout)
        weakref.finalize(self, self._http.close)  # torch programs never close an optimizer
        self._root = parts.path.rstrip("/")
        self._retry = retry
        self._headers = dict(headers or {})
        self._reached = False
        self._random = random.Random()  # its own: retries must not disturb the caller's random numbers

    def close(self) -> None:
        self._http.close()

    def another(self) -> "Connection":
        """One more to the same server, of the same options; the caller closes it."""
        return Connection(**self._options)

    def lines_of_events(self, path: str) -> Iterator[Mapping[str, str]]:
        """Each event of a stream of them, its fields by name, until the server ends it. Nothing is sent again."""
        request = f"GET {path}"
        try:
            self._open()
            self._send("GET", path, None, {**self._headers, "Accept": "text/event-stream"})
            response = self._http.getresponse()
            if response.status >= 300:
                retry_after = _seconds(response.headers.get("Retry-After"))
                raise from_answer(request, response.status, response.read(), retry_after)
            fields: Dict[str, str] = {}
            for line in iter(response.readline, b""):
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                if name:
                    fields[name] = value.lstrip(" ")
                elif not value and fields:
                    if "event" in fields:
                        yield fields
                    fields = {}
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionFailed(request, f"{type(error).__name__}: {error}".rstrip(": ")) from error

    def exchange(
        self,
        method: str,
        path: str,
        receive: Callable[[Answer], T],
        *,
        body: Optional[Body] = None,
        headers: Optional[Mapping[str, str]] = None,
        repeatable: bool = True,
    ) -> T:
        """Sends a request until it is answered and returns what ``receive`` makes of the answer. ``receive`` runs
        again when the connection breaks while it reads.

        Args:
            repeatable: whether the request may be sent again after the server may have acted on it.

        Raises:
            StepdError: the server refused, or stayed busy for too long.
            ConnectionFailed: no answer came.
        """
        request = f"{method} {path}"
        deadline = None
        attempt = 0
        while True:
            try:
                return self._attempt(request, method, path, receive, body, {**self._headers, **(headers or {})})
            except StepdError as error:
                error.repeated = attempt > 0
                if not error.retryable or not repeatable and error.status not in _UNTOUCHED:
                    raise
                failure: StepdError = error
            except (OSError, http.client.HTTPException) as error:
                self._http.close()
                failure = ConnectionFailed(request, f"{type(error).__name__}: {error}".rstrip(": "))
                failure.repeated = attempt > 0
                failure.__cause__ = error
                if not self._reached or not repeatable:
                    raise failure
            except BaseException:
                self._http.close()  # an answer half read must not be taken for the start of the next
                raise
            now = time.monotonic()
            deadline = now + self._retry.seconds if deadline is None else deadline
            pause = max(self._pause(attempt), failure.retry_after or 0.0)
            if now + pause > deadline:
                raise failure
            self._retry.sleep(pause)
            attempt += 1

    def _attempt(
        self,
        request: str,
        method: str,
        path: str,
        receive: Callable[[Answer], T],
        body: Optional[Body],
        headers: Mapping[str, str],
    ) -> T:
        self._open()
        whole = self._send(method, path, body, headers)
        response = self._http.getresponse()
        try:
            return self._receive(request, response, receive, whole)
        finally:
            response.close()

    def _receive(
        self, request: str, response: http.client.HTTPResponse, receive: Callable[[Answer], T], whole: bool
    ) -> T:
        _check_head(response)
        self._reached = True
        if response.status >= 300:
            problem = response.read()
            if not whole:
                self._http.close()
            raise from_answer(request, response.status, problem, _seconds(response.headers.get("Retry-After")))
        if not whole:
            raise ConnectionResetError("the connection broke while the request was sent")
        result = receive(Answer(response))
        response.read()
        return result

    def _open(self) -> None:
        if self._http.sock is None:
            self._http.connect()
            self._http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _send(self, method: str, path: str, body: Optional[Body], headers: Mapping[str, str]) -> bool:
        """Whether all of it went out. A server may refuse a body before its end: its answer is there to be read."""
        self._http.putrequest(method, self._root + path, skip_accept_encoding=True)
        for name, value in headers.items():
            self._http.putheader(name, value)
        if body is not None:
            self._http.putheader("Content-Type", body.content_type)
            self._http.putheader("Content-Length", str(body.length))
        elif method not in ("GET", "DELETE"):
            self._http.putheader("Content-Length", "0")
        self._http.endheaders()
        try:
            for packet in _packets(body.pieces if body is not None else ()):
                self._http.send(packet)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _pause(self, attempt: int) -> float:
        longest = min(self._retry.longest, self._retry.first * 2.0 ** min(attempt, 30))
        return longest * self._random.uniform(0.5, 1.0)


def json_body(value: Any) -> Body:
    text = json.dumps(value, allow_nan=False).encode()
    return Body("application/json", [text], len(text))


def tensor_body(message: _safetensors.Message) -> Body:
    return Body(_safetensors.CONTENT_TYPE, message.pieces, message.length)


def _check_head(response: http.client.HTTPResponse) -> None:
    """http.client takes a head that the connection cut short for a whole one; its missing length gives it away."""
    ends_with_connection = response.version < 11 or "close" in response.headers.get("Connection", "").lower()
    if response.length is None and not response.chunked and not ends_with_connection:
        raise ConnectionResetError("the connection broke in the head of the answer")


def _packets(pieces: Sequence[Union[bytes, memoryview]]) -> Iterator[Union[bytes, bytearray, memoryview]]:
    """The same bytes, runs of small pieces joined."""
    small: List[Union[bytes, memoryview]] = []
    size = 0
    for piece in pieces:
        if len(piece) >= _PACKET_BYTES:
            if small:
                yield b"".join(small)
                small, size = [], 0
            yield piece
            continue
        small.append(piece)
        size += len(piece)
        if size >= _PACKET_BYTES:
            yield b"".join(small)
            small, size = [], 0
    if size:
        yield b"".join(small)


def _seconds(retry_after: Optional[str]) -> Optional[float]:
    """``Retry-After`` as seconds from now: it comes as seconds or as a date. None when absent or neither."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
