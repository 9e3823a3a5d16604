"""Events against a running server."""

import numpy as np
import pytest

import stepd


def gradients(value):
    return {"w": np.full(3, value, np.float32)}


def test_tells_of_steps_and_what_they_measured(create):
    with create({"w": np.ones(3, np.float32)}, "sgd", lr=0.5, metrics="norms", durability="none") as session:
        for value in (1.0, 2.0):
            session.step(gradients(value))
        events = session.events(last="0")
        first, second = next(events), next(events)
        assert (first.name, second.name) == ("step", "step")
        assert (first.data["step"], second.data["step"]) == (1, 2)
        assert first.data["grad_norm"] == pytest.approx(np.sqrt(3))
        assert second.data["update_norm"] == pytest.approx(np.sqrt(3))
        assert second.data["param_norm"] == pytest.approx(0.5 * np.sqrt(3))
        session.step(gradients(1.0))
        assert next(events).data["step"] == 3
        events.close()
        assert next(session.events(last=first.id)) == second


def test_ends_with_the_session(create):
    with create({"w": np.zeros(3, np.float32)}, "sgd", durability="none") as session:
        session.step(gradients(1.0))
        events = session.events(last="0")
        assert next(events).name == "step"
        session.delete()
        assert [event.name for event in events] == ["deleted"]


def test_refusals_are_raised(create):
    with create({"w": np.zeros(3, np.float32)}, "sgd") as session:
        with pytest.raises(stepd.StepdError, match="nonsense"):
            next(session.events(last="nonsense"))
