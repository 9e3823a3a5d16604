"""The states of optax's Adam family, Lion and momentum, to sessions and back.

    optax_state.load(session, opt_state)
    opt_state = optax_state.fill(session, tx.init(params))

Tensors are named by the path to them in the parameters' tree, joined with dots: ``{"dense": {"kernel": ...}}`` has
``dense.kernel``; ``names(params)`` lists them. Schedules and other parts of a chain have their own state, which stays.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

import jax
import numpy as np

from ._exchange import by_tensor, plain_state, tensor_steps
from .session import Session

__all__ = ["fill", "load", "names"]

_ADAM = {"mu": "exp_avg", "nu": "exp_avg_sq"}
# By stepd's optimizer: which field of the state is which slot.
_FIELDS: Dict[str, Dict[str, str]] = {
    "adam": _ADAM,
    "adamw": _ADAM,
    "radam": _ADAM,
    "yogi": _ADAM,
    "amsgrad": {**_ADAM, "nu_max": "max_exp_avg_sq"},
    "adamax": {"mu": "exp_avg", "nu": "exp_inf"},
    "lion": {"mu": "exp_avg"},
    "sgd": {"trace": "momentum_buffer"},
}


def names(tree: Any) -> List[str]:
    """The names of a tree's leaves, in its order."""
    return list(_leaves(tree))


def load(session: Session, opt_state: Any) -> None:
    """Replaces a session's slots by those of an optax state and continues at its count.

    Raises:
        ValueError: the session's optimizer is none of the family, or the state has not one part that belongs to it.
        StepdError: the server refused.
    """
    fields = _fields(session)
    part = _part(opt_state, fields)
    slots: Dict[str, Dict[str, np.ndarray]] = {}
    for field, slot in fields.items():
        for name, leaf in _leaves(getattr(part, field)).items():
            slots.setdefault(name, {})[slot] = np.asarray(leaf, np.float32)
    # optax's momentum does not count, and nothing depends on it
    count = int(part.count) if "count" in part._fields else 1
    session.load_state(plain_state(session, slots, {name: count for name in slots}), plain=True)


def fill(session: Session, opt_state: Any) -> Any:
    """An optax state with a session's slots and count, else as it was. ``opt_state`` is one of the same parameters, such as
    ``tx.init(params)``.

    Raises:
        ValueError: as ``load``, or tensors missed steps, which optax counts together.
    """
    fields = _fields(session)
    fetched = session.plain_state()
    slots, steps = by_tensor(fetched), set(tensor_steps(session, fetched).values())
    if len(steps) > 1:
        raise ValueError(f"tensors were stepped {sorted(steps)} times, optax has one count for all")
    part = _part(opt_state, fields)
    changes: Dict[str, Any] = {field: _filled(getattr(part, field), slots, slot) for field, slot in fields.items()}
    if "count" in part._fields:
        changes["count"] = jax.numpy.asarray(steps.pop(), part.count.dtype)
    return _replaced(opt_state, part, part._replace(**changes))


def _fields(session: Session) -> Mapping[str, str]:
    name = session.status["optimizer"]["name"]
    if name not in _FIELDS:
        raise ValueError(f"stepd's {name} has no state of optax's; what has: {sorted(_FIELDS)}")
    return _FIELDS[name]


def _part(opt_state: Any, fields: Mapping[str, str]) -> Any:
    """The one part of a chain that has just these fields."""
    of_moments = {"mu", "nu", "nu_max", "trace"}
    found = [part for part in _parts(opt_state) if of_moments & set(part._fields) == set(fields)]
    if len(found) != 1:
        raise ValueError(f"the state has {len(found)} parts with {sorted(fields)}, expected one")
    return found[0]


def _parts(state: Any) -> List[Any]:
    if hasattr(state, "_fields"):
        nested = [part for field in state for part in _parts(field)]
        return [state, *nested]
    return [part for one in state for part in _parts(one)] if isinstance(state, (tuple, list)) else []


def _replaced(state: Any, old: Any, new: Any) -> Any:
    if state is old:
        return new
    if hasattr(state, "_fields"):
        return type(state)(*(_replaced(field, old, new) for field in state))
    return type(state)(_replaced(one, old, new) for one in state) if isinstance(state, (tuple, list)) else state


def _leaves(tree: Any) -> Dict[str, Any]:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def _name(path: Any) -> str:
    keys = (getattr(key, "key", getattr(key, "idx", getattr(key, "name", key))) for key in path)
    return ".".join(str(key) for key in keys)


def _filled(tree: Any, slots: Mapping[str, Mapping[str, np.ndarray]], slot: str) -> Any:
    def value(path: Any, leaf: Any) -> Any:
        return jax.numpy.asarray(slots[_name(path)][slot].reshape(leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(value, tree)
