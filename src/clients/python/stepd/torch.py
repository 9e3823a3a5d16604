"""A ``torch.optim.Optimizer`` whose steps are taken by a stepd server."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote

import numpy as np
import torch

from ._exchange import plain_state
from ._http import Answer, Connection, Retry
from .session import Session, State, plain

__all__ = ["Optimizer"]

# What torch.optim's constructors take about how they compute. The server decides that itself.
_TORCH_ONLY = ("foreach", "fused", "capturable", "differentiable")


class Optimizer(torch.optim.Optimizer):
    """Takes the place of a ``torch.optim`` optimizer.

        optimizer = stepd.torch.Optimizer(model.parameters(), "http://127.0.0.1:8080", "adamw", lr=1e-3)

    Parameters are float32 tensors on the CPU; gradients may be left out (None) as usual. Parameter groups,
    closures, LR schedulers, hooks and ``state_dict`` work as in torch; slots bear torch's names, so a ``state_dict``
    of ``torch.optim.AdamW`` and one of ``Optimizer(..., "adamw")`` load into each other.

    The parameters are uploaded before the first step, and again whenever somebody else than this optimizer changed
    them in place (``model.load_state_dict``, clamping under ``no_grad``). Changes through ``.data`` bypass torch's
    version counters: call ``push_parameters`` after them.

    Names on the server: the names given, else ``param0``, ``param1``, ... in order; from the second parameter group
    on with ``group1/``, ``group2/`` in front; characters that mean something in a glob or a slot key percent-encoded.

    Attributes:
        session: the ``Session``, to snapshot, inspect or ``delete``. It stays on the server until deleted.
    """

    session: Optional[Session] = None

    def __init__(
        self,
        params: Any,
        url: str,
        optimizer: str = "adamw",
        lr: Optional[float] = None,
        *,
        schedule: Optional[Mapping[str, Any]] = None,
        clip: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        durability: Optional[str] = None,
        snapshot_every: Optional[int] = None,
        snapshots: Optional[Mapping[str, Any]] = None,
        non_finite: Optional[str] = None,
        metrics: Optional[str] = None,
        state: Optional[Mapping[str, Any]] = None,
        device: Optional[str] = None,
        pinned: Optional[bool] = None,
        timeout: float = 120.0,
        retry: Retry = Retry(),
        headers: Optional[Mapping[str, str]] = None,
        **hyper: Any,
    ) -> None:
        """
        Args:
            params: parameters, (name, parameter) pairs, or groups of either with their own hyperparameters.
            url: ``http://host:port`` of the server.
            optimizer: its name in the server's catalogue.
            lr, hyper: hyperparameters; those left out are the server's defaults. ``betas`` stands for ``beta1``...
            schedule, clip, name, durability, snapshot_every, snapshots, non_finite, metrics, state, device, pinned, timeout,
                retry, headers: as for ``Session.create``. A ``schedule`` runs on the server, on top of ``lr``.

        Raises:
            TypeError: a parameter is not a float32 tensor on the CPU.
            StepdError: the server refused, such as ``UnknownName`` for an optimizer or hyperparameter.
        """
        self._rule = optimizer
        given = {key: value for key, value in hyper.items() if key not in _TORCH_ONLY}
        if lr is not None:
            given["lr"] = lr
        known = _catalogued(url, optimizer, timeout=timeout, retry=retry, headers=headers)
        self._hyper = frozenset(known)
        super().__init__(params, {**_defaults(known, given), **given})
        self._params = dict(self._named())
        self._seen: Dict[str, Tuple[int, int]] = {}
        self._sent = [self._values(group) for group in self.param_groups]
        unknown = {key: value for key, value in _expanded(given).items() if key not in known}
        self.session = Session.create(
            url,
            {key: _array(param) for key, param in self._params.items()},
            {"name": optimizer, **unknown, **self._sent[0]},
            groups=self._groups(self._sent) or None,
            schedule=schedule,
            clip=clip,
            name=name,
            durability=durability,
            snapshot_every=snapshot_every,
            snapshots=snapshots,
            non_finite=non_finite,
            metrics=metrics,
            state=state,
            device=device,
            pinned=pinned,
            upload=False,
            timeout=timeout,
            retry=retry,
            headers=headers,
        )

    def add_param_group(self, param_group: Dict[str, Any]) -> None:
        """As torch's, during construction only.

        Raises:
            RuntimeError: the session has begun: its tensors cannot change.
        """
        if self.session is not None:
            raise RuntimeError(
                f"session {self.session.id} has begun and its tensors cannot change: build a new "
                "stepd.torch.Optimizer with all parameter groups and load the old state_dict's groups into it"
            )
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for index, param in enumerate(group["params"]):
            where = group["param_names"][index] if "param_names" in group else f"parameter {index}"
            if param.dtype != torch.float32 or param.device.type != "cpu" or param.layout != torch.strided:
                raise TypeError(
                    f"{where} of group {len(self.param_groups) - 1} is {param.dtype} on {param.device}, "
                    "expected a dense torch.float32 tensor on the cpu"
                )

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:
        """Takes one step with the gradients there are and adds the deltas to the parameters.

        Args:
            closure: reevaluates the model and returns the loss.

        Returns:
            The closure's result.

        Raises:
            TypeError: a gradient is not a dense float32 tensor.
            StepMismatch: the server is at another step, as after a restart from a snapshot: see
                ``pull_parameters``.
            StepdError: the server refused; parameters and state are unchanged.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grads = {
            name: _gradient(name, param.grad) for name, param in self._params.items() if param.grad is not None
        }
        if not grads:
            return loss
        self._patch()
        if self._seen != self._versions():
            self.push_parameters()
        result = self._open().step(grads, partial=len(grads) < len(self._params), reuse=True)
        for name in grads:
            self._params[name].add_(torch.from_numpy(result.deltas[name]))
        self._seen = self._versions()
        return loss

    def push_parameters(self) -> None:
        """Uploads the parameters: the server's become these."""
        self._open().set_parameters({name: _array(param) for name, param in self._params.items()})
        self._seen = self._versions()

    @torch.no_grad()
    def pull_parameters(self) -> int:
        """Downloads the parameters: these become the server's, at its step, which is returned. After a
        ``StepMismatch`` training goes on from there."""
        session = self._open()
        for name, values in session.parameters().items():
            self._params[name].copy_(torch.from_numpy(values))
        self._seen = self._versions()
        return session.refresh()

    def state_dict(self) -> Dict[str, Any]:
        """As torch's: slots and ``step`` per parameter, fetched from the server as torch keeps them, and the groups. Under
        ``"stepd"``, which torch ignores, the optimizer's name and the steps of the session, of which a parameter
        has fewer when it went without a gradient."""
        fetched = self._open().plain_state()
        state: Dict[torch.Tensor, Dict[str, torch.Tensor]] = defaultdict(dict)
        for param, step in zip(self._params.values(), _tensor_steps(fetched, len(self._params))):
            state[param]["step"] = torch.tensor(float(step))
        for key, values in fetched.tensors.items():
            name, _, slot = key.rpartition("#")
            state[self._params[name]][slot] = torch.from_numpy(values)
        self.state = state
        try:
            packed = super().state_dict()
        finally:
            self.state = defaultdict(dict)
        packed["stepd"] = {"optimizer": self._rule, "step": fetched.step}
        return packed

    def load_state_dict(self, state_dict: Dict[str, Any]) -> None:
        """Loads what ``state_dict`` returned, here or in the ``torch.optim`` optimizer of the same name: slots and
        step go to the server, hyperparameters into the groups and to the server before the next step.

        Raises:
            ValueError: the groups or the slots are not those of this optimizer's parameters.
            StepdError: the server refused.
        """
        # Without the state: torch would cast every slot to float32, and some have more digits.
        super().load_state_dict({"state": {}, "param_groups": state_dict["param_groups"]})
        ids = [key for group in state_dict["param_groups"] for key in group["params"]]
        names = dict(zip(ids, self._params))
        kept: Dict[str, Dict[str, np.ndarray]] = {}
        steps: Dict[str, int] = {name: 0 for name in self._params}
        for key, slots in state_dict["state"].items():
            if key not in names:
                raise ValueError(f"the state of parameter {key!r} belongs to no parameter group")
            for slot, value in slots.items():
                if slot == "step":
                    steps[names[key]] = int(value)
                elif isinstance(value, torch.Tensor):
                    kept.setdefault(names[key], {})[slot] = _array(value.cpu())
            if "step" not in slots and any(isinstance(value, torch.Tensor) for value in slots.values()):
                steps[names[key]] = 1  # torch's SGD does not count; that it has slots says that it has stepped
        state = plain_state(self._open(), kept, steps)
        step = int(state_dict.get("stepd", {}).get("step", state.step))
        self._open().load_state(State(state.tensors, {**state.metadata, "step": str(step)}), plain=True)

    def _open(self) -> Session:
        if self.session is None:
            raise RuntimeError("the session has not begun")
        return self.session

    def _named(self) -> Iterator[Tuple[str, torch.Tensor]]:
        count = 0
        for index, group in enumerate(self.param_groups):
            given = group.get("param_names") or [f"param{count + i}" for i in range(len(group["params"]))]
            for name, param in zip(given, group["params"]):
                yield (f"group{index}/" if index else "") + _literal(name), param
            count += len(group["params"])

    def _versions(self) -> Dict[str, Tuple[int, int]]:
        return {name: (param._version, param.data_ptr()) for name, param in self._params.items()}

    def _values(self, group: Mapping[str, Any]) -> Dict[str, Any]:
        """The group's hyperparameters by the server's names. Whatever else it holds (``initial_lr``, marks of
        the caller's) stays here, as in torch."""
        values = _expanded(group).items()
        return {key: value for key, value in values if key in self._hyper and value is not None}

    @staticmethod
    def _groups(values: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """The session's groups: the first parameter group is what they override."""
        return [
            {"match": f"group{index + 1}/*", **{key: own[key] for key in own if own[key] != values[0].get(key)}}
            for index, own in enumerate(values[1:])
        ]

    def _patch(self) -> None:
        """Sends the hyperparameters that somebody changed here, as LR schedulers do, before the next step."""
        values = [self._values(group) for group in self.param_groups]
        if values == self._sent:
            return
        changes: Dict[str, Any] = {
            key: value for key, value in values[0].items() if value != self._sent[0].get(key)
        }
        if self._groups(values) != self._groups(self._sent):
            changes["groups"] = self._groups(values)
        self._open().patch(**changes)
        self._sent = values


def _catalogued(url: str, optimizer: str, **options: Any) -> Dict[str, Any]:
    """An optimizer's hyperparameters with their defaults."""
    connection = Connection(url, **options)
    try:
        entry = connection.exchange("GET", "/v1/optimizers/" + quote(optimizer, safe=""), Answer.json)
        return {parameter["name"]: parameter.get("default") for parameter in entry["hyperparameters"]}
    finally:
        connection.close()


def _defaults(known: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[str, Any]:
    """The catalogue's defaults as torch's optimizers show theirs: in every group, the betas together."""
    values = dict(known)
    betas = [key for key in ("beta1", "beta2", "beta3") if key in values]
    if "betas" in given or len(betas) > 1 and not any(key in given for key in betas):
        values["betas"] = tuple(values.pop(key) for key in betas)
    return values


def _literal(name: str) -> str:
    return re.sub(r"[%#*?\[\]{}!\\/,]", lambda found: f"%{ord(found[0]):02X}", name)


def _expanded(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Plain numbers, ``betas`` as ``beta1``, ``beta2``, ..."""
    expanded: Dict[str, Any] = {}
    for key, value in values.items():
        if key in ("params", "param_names"):
            continue
        if key == "betas":
            expanded.update({f"beta{i + 1}": _number(beta) for i, beta in enumerate(value)})
        else:
            expanded[key] = _number(value)
    return expanded


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else plain(value)


def _array(param: torch.Tensor) -> np.ndarray:
    return param.detach().contiguous().numpy()


def _gradient(name: str, grad: torch.Tensor) -> np.ndarray:
    if grad.layout != torch.strided or grad.dtype != torch.float32:
        raise TypeError(f"gradient of {name} is {grad.dtype}, {grad.layout}; expected a dense torch.float32 tensor")
    return grad.detach().contiguous().numpy()


def _tensor_steps(state: State, count: int) -> List[int]:
    """How often each tensor was stepped, in declared order; the metadata says so only where it differs."""
    return json.loads(state.metadata.get("tensor_steps", json.dumps([state.step] * count)))
