"""Session against a running server."""

import numpy as np
import pytest

import stepd
from stepd import bf16_to_float32, float32_to_bf16

SHAPES = {"dense.weight": (7, 5), "dense.bias": (7,), "conv.kernel": (4, 3, 2, 2), "scale": (), "none": (0, 4)}


def normal(seed, scale=1.0):
    random = np.random.default_rng(seed)
    return {name: np.asarray(random.normal(0, scale, shape), np.float32) for name, shape in SHAPES.items()}


def copied(arrays):
    return {name: array.copy() for name, array in arrays.items()}


def assert_same_bits(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes(), name


def adamw(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """AdamW as published (arXiv:1711.05101, torch's placing of eps), in double precision: a step as a function."""
    moments = {}

    def step(name, t, x, g):
        m, v = moments.get(name, (0.0, 0.0))
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        moments[name] = m, v
        x = x - lr * weight_decay * x
        return x - lr / (1 - beta1**t) * m / (np.sqrt(v) / np.sqrt(1 - beta2**t) + eps)

    return step


def sgd(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    buffers = {}

    def step(name, t, x, g):
        g = g + weight_decay * x
        if momentum:
            buffers[name] = g if t == 1 else momentum * buffers[name] + (1 - dampening) * g
            g = g + momentum * buffers[name] if nesterov else buffers[name]
        return x - lr * g

    return step


@pytest.mark.parametrize("optimizer, rule, hyper", [
    ("adamw", adamw, {}),
    ("adamw", adamw, {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.1}),
    ("sgd", sgd, {"lr": 0.05}),
    ("sgd", sgd, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("sgd", sgd, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
])
def test_follows_the_published_equations(create, optimizer, rule, hyper):
    params = normal(0)
    expected = {name: array.astype(np.float64) for name, array in params.items()}
    step = rule(**hyper)
    with create(params, optimizer, **hyper) as session:
        for t in range(1, 31):
            grads = normal(t, 0.1)
            result = session.apply(params, grads)
            norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in grads.values()))
            assert result.step == t and result.grad_norm == pytest.approx(norm, rel=1e-6)
            assert result.lr == pytest.approx(hyper.get("lr", 1e-3)) and not result.replayed
            for name in expected:
                expected[name] = step(name, t, expected[name], grads[name].astype(np.float64))
                np.testing.assert_allclose(params[name], expected[name], rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("optimizer, options", [
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("adamw", {"groups": [{"match": "*.bias", "weight_decay": 0.0}], "clip": {"global_norm": 1.0}}),
    ("lion", {"lr": 1e-3, "schedule": {"name": "cosine", "warmup_steps": 5, "total_steps": 50, "min_lr": 0.0}}),
])
def test_holds_the_servers_bits_after_50_steps(create, optimizer, options):
    params = normal(0)
    with create(params, optimizer, **options) as session:
        for t in range(1, 51):
            session.apply(params, normal(t, 10.0 ** (t % 5 - 3)))
        assert_same_bits(session.parameters(), params)


def test_deltas_and_parameters_and_nothing_come_back_as_asked(create):
    params = normal(0)
    with create(params) as session:
        result = session.step(normal(1))
        for name, delta in result.deltas.items():
            params[name] = np.asarray(params[name] + delta)
        assert_same_bits(session.parameters(), params)
        result = session.step(normal(2), return_="parameters")
        assert result.deltas == {}
        assert_same_bits(session.parameters(), result.parameters)
        result = session.step(normal(3), return_="none")
        assert result.deltas == result.parameters == {} and result.step == session.current_step == 3
        with pytest.raises(stepd.StepdError) as refusal:
            session.step(normal(4), return_="everything")
        assert refusal.value.status in (400, 422) and "everything" in refusal.value.detail


def test_results_are_their_own_unless_reuse_is_allowed(create):
    with create(normal(0)) as session:
        first = session.step(normal(1)).deltas
        kept = copied(first)
        session.step(normal(2))
        session.step(normal(3), reuse=True)
        assert_same_bits(first, kept)


@pytest.mark.parametrize("narrow, widen", [
    (lambda array: array.astype(np.float16), lambda array: array.astype(np.float32)),
    (float32_to_bf16, bf16_to_float32),
])
def test_narrow_gradients_count_as_what_they_hold(create, narrow, widen):
    wide, narrowed = normal(0), normal(0)
    with create(wide) as one, create(narrowed) as other:
        for t in range(1, 4):
            grads = {name: narrow(grad) for name, grad in normal(t).items()}
            one.apply(wide, {name: widen(grad) for name, grad in grads.items()})
            other.apply(narrowed, grads)
        assert_same_bits(narrowed, wide)
        assert one.digest() == other.digest()


def test_an_input_of_tensors_goes_with_their_gradients(create):
    params = normal(0)
    m, h = ({name: np.zeros(shape) for name, shape in SHAPES.items()} for _ in range(2))
    expected = {name: array.astype(np.float64) for name, array in params.items()}
    hyper = {"lr": 0.01, "beta1": 0.9, "beta2": 0.8, "rho": 0.05, "bs": 16, "weight_decay": 0.1}
    with create(params, "sophia_g", **hyper) as session:
        for t in range(1, 13):
            grads, estimates = normal(t, 0.1), normal(100 + t, 0.1)
            session.apply(params, grads, inputs={"hess_grad": estimates} if t % 3 == 0 else None)
            for name in expected:
                m[name] = 0.9 * m[name] + 0.1 * grads[name].astype(np.float64)
                share = np.minimum(1, abs(m[name]) / (0.05 * 16 * h[name] + 1e-15))
                expected[name] = expected[name] * (1 - 0.01 * 0.1) - 0.01 * np.sign(m[name]) * share
                if t % 3 == 0:
                    h[name] = 0.8 * h[name] + 0.2 * estimates[name].astype(np.float64) ** 2
                np.testing.assert_allclose(params[name], expected[name], rtol=3e-6, atol=3e-6)


def test_an_input_of_the_session_is_one_number(create):
    params = {"w": np.array([1, 2], np.float32)}
    grads = {"w": np.array([3, 4], np.float32)}
    deltas = []
    for loss in (0.5, np.float32(0.5), np.array([0.5])):
        with create(params, "sania", eps=1e3) as session:
            deltas.append(session.step(grads, inputs={"loss": loss}).deltas["w"])
    # u = g / 1000, N = 0.025; 2 * 0.5 > N: the whole step
    for delta in deltas:
        np.testing.assert_allclose(delta, [-3e-3, -4e-3], rtol=1e-6)


@pytest.mark.parametrize("inputs, kind, said", [
    (None, stepd.InvalidValue, "input #loss is missing"),
    ({"loss": 0.5, "los": 1.0}, stepd.UnknownName, "#los"),
    ({"loss": float("nan")}, stepd.NonFinite, "input #loss"),
    ({"loss": [0.5, 1.0]}, TypeError, "'loss'"),
    ({"loss": "0.5"}, TypeError, "'loss'"),
    ({"loss": {"w": 0.5}}, TypeError, "'w#loss'"),
])
def test_wrong_inputs_are_named_and_change_nothing(create, inputs, kind, said):
    params = {"w": np.array([1, 2], np.float32)}
    with create(params, "sania") as session:
        before = session.digest()
        with pytest.raises(kind, match=said):
            session.step({"w": np.array([3, 4], np.float32)}, inputs=inputs)
        assert session.digest() == before and session.current_step == 0


def test_a_partial_step_leaves_the_others_alone(create):
    params = normal(0)
    with create(params, weight_decay=0.1) as session:
        session.apply(params, normal(1))
        before, state = copied(params), session.state()
        grads = {"dense.bias": normal(2)["dense.bias"]}
        with pytest.raises(stepd.StepdError) as refusal:
            session.apply(params, grads)
        assert refusal.value.status == 422 or refusal.value.status == 400
        session.apply(params, grads, partial=True)
        after = session.state()
        assert not np.array_equal(params["dense.bias"], before.pop("dense.bias"))
        assert_same_bits({name: params[name] for name in before}, before)
        untouched = {key for key in state.tensors if not key.startswith("dense.bias#")}
        assert_same_bits({key: after.tensors[key] for key in untouched}, {key: state.tensors[key] for key in untouched})
        session.apply(params, normal(3))
        assert_same_bits(session.parameters(), params)


def test_opens_where_another_left(url, create):
    params = normal(0)
    with create(params, name="shared") as session:
        session.apply(params, normal(1))
        with stepd.Session.open(url, session.id) as other:
            assert other.current_step == 1 and other.tensors == session.tensors
            assert other.tensors["dense.weight"] == stepd.TensorSpec("F32", (7, 5))
            other.apply(params, normal(2))
            assert_same_bits(session.parameters(), params)


def test_status_has_what_was_asked_for_and_what_was_resolved(create):
    with create(normal(0), "adamw", lr=0.5, betas=(0.8, 0.9), name="mine") as session:
        status = session.status
        assert status["id"] == session.id and status["name"] == "mine" and status["step"] == 0
        assert status["optimizer"]["name"] == "adamw" and status["optimizer"]["lr"] == 0.5
        assert status["optimizer"]["beta1"] == 0.8 and status["optimizer"]["weight_decay"] == 0.01
        assert [tensor["name"] for tensor in status["tensors"]] == list(SHAPES)


@pytest.mark.parametrize("optimizer, hyper, said", [
    ("adamv", {}, "adamw"),
    ("adamw", {"weight_dekay": 0.1}, "weight_decay"),
    ("adamw", {"lr": -1.0}, "-1"),
    ("adamw", {"beta1": "high"}, "high"),
    ({"name": "sgd", "momentum": 0.9, "nesterov": 7}, {}, "nesterov"),
])
def test_wrong_hyperparameters_are_named(url, optimizer, hyper, said):
    with pytest.raises(stepd.StepdError) as refusal:
        stepd.Session.create(url, normal(0), optimizer, **hyper)
    assert refusal.value.status == 422 and said in refusal.value.detail and refusal.value.effect == "none"


@pytest.mark.parametrize("change, kind, said", [
    (lambda grads: grads.pop("scale"), stepd.StepdError, "scale"),
    (lambda grads: grads.update(extra=np.zeros(1, np.float32)), stepd.UnknownName, "extra"),
    (lambda grads: grads.update({"dense.bias": np.zeros(6, np.float32)}), stepd.InvalidValue, "dense.bias"),
    (lambda grads: grads["dense.weight"].fill(np.nan), stepd.NonFinite, "dense.weight"),
])
def test_wrong_gradients_are_named_and_change_nothing(create, change, kind, said):
    with create(normal(0)) as session:
        session.step(normal(1))
        before = session.digest()
        grads = normal(2)
        change(grads)
        with pytest.raises(kind) as refusal:
            session.step(grads)
        assert said in refusal.value.detail and not refusal.value.retryable and refusal.value.effect == "none"
        assert session.digest() == before
        assert session.step(normal(2)).step == 2


def test_wrong_parameters_are_refused_and_leave_no_session(url, create):
    wrong = normal(0)
    wrong["dense.bias"][3] = np.inf
    with pytest.raises(stepd.StepdError) as refusal:
        stepd.Session.create(url, wrong)
    assert "dense.bias" in refusal.value.detail
    with create(normal(0)) as session:
        with pytest.raises(stepd.StepdError):
            session.set_parameters({"dense.bias": wrong["dense.bias"]})
        assert_same_bits(session.parameters(), normal(0))


def test_parameters_may_be_uploaded_later(create):
    with create(normal(0), upload=False) as session:
        with pytest.raises(stepd.ParametersMissing):
            session.step(normal(1))
        session.set_parameters(normal(5))
        assert_same_bits(session.parameters(), normal(5))
        assert session.step(normal(1)).step == 1


def test_a_client_at_another_step_learns_where_the_server_is(url, create):
    with create(normal(0)) as session, stepd.Session.open(url, session.id) as late:
        session.step(normal(1))
        session.step(normal(2))
        with pytest.raises(stepd.StepMismatch) as refusal:
            late.step(normal(1))
        assert refusal.value.current_step == 2 and refusal.value.durable_step >= 0
        assert late.refresh() == 2 and late.step(normal(3)).step == 3


def test_a_step_taken_already_is_replayed_or_differs(url, create):
    with create(normal(0)) as session, stepd.Session.open(url, session.id) as late:
        first = session.step(normal(1))
        with pytest.raises(stepd.StepBodyDiffers):
            late.step(normal(2))
        again = late.step(normal(1))
        assert again.replayed and not first.replayed and again.step == late.current_step == 1
        assert_same_bits(again.deltas, first.deltas)


def test_patch_takes_effect_at_the_next_step(create):
    params, undisturbed = normal(0), normal(0)
    with create(params, "sgd", lr=0.1) as session, create(undisturbed, "sgd", lr=0.1) as other:
        session.apply(params, normal(1))
        assert session.patch(lr=0.2, name="faster")["optimizer"]["lr"] == 0.2
        assert session.apply(params, normal(2)).lr == 0.2
        other.apply(undisturbed, normal(1))
        other.apply(undisturbed, {name: 2 * grad for name, grad in normal(2).items()})
        for name, array in params.items():
            np.testing.assert_allclose(array, undisturbed[name], rtol=1e-6, atol=1e-6)
        with pytest.raises(stepd.UnknownName, match="momentum"):
            session.patch(momentun=0.9)
        assert session.status["name"] == "faster"


def test_snapshots_stay_as_asked(create):
    params = normal(0)
    with create(params, snapshot_every=1, snapshots={"keep_last": 1}) as session:
        session.apply(params, normal(1))
        pinned, loose = session.snapshot(), session.snapshot(pinned=False)
        assert pinned["pinned"] and not loose["pinned"]
        assert session.patch(snapshots={"keep_last": 2}, pinned=True)["snapshots"]["keep_last"] == 2
        assert session.pin_snapshot(loose["id"])["pinned"]
        assert not session.pin_snapshot(pinned["id"], pinned=False)["pinned"]
        session.apply(params, normal(2))
        session.apply(params, normal(3))
        for _ in range(3):
            session.snapshot(pinned=False)
        kept = [snapshot["id"] for snapshot in session.snapshots()]
        assert loose["id"] in kept and pinned["id"] not in kept and len(kept) == 3
        assert session.status["pinned"] is True


def test_wrappers_and_averages_change_by_patch(create):
    params = normal(0)
    with create(params, lr=0.1, average={"name": "ema", "decay": 0.9}, wrap=[{"name": "lookahead", "k": 5}]) as session:
        assert session.patch(average={"name": "ema", "decay": 0.5})["average"]["decay"] == 0.5
        assert session.patch(wrap=[{"name": "lookahead", "k": 7}])["wrap"][0]["k"] == 7


def test_snapshots_are_listed_read_restored_and_removed(create):
    params = normal(0)
    with create(params) as session:
        session.apply(params, normal(1))
        taken, there = session.snapshot(), copied(params)
        assert taken["step"] == 1 and taken["digest"] == session.digest().digest and taken["bytes"] > 0
        session.apply(params, normal(2))
        later = copied(params)
        assert taken in session.snapshots()  # beside those the server takes of its own accord
        stored = session.snapshot_data(taken["id"])
        assert_same_bits({name: stored[name] for name in there}, there)
        assert "dense.weight#exp_avg" in stored

        assert session.restore(taken["id"]) == stepd.Digest(1, taken["digest"]) == session.digest()
        params = session.parameters()
        assert_same_bits(params, there)
        session.apply(params, normal(2))
        assert_same_bits(params, later)

        session.delete_snapshot(taken["id"])
        assert taken["id"] not in [snapshot["id"] for snapshot in session.snapshots()]
        with pytest.raises(stepd.NotFound):
            session.restore(taken["id"])


@pytest.mark.parametrize("optimizer, options", [
    ("adamw", {}), ("sgd", {"momentum": 0.9}), ("nadam", {}), ("adan", {"lr": 1e-3}), ("sgd", {}),
])
def test_state_moves_to_another_session(create, optimizer, options):
    params = normal(0)
    with create(params, optimizer, **options) as session:
        for t in range(1, 4):
            session.apply(params, normal(t))
        session.apply(params, {"scale": normal(4)["scale"]}, partial=True)  # its own step count goes along
        moved = copied(params)
        with create(moved, optimizer, **options) as other:
            state = session.state()
            assert state.step == 4
            other.load_state(state)
            assert other.current_step == 4 and other.digest() == session.digest()
            for t in range(5, 8):
                session.apply(params, normal(t))
                other.apply(moved, normal(t))
            assert_same_bits(moved, params)


def test_a_state_with_unknown_slots_is_refused_and_changes_nothing(create):
    with create(normal(0)) as session:
        session.step(normal(1))
        state, before = session.state(), session.digest()
        state.tensors["dense.bias#exp_average"] = state.tensors.pop("dense.bias#exp_avg")
        with pytest.raises(stepd.StepdError, match="exp_average"):
            session.load_state(state)
        assert session.digest() == before


def test_deleting_removes_it(url):
    session = stepd.Session.create(url, normal(0))
    session.delete()
    with pytest.raises(stepd.NotFound, match=session.id):
        stepd.Session.open(url, session.id)
    with pytest.raises(stepd.NotFound):
        session.delete()


def test_holds_half_precision_parameters_bit_for_bit(create):
    params = {"w": np.linspace(1, 2, 300, dtype=np.float16)}
    session = create(params, optimizer="adamw", lr=1e-4)
    for t in range(1, 101):
        session.apply(params, {"w": np.full(300, 1, np.float16)})
    assert params["w"].dtype == np.float16
    assert session.parameters()["w"].tobytes() == params["w"].tobytes()
    # a hundred steps of 1e-4, each a tenth of the last place or less
    np.testing.assert_allclose(params["w"], np.linspace(1, 2, 300) - 0.01, atol=2e-3)


def test_wraps_averages_and_keeps_state_in_formats(create):
    params = {"w": np.linspace(-1, 1, 600, dtype=np.float32)}
    session = create(
        params, optimizer="adamw", lr=0.01, wrap=[{"name": "cautious"}], average={"name": "ema", "decay": 0.5},
        state={"format": "int8", "min_size": 1, "slots": {"average": "f32"}},
    )
    for _ in range(5):
        session.apply(params, {"w": params["w"].copy()})
    average = session.parameters(average="ema")["w"]
    assert params["w"][-1] < average[-1] < 1  # behind on the way down
    assert session.state().tensors["w#exp_avg"].dtype == np.uint8
    plain = session.plain_state().tensors
    assert plain["w#exp_avg"].dtype == np.float32 and np.sign(plain["w#exp_avg"][-1]) == 1
    with pytest.raises(stepd.InvalidValue, match="average: it holds parameter values"):
        create(params, optimizer="adamw", average={"name": "ema"}, state={"format": "int8", "min_size": 1})


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_fork_goes_on_as_its_source_does(create, snapshot):
    params = normal(0)
    session = create(params, optimizer="adamw", lr=0.01)
    for t in range(3):
        session.apply(params, normal(t + 1))
    stored = session.snapshot() if snapshot else None
    with session.fork(stored["id"] if stored else None, name="twin") as fork:
        try:
            assert fork.id != session.id and fork.current_step == 3
            assert fork.forked_from == {"session": session.id, "step": 3, **({"snapshot": stored["id"]} if stored else {})}
            assert fork.translation["steps"] == "carried" and not fork.translation["dropped"]
            assert fork.digest() == session.digest()
            twin = copied(params)
            session.apply(params, normal(9))
            fork.apply(twin, normal(9))
            assert_same_bits(twin, params)
            assert fork.digest() == session.digest()
        finally:
            fork.delete()


def test_a_fork_may_have_another_optimizer(create):
    params = normal(0)
    session = create(params, optimizer="adamw", lr=0.01)
    session.apply(params, normal(1))
    fork = session.fork(optimizer={"name": "lion", "lr": 1e-4})
    assert [line["slot"] for line in fork.translation["carried"]] == ["exp_avg"]
    assert [line["slot"] for line in fork.translation["dropped"]] == ["exp_avg_sq"]
    assert fork.status["optimizer"]["name"] == "lion"
    fork.delete()
    with pytest.raises(stepd.UnknownName, match="lion"):
        session.fork(optimizer="lyon")


def test_restores_on_a_named_device(create):
    params = normal(0)
    session = create(params, optimizer="adamw", lr=0.01)
    session.apply(params, normal(1))
    taken = session.snapshot()
    session.apply(params, normal(2))
    assert session.restore(taken["id"], device="cpu").digest == taken["digest"]
    assert session.status["device"] == "cpu" and session.current_step == 1
    with pytest.raises(stepd.StepdError, match='did you mean "cuda"'):
        session.restore(taken["id"], device="gpu")


def test_state_comes_in_float32_to_any_format(create):
    params = {"w": np.linspace(-1, 1, 600, dtype=np.float32)}
    plain = create(params, optimizer="adamw", lr=0.01)
    coded = create(params, optimizer="adamw", lr=0.01, state={"format": "int8", "min_size": 1})
    for t in range(3):
        plain.step({"w": np.cos(params["w"] * t).astype(np.float32)})
    state = plain.plain_state()
    coded.load_state(state, plain=True)
    assert coded.current_step == 3
    found = coded.plain_state().tensors
    for key, values in state.tensors.items():
        assert np.abs(found[key] - values).max() < 0.01 * np.abs(values).max()
