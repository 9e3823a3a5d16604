"""States of optax's optimizers, there and back, beside the optimizers themselves."""

import numpy as np
import pytest

optax = pytest.importorskip("optax", reason="optax is not installed: exchange of its states is not tested")

import jax  # noqa: E402
from stepd import optax_state  # noqa: E402

TREE = {"dense": {"bias": (5,), "kernel": (6, 5)}, "layers": [(3,), (2, 2)]}
FAMILY = {
    "adam": (lambda: optax.adam(0.01), {"optimizer": "adam", "lr": 0.01}),
    "adamw": (lambda: optax.adamw(0.01, weight_decay=0.1), {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1}),
    "adamw in a chain": (
        lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(0.01))),
        {"optimizer": "adamw", "lr": 0.01, "weight_decay": 1e-4, "clip": {"global_norm": 1.0}},
    ),
    "amsgrad": (lambda: optax.amsgrad(0.01), {"optimizer": {"name": "amsgrad", "max_on": "bias_corrected"}, "lr": 0.01}),
    "adamax": (lambda: optax.adamax(0.01), {"optimizer": "adamax", "lr": 0.01}),
    # with a larger b2 what optax's rectifier subtracts in float32 nearly cancels
    "radam": (
        lambda: optax.radam(0.01, b2=0.9),
        {"optimizer": {"name": "radam", "eps_root": "corrected"}, "lr": 0.01, "betas": (0.9, 0.9)},
    ),
    "yogi": (lambda: optax.yogi(0.01), {"optimizer": "yogi", "lr": 0.01}),
    "lion": (lambda: optax.lion(0.01), {"optimizer": "lion", "lr": 0.01, "weight_decay": 1e-3}),
    "sgd": (lambda: optax.sgd(0.01, momentum=0.9), {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9}),
}


def normal(seed):
    random = np.random.default_rng(seed)
    return jax.tree_util.tree_map(
        lambda shape: random.normal(size=shape).astype(np.float32), TREE, is_leaf=lambda leaf: isinstance(leaf, tuple)
    )


def flat(tree):
    return {name: np.asarray(leaf) for name, leaf in zip(optax_state.names(tree), jax.tree_util.tree_leaves(tree))}


def advance(tx, params, state, steps):
    for t in steps:
        updates, state = tx.update(normal(100 + t), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def assert_close(found, expected, tolerance=3e-6):
    for name, values in flat(expected).items():
        np.testing.assert_allclose(found[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("kind", FAMILY)
def test_goes_on_as_optax_does_and_back(create, kind):
    make, options = FAMILY[kind]
    tx = make()
    params = normal(0)
    params, state = advance(tx, params, tx.init(params), range(7))
    session = create(flat(params), durability="none", **options)
    optax_state.load(session, state)
    params, state = advance(tx, params, state, range(7, 14))
    for t in range(7, 14):
        session.step(flat(normal(100 + t)))
    assert_close(session.parameters(), params)

    held = session.parameters()
    back = jax.tree_util.tree_map_with_path(lambda path, _: held[optax_state._name(path)], params)
    filled = optax_state.fill(session, tx.init(back))
    back, _ = advance(tx, back, filled, range(14, 18))
    params, _ = advance(tx, params, state, range(14, 18))
    assert_close(flat(back), params, 6e-6)


def test_names_are_paths():
    assert optax_state.names(normal(0)) == ["dense.bias", "dense.kernel", "layers.0", "layers.1"]


def test_refuses_what_means_something_else(create):
    params = normal(0)
    tx = optax.nadam(0.01)
    session = create(flat(params), optimizer="nadam", durability="none")
    with pytest.raises(ValueError, match="stepd's nadam has no state of optax's"):
        optax_state.load(session, tx.init(params))
    lion = create(flat(params), optimizer="lion", durability="none")
    with pytest.raises(ValueError, match=r"the state has 0 parts with \['mu'\]"):
        optax_state.load(lion, tx.init(params))


def test_refuses_counts_that_differ(create):
    params = normal(0)
    session = create(flat(params), optimizer="adam", durability="none")
    grads = flat(normal(1))
    session.step(grads)
    session.step({"dense.bias": grads["dense.bias"]}, partial=True)
    with pytest.raises(ValueError, match=r"stepped \[1, 2\] times"):
        optax_state.fill(session, optax.adam(0.01).init(params))
