"""The states of bitsandbytes' block-wise 8-bit optimizers, to sessions and back.

    bitsandbytes_state.load(session, optimizer.state_dict(), names)
    optimizer.load_state_dict(bitsandbytes_state.state_dict(session, optimizer.state_dict(), names))

A session whose slots are ``int8`` with bitsandbytes' code book and blocks takes and gives codes and scales as they are. Any
other takes values in float32, which it encodes itself. Of a ``state_dict`` this module needs numpy's view of its tensors only;
bitsandbytes does not have to be there.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional

import numpy as np

from ._exchange import by_tensor, named_ids, plain_state, tensor_steps
from .session import Session, State

__all__ = ["load", "state_dict"]

BLOCK = 256
_WRAPPED = "__bnb_optimizer_quant_state__"  # where newer versions put tensors that are not shaped as parameters
# By stepd's optimizer: the slots that state1 and state2 hold, those of state1 one behind the other.
_SLOTS: Dict[str, List[List[str]]] = {
    "adam": [["exp_avg"], ["exp_avg_sq"]],
    "adamw": [["exp_avg"], ["exp_avg_sq"]],
    "ademamix": [["exp_avg_fast", "exp_avg_slow"], ["exp_avg_sq"]],
    "lion": [["exp_avg"]],
    "sgd": [["momentum_buffer"]],
    "rmsprop": [["square_avg"]],
    "adagrad": [["sum"]],
}


class _Coded(NamedTuple):
    """A slot of one tensor; without a scale its values."""

    codes: np.ndarray
    scale: Optional[np.ndarray]
    book: Optional[np.ndarray]

    def values(self) -> np.ndarray:
        if self.scale is None or self.book is None:
            return self.codes
        flat = self.codes.reshape(-1)
        return (self.book[flat] * np.repeat(self.scale, BLOCK)[: flat.size]).astype(np.float32).reshape(self.codes.shape)


def load(session: Session, state_dict: Mapping[str, Any], names: Optional[Iterable[str]] = None) -> bool:
    """Replaces a session's slots by those of a state_dict and continues at its step.

    Returns:
        Whether codes and scales were taken as they are.

    Raises:
        ValueError: the session's optimizer is none of bitsandbytes', or names or shapes are not the session's.
        StepdError: the server refused.
    """
    ids = named_ids(state_dict, names)
    parts = _parts(session)
    slots: Dict[str, Dict[str, _Coded]] = {}
    steps: Dict[str, int] = {}
    for key, entry in state_dict["state"].items():
        flat = _unwrapped(entry)
        slots[ids[key]] = _read(flat, parts, session.tensors[ids[key]].shape)
        steps[ids[key]] = int(flat["step"])
    present = session.state()
    exact = _as_they_are(session, present, slots)
    if exact is not None:
        counted = plain_state(session, {}, steps).metadata
        session.load_state(State(exact, {**present.metadata, **counted}))
        return True
    values = {name: {slot: coded.values() for slot, coded in its.items()} for name, its in slots.items()}
    session.load_state(plain_state(session, values, steps), plain=True)
    return False


def state_dict(session: Session, like: Mapping[str, Any], names: Optional[Iterable[str]] = None) -> Dict[str, Any]:
    """A session's state in the layout of ``like``, a state_dict of an optimizer of the same parameters that has stepped: its
    code books, blocks and groups.

    Raises:
        ValueError: the session's optimizer is none of bitsandbytes', or it is kept otherwise than ``like``.
    """
    ids = named_ids(like, names)
    parts = _parts(session)
    fetched = session.state()
    slots, steps = by_tensor(fetched), tensor_steps(session, fetched)
    result = {"state": {}, "param_groups": copy.deepcopy(like["param_groups"])}
    for key, entry in like["state"].items():
        its = slots[ids[key]]
        flat = dict(_unwrapped(entry))
        flat["step"] = steps[ids[key]]
        for number, group in enumerate(parts, start=1):
            flat.update(_written(flat, number, [its[slot] for slot in group], [its.get(f"{slot}.scale") for slot in group]))
        result["state"][key] = _wrapped(flat, entry)
    return result


def _parts(session: Session) -> List[List[str]]:
    name = session.status["optimizer"]["name"]
    if name not in _SLOTS:
        raise ValueError(f"bitsandbytes has no 8-bit {name}; it has {sorted(_SLOTS)}")
    return _SLOTS[name]


def _unwrapped(entry: Mapping[str, Any]) -> Dict[str, Any]:
    return {**{key: value for key, value in entry.items() if key != _WRAPPED}, **entry.get(_WRAPPED, {})}


def _wrapped(flat: Dict[str, Any], entry: Mapping[str, Any]) -> Dict[str, Any]:
    if _WRAPPED not in entry:
        return flat
    inside = {key: flat[key] for key in entry[_WRAPPED]}
    return {**{key: flat[key] for key in entry if key != _WRAPPED}, _WRAPPED: inside}


def _read(flat: Mapping[str, Any], parts: List[List[str]], shape: Any) -> Dict[str, _Coded]:
    slots: Dict[str, _Coded] = {}
    for number, group in enumerate(parts, start=1):
        codes = _array(flat[f"state{number}"]).reshape((len(group), *shape))
        scale = _array(flat[f"absmax{number}"]).reshape(len(group), -1) if codes.dtype == np.uint8 else None
        book = _array(flat[f"qmap{number}"]) if codes.dtype == np.uint8 else None
        for i, slot in enumerate(group):
            slots[slot] = _Coded(codes[i], None if scale is None else scale[i], book)
    return slots


def _as_they_are(
    session: Session, present: State, slots: Mapping[str, Mapping[str, _Coded]]
) -> Optional[Dict[str, np.ndarray]]:
    """The arrays of a state that the session keeps in the same way, or None."""
    tensors: Dict[str, np.ndarray] = {}
    for name, its in slots.items():
        for slot, coded in its.items():
            key = f"{name}#{slot}"
            kept = present.tensors[key]
            if coded.scale is None:
                if kept.dtype != np.float32:
                    return None
                tensors[key] = np.ascontiguousarray(coded.codes, np.float32)
                continue
            scale = present.tensors.get(f"{key}.scale")
            if kept.dtype != np.uint8 or scale is None or scale.shape != coded.scale.shape or not _is_book(present, slot, coded.book):
                return None
            tensors[key] = np.ascontiguousarray(coded.codes).reshape(kept.shape)
            tensors[f"{key}.scale"] = np.ascontiguousarray(coded.scale, np.float32)
    return tensors


def _is_book(present: State, slot: str, book: Optional[np.ndarray]) -> bool:
    """Whether the session keeps a slot by this code book, in bitsandbytes' blocks."""
    signed = "signed" if book is not None and book.min() < 0 else "unsigned"
    return present.metadata.get(f"format.{slot}") == f"int8 dynamic-{signed}-256 blocks of {BLOCK}"


def _written(
    flat: Mapping[str, Any], number: int, codes: List[np.ndarray], scales: List[Optional[np.ndarray]]
) -> Dict[str, Any]:
    old = flat[f"state{number}"]
    coded = _array(old).dtype == np.uint8
    if any((array.dtype == np.uint8) != coded for array in codes) or coded and any(scale is None for scale in scales):
        raise ValueError(
            f"state{number} is {_array(old).dtype} in bitsandbytes' state, in the session {codes[0].dtype}: fork it to"
            " another state format first"
        )
    written = {f"state{number}": _like(old, np.stack(codes))}
    if coded:
        written[f"absmax{number}"] = _like(flat[f"absmax{number}"], np.stack([scale for scale in scales if scale is not None]))
    return written


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _like(old: Any, array: np.ndarray) -> Any:
    """The array shaped as ``old``, and what that is: a torch tensor on its device, or a numpy array."""
    shaped = array.reshape(tuple(old.shape))
    if not hasattr(old, "detach"):
        return shaped
    import torch

    return torch.from_numpy(shaped.copy()).to(old.device)
