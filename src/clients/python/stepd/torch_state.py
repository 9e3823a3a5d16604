"""The states of ``torch.optim`` optimizers, to sessions and back.

    session = torch_state.create(url, torch_optimizer, names)    # goes on where the torch optimizer stands
    torch_optimizer.load_state_dict(torch_state.state_dict(session, torch_optimizer, names))

Names are those of the session's tensors, in the order of the optimizer's parameters. An optimizer made of
``model.named_parameters()`` knows them itself.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np
import torch

from ._exchange import by_tensor, named_ids, plain_state, tensor_steps
from .session import Session

__all__ = ["create", "load", "optimizer_of", "state_dict"]

_SAME = ("lr", "eps", "weight_decay", "maximize")
_ADAM = (*_SAME, "betas")


def _plain(name: str, *keys: str) -> Callable[[Mapping[str, Any]], Dict[str, Any]]:
    return lambda group: {"name": name, **{key: group[key] for key in keys}}


def _minimizing(name: str, *keys: str) -> Callable[[Mapping[str, Any]], Dict[str, Any]]:
    def described(group: Mapping[str, Any]) -> Dict[str, Any]:
        if group["maximize"]:
            raise ValueError(f"{name} with maximize is not in stepd's catalogue")
        return _plain(name, *keys)(group)

    return described


def _adam(decoupled: bool) -> Callable[[Mapping[str, Any]], Dict[str, Any]]:
    def described(group: Mapping[str, Any]) -> Dict[str, Any]:
        decays_alone = decoupled or group.get("decoupled_weight_decay", False)
        if not group["amsgrad"]:
            return _plain("adamw" if decays_alone else "adam", *_ADAM)(group)
        return {**_minimizing("amsgrad", "lr", "betas", "eps", "weight_decay")(group), "decoupled": decays_alone}

    return described


def _decoupling(name: str, *more: str) -> Callable[[Mapping[str, Any]], Dict[str, Any]]:
    return lambda group: {**_plain(name, *_ADAM, *more)(group), "decoupled": group["decoupled_weight_decay"]}


def _rprop(group: Mapping[str, Any]) -> Dict[str, Any]:
    minus, plus = group["etas"]
    least, most = group["step_sizes"]
    bounds = {"eta_minus": minus, "eta_plus": plus, "step_size_min": least, "step_size_max": most}
    return {**_plain("rprop", "lr", "maximize")(group), **bounds}


# What a parameter group is in stepd's catalogue.
_OPTIMIZERS: Dict[str, Callable[[Mapping[str, Any]], Dict[str, Any]]] = {
    "Adam": _adam(False),
    "AdamW": _adam(True),
    "SGD": _plain("sgd", "lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"),
    "RMSprop": _plain("rmsprop", *_SAME, "alpha", "momentum", "centered"),
    "Adagrad": _plain("adagrad", *_SAME, "lr_decay", "initial_accumulator_value"),
    "Adadelta": _plain("adadelta", *_SAME, "rho"),
    "Adamax": _plain("adamax", *_ADAM),
    "NAdam": _decoupling("nadam", "momentum_decay"),
    "RAdam": _decoupling("radam"),
    "Rprop": _rprop,
    "ASGD": _minimizing("asgd", "lr", "lambd", "alpha", "t0", "weight_decay"),
}


def optimizer_of(optimizer: torch.optim.Optimizer) -> List[Dict[str, Any]]:
    """Each parameter group as the ``optimizer`` object of a session.

    Raises:
        ValueError: stepd has no such optimizer.
    """
    kind = type(optimizer).__name__
    if kind not in _OPTIMIZERS:
        raise ValueError(f"torch.optim.{kind} is not in stepd's catalogue; what is: {sorted(_OPTIMIZERS)}")
    return [
        {key: _number(value) for key, value in _OPTIMIZERS[kind](group).items()} for group in optimizer.param_groups
    ]


def create(url: str, optimizer: torch.optim.Optimizer, names: Optional[Iterable[str]] = None, **options: Any) -> Session:
    """A session that goes on where a torch optimizer stands: its hyperparameters, its parameters, its state.

    Args:
        names: of its parameters in their order; None where it was made of named ones.
        options: as for ``Session.create``.

    Raises:
        ValueError: stepd has no such optimizer, or its names are missing or mean something in a glob.
        StepdError: the server refused. No session is left behind.
    """
    saved = optimizer.state_dict()
    ids = named_ids(saved, names)
    described = optimizer_of(optimizer)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    values = {name: param.detach().cpu().contiguous() for name, param in zip(ids.values(), params)}
    arrays = {name: _array(value) for name, value in values.items()}
    session = Session.create(url, arrays, described[0], groups=_groups(saved, ids, described) or None, **options)
    try:
        load(session, saved, list(ids.values()))
    except BaseException:
        session.delete()
        raise
    return session


def _groups(saved: Mapping[str, Any], ids: Mapping[Any, str], described: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """What later parameter groups do otherwise than the first, parameter by parameter."""
    groups = []
    for group, own in zip(saved["param_groups"][1:], described[1:]):
        changes = {key: value for key, value in own.items() if value != described[0].get(key)}
        if isinstance(changes.get("betas"), (list, tuple)):
            changes.update({f"beta{i + 1}": beta for i, beta in enumerate(changes.pop("betas"))})
        for name in (ids[key] for key in group["params"]) if changes else ():
            if set(name) & set("*?[]{}!\\"):
                raise ValueError(f"parameter {name!r} of a group of its own has a name that means something in a glob")
            groups.append({"match": name, **changes})
    return groups


def load(session: Session, state_dict: Mapping[str, Any], names: Optional[Iterable[str]] = None) -> None:
    """Replaces a session's slots by those of a ``torch.optim`` state_dict and continues at its steps. In the session they are
    kept in whatever format it has.

    Before the session's first step parameters without state start as the optimizer starts; upload parameters before this.

    Raises:
        ValueError: names or slots are not those of the session.
        StepdError: the server refused.
    """
    ids = named_ids(state_dict, names)
    slots: Dict[str, Dict[str, np.ndarray]] = {}
    steps: Dict[str, int] = {}
    for key, entry in state_dict["state"].items():
        if key not in ids:
            raise ValueError(f"the state of parameter {key!r} belongs to no parameter group")
        kept = {slot: _float(value) for slot, value in entry.items() if slot != "step" and value is not None}
        # torch's SGD does not count; that it has slots says that it has stepped
        steps[ids[key]] = int(entry.get("step", 1 if kept else 0))
        slots[ids[key]] = kept
    session.load_state(plain_state(session, slots, steps), plain=True)


def state_dict(
    session: Session, optimizer: torch.optim.Optimizer, names: Optional[Iterable[str]] = None
) -> Dict[str, Any]:
    """A session's state as a torch optimizer loads it. Hyperparameters are the torch optimizer's own.

    Raises:
        ValueError: its parameters are not those of the session.
    """
    saved = optimizer.state_dict()
    ids = named_ids(saved, names)
    fetched = session.plain_state()
    slots, steps = by_tensor(fetched), tensor_steps(session, fetched)
    known = session.slots()
    counts = not isinstance(optimizer, torch.optim.SGD)
    state: Dict[Any, Dict[str, torch.Tensor]] = {}
    for key, name in ids.items():
        if name not in session.tensors:
            raise ValueError(f"the session has no tensor {name!r}; it has {list(session.tensors)}")
        if steps[name] > 0:
            its = {slot: array for slot, array in slots.get(name, {}).items() if slot in known}
            entry = {slot: _tensor(array, session.tensors[name].shape) for slot, array in its.items()}
            state[key] = {"step": torch.tensor(float(steps[name])), **entry} if counts else entry
    return {"state": state, "param_groups": saved["param_groups"]}


def _tensor(array: np.ndarray, shape: Tuple[int, ...]) -> torch.Tensor:
    """What is one number for a tensor has no dimension in torch."""
    if array.dtype == np.float64 and array.shape == (1,):
        return torch.tensor(float(array[0]))
    return torch.from_numpy(array.reshape(shape))


def _array(value: torch.Tensor) -> np.ndarray:
    if value.dtype == torch.bfloat16:
        from ._safetensors import BF16

        return value.view(torch.int16).numpy().view(np.uint16).view(BF16)
    return value.numpy()


def _float(value: Any) -> np.ndarray:
    tensor = torch.as_tensor(value).detach().cpu()
    return (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()


def _number(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item()
    return [_number(one) for one in value] if isinstance(value, (list, tuple)) else value
