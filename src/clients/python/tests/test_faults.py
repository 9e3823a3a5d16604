"""Broken connections between the client and a running server: none costs a step, none doubles one."""

import numpy as np
import pytest

from peers import Peer, problem, relay

STEPS = 4


def arrays(seed):
    random = np.random.default_rng(seed)
    return {
        "large": random.normal(size=(300, 1000)).astype(np.float32),
        "small": random.normal(size=7).astype(np.float32),
    }


FAULTS = {
    "head of the request only": lambda url: relay(url, request_share=0.0),
    "half of the request": lambda url: relay(url, request_share=0.5),
    "nearly all of the request": lambda url: relay(url, request_share=0.999),
    "the answer lost": lambda url: relay(url, answer_share=0.0),
    "the answer's head cut": lambda url: relay(url, answer_share=0.00005),
    "half of the answer": lambda url: relay(url, answer_share=0.5),
    "nearly all of the answer": lambda url: relay(url, answer_share=0.9999),
    "429": lambda url: problem(429, "too-many-requests", retryable=True, Retry_After=0),
    "503": lambda url: problem(503, "unavailable", retryable=True, Retry_After=0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_change_no_bit(url, create, retry, fault):
    params, undisturbed = arrays(0), arrays(0)
    with Peer(rest=relay(url)) as peer:
        with create(params, address=peer.url, retry=retry) as session, create(undisturbed) as other:
            for t in range(1, STEPS + 1):
                if t % 2 == 0:
                    peer.script += [FAULTS[fault](url), FAULTS[fault](url)]
                result = session.apply(params, arrays(t))
                other.apply(undisturbed, arrays(t))
                assert result.step == t and peer.script == []
                assert result.replayed == (t % 2 == 0 and "answer" in fault)
            assert session.digest() == other.digest()
            for name, array in session.parameters().items():
                assert array.tobytes() == params[name].tobytes() == undisturbed[name].tobytes()


def test_reading_survives_broken_answers(url, create, retry):
    params = arrays(0)
    with Peer(rest=relay(url)) as peer, create(params, address=peer.url, retry=retry) as session:
        session.apply(params, arrays(1))
        for read in (session.parameters, session.state, session.digest, session.snapshots):
            peer.script += [relay(url, answer_share=0.5), relay(url, answer_share=0.1)]
            assert str(read()) == str(read())
        peer.script.append(relay(url, answer_share=0.5))
        session.set_parameters(params)
        peer.script.append(relay(url, answer_share=0.5))
        assert session.patch(lr=0.5)["optimizer"]["lr"] == 0.5
        peer.script.append(relay(url, answer_share=0.5))
        session.delete()
        assert peer.script == []
