"""Peers at the edge of the process that break connections on purpose.

A ``Peer`` listens on loopback and plays one act per request: a function of the connection and the request that returns
whether the connection stays open. ``relay`` is the act that passes a request on to a real server.
"""

import http.client
import json
import socket
import threading
from urllib.parse import urlsplit


class Request:
    """A request whose head has been read; its body is read when an act asks for it."""

    def __init__(self, stream):
        line = stream.readline().decode().split()
        if len(line) < 2:
            raise EOFError("the client closed the connection")
        self.method, self.target = line[0], line[1]
        self.headers = http.client.parse_headers(stream)
        self.length = int(self.headers.get("Content-Length", "0"))
        self._stream = stream
        self.body = b""

    def read(self, count=None):
        self.body += self._stream.read((self.length if count is None else count) - len(self.body))
        return self.body


class Peer:
    """Plays the acts of its script in order, then ``rest`` for ever. A context manager."""

    def __init__(self, *script, rest=None):
        self.script = list(script)
        self.rest = rest
        self.requests = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        try:
            while True:
                request = Request(stream)
                self.requests.append(request)
                act = self.script.pop(0) if self.script else self.rest
                if not act(connection, request):
                    return
        except (EOFError, OSError):
            pass
        finally:
            stream.close()
            connection.close()


def answer(status, body=b"", **headers):
    """Reads the request and answers it."""

    def act(connection, request):
        request.read()
        connection.sendall(_reply(status, body, headers))
        return True

    return act


def answer_json(status, value, **headers):
    return answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def problem(status, code, **members):
    headers = {key: members.pop(key) for key in ("Retry_After",) if key in members}
    value = {"type": "/problems/" + code, "detail": f"told so: {code}", **members}
    return answer(status, json.dumps(value).encode(), Content_Type="application/problem+json", **headers)


def refuse(status, body=b"{}"):
    """Answers before the body is read, and says that the connection ends."""

    def act(connection, request):
        connection.sendall(_reply(status, body, {"Connection": "close"}))
        connection.shutdown(socket.SHUT_WR)
        request.read()
        return False

    return act


def lose_request(connection, request):
    """Breaks the connection in the middle of the request's body."""
    request.read(request.length // 2)
    return False


def cut(status, body, share, **headers):
    """Reads the request, sends a share of the answer, and breaks the connection."""

    def act(connection, request):
        request.read()
        reply = _reply(status, body, headers)
        connection.sendall(reply[: int(len(reply) * share)])
        return False

    return act


def relay(upstream, *, request_share=1.0, answer_share=1.0):
    """Passes a request on to a real server and its answer back; with shares below 1, breaks the connection after so
    much of the request's body, or of the answer, which the server has given in full by then."""
    address = urlsplit(upstream)

    def act(connection, request):
        server = http.client.HTTPConnection(address.hostname, address.port)
        try:
            server.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                server.putheader(name, value)
            server.endheaders()
            server.send(request.read(int(request.length * request_share)))
            if request_share < 1:
                return False
            response = server.getresponse()
            headers = dict(response.headers)
            reply = _reply(response.status, response.read(), {k: headers[k] for k in headers if k not in _OWN})
            connection.sendall(reply[: int(len(reply) * answer_share)])
            return answer_share == 1
        finally:
            server.close()

    return act


_OWN = ("content-length", "Content-Length", "connection", "Connection", "transfer-encoding", "Transfer-Encoding")


def _reply(status, body, headers):
    head = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}", f"Content-Length: {len(body)}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body
