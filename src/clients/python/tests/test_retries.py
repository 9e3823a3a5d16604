"""Connections that break and servers that are busy, played by a scripted peer."""

import email.utils
import pickle
import random
import time

import numpy as np
import pytest

import stepd
from stepd import _safetensors
from peers import Peer, answer, answer_json, cut, lose_request, problem, refuse

W = np.arange(6, dtype=np.float32).reshape(2, 3)
STATUS = {"id": "s1", "step": 0, "tensors": [{"name": "w", "shape": [2, 3], "dtype": "F32"}]}
DELTAS = b"".join(bytes(piece) for piece in _safetensors.encode({"w": -W}).pieces)
HEADERS = {"Stepd_Step": 1, "Stepd_Lr": 0.1, "Stepd_Grad_Norm": 2.0, "Stepd_Durable_Step": 0}
DELTA = answer(200, DELTAS, **HEADERS)


class Pauses:
    """Keeps what a client would have waited."""

    def __init__(self):
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)


def opened(peer, **retry):
    peer.script.insert(0, answer_json(200, STATUS))
    return stepd.Session.open(peer.url, "s1", retry=stepd.Retry(**{"sleep": Pauses(), **retry}))


@pytest.mark.parametrize("fault", [
    lose_request,
    cut(200, DELTAS, 0.0, **HEADERS),
    cut(200, DELTAS, 0.1, **HEADERS),
    cut(200, DELTAS, 0.5, **HEADERS),
    cut(200, DELTAS, 0.99, **HEADERS),
    answer(503),
    answer(502, b"<html>a proxy in between</html>"),
    problem(429, "too-many-requests", retryable=True),
])
def test_repeats_a_step_under_its_number_and_with_its_body(fault):
    with Peer(fault, fault, DELTA) as peer, opened(peer) as session:
        result = session.step({"w": W})
        first, second, third = peer.requests[1:]
        assert result.step == session.current_step == 1
        assert {request.headers["Stepd-Step"] for request in peer.requests[1:]} == {"1"}
        assert second.target == third.target
        assert third.body.startswith(second.body) and third.body.startswith(first.body)
        np.testing.assert_array_equal(result.deltas["w"], -W)


def test_keeps_one_connection():
    with Peer(DELTA, answer(200, DELTAS, **{**HEADERS, "Stepd_Step": 2})) as peer, opened(peer) as session:
        session.step({"w": W})
        session.step({"w": W})
        assert peer.connections == 1 and session.current_step == 2


def test_opens_a_connection_the_server_closed_while_idle():
    closing = lambda connection, request: answer_json(200, STATUS)(connection, request) and False
    with Peer(closing, DELTA) as peer:
        with stepd.Session.open(peer.url, "s1", retry=stepd.Retry(sleep=Pauses())) as session:
            assert session.step({"w": W}).step == 1


def test_pauses_grow_and_differ():
    pauses = Pauses()
    with Peer(*[answer(503)] * 8, DELTA) as peer, opened(peer, first=0.1, longest=1.0, sleep=pauses) as session:
        session.step({"w": W})
    bounds = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses.seconds, bounds))
    assert len(set(pauses.seconds)) == len(bounds)


@pytest.mark.parametrize("value, low, high", [
    ("7", 7.0, 7.0),
    (40.0, 20.0, 41.0),
    (-40.0, 0.0, 0.1),
    ("soon", 0.0, 0.1),
])
def test_waits_as_long_as_the_server_asks(value, low, high):
    pauses = Pauses()
    date = value if isinstance(value, str) else email.utils.formatdate(time.time() + value, usegmt=True)
    busy = problem(429, "too-many-requests", retryable=True, Retry_After=date)
    with Peer(busy, DELTA) as peer, opened(peer, sleep=pauses) as session:
        session.step({"w": W})
    assert low <= pauses.seconds[0] <= high


def test_gives_up_when_asked_to_wait_longer_than_it_may():
    busy = problem(503, "unavailable", retryable=True, Retry_After=1000)
    with Peer(busy) as peer, opened(peer, seconds=5.0) as session:
        with pytest.raises(stepd.Unavailable) as refusal:
            session.step({"w": W})
    assert refusal.value.retry_after == 1000 and refusal.value.status == 503 and session.current_step == 0


def test_gives_up_on_a_server_that_stays_away():
    with Peer(rest=lose_request) as peer, opened(peer, seconds=0.05, first=0.02, sleep=time.sleep) as session:
        with pytest.raises(stepd.ConnectionFailed, match="POST /v1/sessions/s1/steps"):
            session.step({"w": W})
        assert session.current_step == 0


def test_a_server_never_reached_is_not_waited_for():
    with Peer() as peer:
        address = peer.url
    with pytest.raises(stepd.ConnectionFailed, match="ConnectionRefused"):
        stepd.Session.open(address, "s1", retry=stepd.Retry(sleep=Pauses()))


@pytest.mark.parametrize("fault", [cut(201, b"{}", 0.5), answer(502), answer(504)])
def test_creation_is_not_repeated_once_it_may_have_happened(fault):
    with Peer(fault) as peer, pytest.raises(stepd.StepdError):
        stepd.Session.create(peer.url, {"w": W}, retry=stepd.Retry(sleep=Pauses()))
    assert len(peer.requests) == 1


def test_creation_is_repeated_when_the_server_was_busy():
    with Peer(answer(503), answer_json(201, STATUS), answer_json(200, STATUS)) as peer:
        with stepd.Session.create(peer.url, {"w": W}, retry=stepd.Retry(sleep=Pauses())) as session:
            assert session.id == "s1"
    assert [request.method for request in peer.requests] == ["POST", "POST", "PUT"]


def test_no_session_is_left_behind_when_the_upload_is_refused():
    refused = problem(422, "invalid-value")
    with Peer(answer_json(201, STATUS), refused, answer(204)) as peer, pytest.raises(stepd.InvalidValue):
        stepd.Session.create(peer.url, {"w": W})
    assert peer.requests[-1].method == "DELETE"


def test_deleting_is_done_when_the_lost_answer_was_its_success():
    with Peer(cut(204, b"", 0.5), problem(404, "not-found")) as peer, opened(peer) as session:
        session.delete()
    with Peer(problem(404, "not-found")) as peer, opened(peer) as session, pytest.raises(stepd.NotFound):
        session.delete()


def test_a_refusal_before_the_body_was_read_is_told():
    with Peer(refuse(413), DELTA) as peer, opened(peer) as session:
        with pytest.raises(stepd.StepdError) as refusal:
            session.step({"w": W})
        assert refusal.value.status == 413
        assert session.step({"w": W}).step == 1


@pytest.mark.parametrize("status, code, kind", [
    (409, "step-mismatch", stepd.StepMismatch),
    (409, "parameters-missing", stepd.ParametersMissing),
    (422, "step-body-differs", stepd.StepBodyDiffers),
    (422, "non-finite", stepd.NonFinite),
    (422, "invalid-value", stepd.InvalidValue),
    (422, "unknown-name", stepd.UnknownName),
    (507, "out-of-memory", stepd.OutOfMemory),
    (501, "not-implemented", stepd.StepdError),
    (500, "internal", stepd.StepdError),
    (503, "unavailable", stepd.Unavailable),
])
def test_problems_become_exceptions(status, code, kind):
    told = problem(status, code, title="no", retryable=False, effect="none", current_step=4, durable_step=3)
    with Peer(told) as peer, opened(peer) as session, pytest.raises(kind) as refusal:
        session.step({"w": W})
    error = refusal.value
    assert (error.status, error.code, error.title, error.effect, error.retryable) == (status, code, "no", "none", False)
    assert error.detail == f"told so: {code}" and error.members["current_step"] == 4
    assert str(error) == f"POST /v1/sessions/s1/steps?return=delta: told so: {code} ({status} {code})"
    assert len(peer.requests) == 2 and session.current_step == 0


def test_a_mismatch_says_where_the_server_is():
    with Peer(problem(409, "step-mismatch", current_step=4, durable_step=3)) as peer, opened(peer) as session:
        with pytest.raises(stepd.StepMismatch) as refusal:
            session.step({"w": W})
    assert (refusal.value.current_step, refusal.value.durable_step) == (4, 3)


def test_exceptions_pickle():
    error = stepd.StepMismatch("POST /x", 409, {"type": "/problems/step-mismatch", "current_step": 4}, None)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is stepd.StepMismatch and copy.current_step == 4 and str(copy) == str(error)
    assert str(pickle.loads(pickle.dumps(stepd.ConnectionFailed("GET /x", "gone")))) == "GET /x: gone"


def test_an_answer_that_is_no_safetensors_is_an_error_and_the_connection_starts_anew():
    with Peer(answer(200, b"what?", **HEADERS), DELTA) as peer, opened(peer) as session:
        with pytest.raises(stepd.SafetensorsError):
            session.step({"w": W})
        assert session.step({"w": W}).step == 1
        assert peer.connections == 2


def test_chunked_answers_are_read():
    def act(connection, request):
        request.read()
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nStepd-Step: 1\r\n\r\n")
        for part in (DELTAS[:30], DELTAS[30:]):
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
        return True

    with Peer(act) as peer, opened(peer) as session:
        np.testing.assert_array_equal(session.step({"w": W}).deltas["w"], -W)


def test_many_small_tensors_and_a_large_one_arrive_whole():
    arrays = {f"w{i}": np.full(i % 7, i, np.float32) for i in range(500)}
    arrays["large"] = np.arange(300_000, dtype=np.float32)
    with Peer(DELTA) as peer, opened(peer) as session:
        session.step(arrays)
        received = _safetensors.decode(peer.requests[1].body).tensors
    assert list(received) == list(arrays)
    assert all(received[name].tobytes() == array.tobytes() for name, array in arrays.items())


def test_headers_and_the_path_of_the_address_are_sent():
    with Peer(answer_json(200, STATUS), answer_json(200, STATUS)) as peer:
        with stepd.Session.open(peer.url + "/models/", "a/b", headers={"Authorization": "Bearer t"}) as session:
            assert session.status["step"] == 0
    assert peer.requests[0].target == "/models/v1/sessions/a%2Fb"
    assert {request.headers["Authorization"] for request in peer.requests} == {"Bearer t"}


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://host", "http://", "/path"])
def test_an_address_without_scheme_or_host_is_refused(address):
    with pytest.raises(ValueError, match="expected http://host:port"):
        stepd.Session.open(address, "s1")


@pytest.mark.parametrize("grad, reason", [
    (W.astype(np.float64), "gradient 'w' is float64"),
    (W.astype(np.int32), "gradient 'w' is int32"),
    ([[1.0]], "gradient 'w' is a list"),
    (1.0, "gradient 'w' is a float, expected a numpy array"),
])
def test_gradients_of_other_types_are_not_sent(grad, reason):
    with Peer() as peer, opened(peer) as session:
        with pytest.raises(TypeError, match=reason):
            session.step({"w": grad})
    assert len(peer.requests) == 1


def test_parameters_that_cannot_take_a_delta_are_refused_before_the_step_is_sent():
    locked = W.copy()
    locked.setflags(write=False)
    with Peer() as peer, opened(peer) as session:
        for params, kind in [({}, ValueError), ({"w": W[:1]}, ValueError), ({"w": W.astype(float)}, ValueError),
                             ({"w": locked}, TypeError), ({"w": W.tolist()}, TypeError)]:
            with pytest.raises(kind):
                session.apply(params, {"w": W})
    assert len(peer.requests) == 1


def test_retrying_leaves_the_random_numbers_of_the_caller_alone():
    random.seed(1)
    before = random.getstate()
    with Peer(answer(503), DELTA) as peer, opened(peer) as session:
        session.step({"w": W})
    assert random.getstate() == before
