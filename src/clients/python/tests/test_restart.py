"""Training through the death and return of a server, which these tests start themselves.

STEPD_COMMAND is a JSON array: the command that serves, to which a port and a data folder are added.
"""

import json
import os
import socket
import subprocess

import numpy as np
import pytest

import stepd


class Server:
    """A server process that comes back at the same address with the same data."""

    def __init__(self, command, data):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = [*command, "--port", str(port), "--data", str(data)]
        self._process = None

    def start(self, wait=True):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        while wait:
            line = self._process.stdout.readline()
            assert line, "the server ended before it was ready"
            wait = not line.startswith("stepd listening on ")

    def stop(self, process_end):
        process_end(self._process)
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path):
    command = os.environ.get("STEPD_COMMAND")
    if not command:
        pytest.skip("STEPD_COMMAND is not set: no command to start a server with")
    one = Server(json.loads(command), tmp_path)
    one.start()
    yield one
    one.stop(subprocess.Popen.kill)


@pytest.fixture
def retry():
    return stepd.Retry(seconds=60.0, first=0.05, longest=0.2)


def arrays(seed):
    random = np.random.default_rng(seed)
    return {"w": random.normal(size=(64, 10)).astype(np.float32), "b": random.normal(size=10).astype(np.float32)}


def train(session, params, steps):
    for t in steps:
        assert session.apply(params, arrays(t)).step == t


def undisturbed(url, steps):
    """The digest of a session that nothing happened to."""
    params = arrays(0)
    with stepd.Session.create(url, params) as session:
        train(session, params, steps)
        return session.digest()


def test_a_restart_in_good_order_is_not_noticed(server, retry):
    params = arrays(0)
    with stepd.Session.create(server.url, params, retry=retry) as session:
        train(session, params, range(1, 4))
        server.stop(subprocess.Popen.terminate)
        server.start(wait=False)
        train(session, params, range(4, 7))
        assert session.digest() == undisturbed(server.url, range(1, 7))


def test_a_crash_costs_the_steps_since_the_last_snapshot_and_says_so(server, retry):
    params = arrays(0)
    with stepd.Session.create(server.url, params, retry=retry) as session:
        train(session, params, range(1, 4))
        session.snapshot()
        train(session, params, range(4, 6))
        server.stop(subprocess.Popen.kill)
        server.start(wait=False)
        with pytest.raises(stepd.StepMismatch) as refusal:
            session.apply(params, arrays(6))
        assert refusal.value.current_step == refusal.value.durable_step == 3

        assert session.refresh() == 3
        params = session.parameters()
        train(session, params, range(4, 7))
        assert session.digest() == undisturbed(server.url, range(1, 7))
