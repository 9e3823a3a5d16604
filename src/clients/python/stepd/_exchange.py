"""What the exchanges of states with other libraries have in common."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np

from .session import Session, State


def plain_state(session: Session, slots: Mapping[str, Mapping[str, np.ndarray]], steps: Mapping[str, int]) -> State:
    """A state for ``load_state(plain=True)``.

    Args:
        slots: by tensor, then by the slot's name here: arrays, or numbers where a tensor has one.
        steps: how often each tensor was stepped; none where it is not named.

    Raises:
        ValueError: a tensor or a slot is none of the session's, or an array has another shape.
    """
    known = session.slots()
    tensors: Dict[str, np.ndarray] = {}
    for name, its in slots.items():
        if name not in session.tensors:
            raise ValueError(f"the session has no tensor {name!r}; it has {list(session.tensors)}")
        for slot, value in its.items():
            if slot not in known:
                raise ValueError(f"the session's optimizer has no slot {slot!r}; it has {sorted(known)}")
            tensors[f"{name}#{slot}"] = _fitted(f"{name}#{slot}", value, known[slot], session.tensors[name].shape)
    counted = [int(steps.get(name, 0)) for name in session.tensors]
    return State(tensors, {"step": str(max(counted, default=0)), "tensor_steps": json.dumps(counted)})


def _fitted(key: str, value: Any, slot: Mapping[str, Any], shape: Sequence[int]) -> np.ndarray:
    dtype = np.float64 if slot["dtype"] == "F64" else np.float32
    array = np.array(value, dtype)  # a copy: what is sent must not change meanwhile
    if slot["scope"] == "tensor" and array.size == 1:
        return array.reshape(1)
    if slot["scope"] != "element" or array.shape != tuple(shape):
        raise ValueError(f"{key} has shape {list(array.shape)}, expected {list(shape)}")
    return array


def tensor_steps(session: Session, state: State) -> Dict[str, int]:
    """How often each tensor was stepped."""
    counted = json.loads(state.metadata.get("tensor_steps", json.dumps([state.step] * len(session.tensors))))
    return dict(zip(session.tensors, counted))


def by_tensor(state: State) -> Dict[str, Dict[str, np.ndarray]]:
    """The arrays of a state by tensor and slot."""
    slots: Dict[str, Dict[str, np.ndarray]] = {}
    for key, array in state.tensors.items():
        name, _, slot = key.rpartition("#")
        slots.setdefault(name, {})[slot] = array
    return slots


def named_ids(state_dict: Mapping[str, Any], names: Optional[Iterable[str]]) -> Dict[Any, str]:
    """The session's names of the parameters of a torch ``state_dict``, by their ids there.

    Raises:
        ValueError: there are no names, or not as many as parameters.
    """
    groups: List[Mapping[str, Any]] = state_dict["param_groups"]
    ids = [key for group in groups for key in group["params"]]
    if names is None:
        if not all("param_names" in group for group in groups):
            raise ValueError(
                "the state_dict names no parameters: give names, in its order, or make the optimizer of model.named_parameters()"
            )
        names = [name for group in groups for name in group["param_names"]]
    given = list(names)
    if len(given) != len(ids):
        raise ValueError(f"there are {len(given)} names, the state_dict has {len(ids)} parameters")
    return dict(zip(ids, given))
