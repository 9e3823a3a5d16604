"""A model being trained on the server, seen from numpy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, Union
from urllib.parse import quote

import numpy as np

from . import _safetensors
from ._http import Answer, Connection, Retry, json_body, tensor_body
from .errors import NotFound

Arrays = Mapping[str, np.ndarray]
# What a step brings beside gradients: by the input's name, arrays by tensor name, or one number.
Inputs = Mapping[str, Union[Arrays, float, np.ndarray]]

_FIELDS = (
    "name", "groups", "schedule", "clip", "wrap", "average", "non_finite", "metrics", "snapshot_every", "snapshots", "pinned",
)
_GRADIENT_DTYPES = ("F32", "F16", "BF16")


class TensorSpec(NamedTuple):
    """What the session declared for one tensor; ``dtype`` by its safetensors name, such as ``"F32"``."""

    dtype: str
    shape: Tuple[int, ...]


class Digest(NamedTuple):
    """A step and the digest (``sha256:...``) of parameters and slots at it."""

    step: int
    digest: str


class Event(NamedTuple):
    """Something that happened to a session: ``name`` is ``step``, ``snapshot``, ``restore``, ``evicted``, ``woken``,
    ``failed``, ``reconfigured``, ``deleted``, or ``gap`` with how many were ``missed``."""

    id: str
    name: str
    data: Dict[str, Any]


class State(NamedTuple):
    """Every slot of a session: ``tensors`` by ``<tensor>#<slot>``, and the ``metadata`` that belongs to them."""

    tensors: Dict[str, np.ndarray]
    metadata: Dict[str, str]

    @property
    def step(self) -> int:
        return int(self.metadata["step"])


@dataclass(frozen=True)
class StepResult:
    """What came of a step.

    Attributes:
        step: the number of the step just taken; the first is 1.
        lr: the learning rate it was taken with, of the first group.
        grad_norm: L2 norm of all gradients together, before clipping.
        durable_step: the newest step that survives a crash of the server.
        replayed: whether this is the answer to a request sent before, whose first answer was lost.
        deltas: by tensor name, new minus old parameter, in the parameter's shape and dtype.
        parameters: the new values instead, where they were asked for.
        server_timing: the header ``Server-Timing``, in milliseconds.
    """

    step: int
    lr: float
    grad_norm: float
    durable_step: int
    replayed: bool
    deltas: Dict[str, np.ndarray] = field(default_factory=dict)
    parameters: Dict[str, np.ndarray] = field(default_factory=dict)
    server_timing: str = ""


class Session:
    """A model on the server: its optimizer, its state and its step counter. Not safe for concurrent use.

    A context manager: leaving it closes the connection and keeps the session; ``delete`` removes it.
    """

    def __init__(self, connection: Connection, status: Mapping[str, Any]) -> None:
        """Use ``create`` or ``open``. Owns ``connection``."""
        self._connection = connection
        self._scratch = _safetensors.Scratch()
        self._step = int(status["step"])
        self.id: str = status["id"]
        self.forked_from: Dict[str, Any] = {}
        self.translation: Dict[str, Any] = {}
        self.tensors: Dict[str, TensorSpec] = {
            tensor["name"]: TensorSpec(tensor.get("dtype", "F32"), tuple(tensor["shape"]))
            for tensor in status["tensors"]
        }
        self._path = "/v1/sessions/" + quote(self.id, safe="")

    @classmethod
    def create(
        cls,
        url: str,
        tensors: Arrays,
        optimizer: Union[str, Mapping[str, Any]] = "adamw",
        *,
        lr: Optional[float] = None,
        groups: Optional[Sequence[Mapping[str, Any]]] = None,
        schedule: Optional[Mapping[str, Any]] = None,
        clip: Optional[Mapping[str, Any]] = None,
        wrap: Optional[Sequence[Mapping[str, Any]]] = None,
        average: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        durability: Optional[str] = None,
        snapshot_every: Optional[int] = None,
        snapshots: Optional[Mapping[str, Any]] = None,
        non_finite: Optional[str] = None,
        metrics: Optional[str] = None,
        state: Optional[Mapping[str, Any]] = None,
        device: Optional[str] = None,
        pinned: Optional[bool] = None,
        upload: bool = True,
        timeout: float = 120.0,
        retry: Retry = Retry(),
        headers: Optional[Mapping[str, str]] = None,
        **hyper: Any,
    ) -> "Session":
        """Creates a session. What is left out is as the server says.

        Args:
            url: ``http://host:port``.
            tensors: the parameters by name; names, shapes and dtypes are declared, values uploaded.
            optimizer: its name, or the object the server takes (``{"name": "adamw", "beta1": 0.8}``).
            lr, hyper: hyperparameters by the catalogue's names; ``betas=(b1, b2)`` for ``beta1`` and ``beta2``.
            groups: ``[{"match": "*.bias", "weight_decay": 0.0}]``, the first glob that matches wins.
            wrap: ``[{"name": "lookahead", "k": 5}]``, the first innermost.
            average: ``{"name": "ema", "decay": 0.999}``; ``parameters(average="ema")`` answers it.
            snapshots: ``{"keep_last": 2, "keep_every": 1000}``: which stay of those that nobody pinned.
            metrics: ``"norms"`` for the norms of updates and parameters beside the gradients'.
            state: what the slots are kept in, such as ``{"format": "int8"}``.
            pinned: True keeps the session in its device's memory though nobody steps it.
            schedule, clip, name, durability, snapshot_every, non_finite, device: as in the HTTP contract.
            upload: False declares the tensors and leaves the values to ``set_parameters``.
            timeout: seconds of silence after which the connection counts as broken.
            headers: sent with every request, such as ``Authorization``.

        Raises:
            StepdError: the server refused; ``UnknownName``, ``InvalidValue``, ``OutOfMemory`` among them. No
                session is left behind.
            ConnectionFailed: the server cannot be reached.
        """
        rule = {"name": optimizer} if isinstance(optimizer, str) else dict(optimizer)
        rule.update(plain(hyper) if lr is None else {"lr": float(lr), **plain(hyper)})
        description = {
            "name": name,
            "optimizer": rule,
            "tensors": [
                {"name": key, "shape": list(array.shape), "dtype": _safetensors.dtype_name(array.dtype)}
                for key, array in tensors.items()
            ],
            "groups": groups,
            "schedule": schedule,
            "clip": clip,
            "wrap": wrap,
            "average": average,
            "state": state,
            "non_finite": non_finite,
            "metrics": metrics,
            "durability": durability,
            "snapshot_every": snapshot_every,
            "snapshots": snapshots,
            "device": device,
            "pinned": pinned,
        }
        body = json_body({key: plain(value) for key, value in description.items() if value is not None})
        connection = Connection(url, timeout=timeout, retry=retry, headers=headers)
        try:
            session = cls(
                connection, connection.exchange("POST", "/v1/sessions", Answer.json, body=body, repeatable=False)
            )
            if upload:
                session._upload_or_delete(tensors)
            return session
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open(
        cls,
        url: str,
        id: str,
        *,
        timeout: float = 120.0,
        retry: Retry = Retry(),
        headers: Optional[Mapping[str, str]] = None,
    ) -> "Session":
        """Opens a session that exists, at the step it is at.

        Raises:
            NotFound: there is none of that id.
            ConnectionFailed: the server cannot be reached.
        """
        connection = Connection(url, timeout=timeout, retry=retry, headers=headers)
        try:
            return cls(connection, connection.exchange("GET", "/v1/sessions/" + quote(id, safe=""), Answer.json))
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<stepd session {self.id} at step {self._step}, {len(self.tensors)} tensors>"

    def close(self) -> None:
        """Closes the connection; the session stays on the server. A later call opens it again."""
        self._connection.close()

    @property
    def current_step(self) -> int:
        """Steps taken as far as this client knows. ``refresh`` asks the server."""
        return self._step

    @property
    def status(self) -> Dict[str, Any]:
        """The session as the server describes it: ``step``, ``durable_step``, ``state_bytes``, ``device``,
        ``optimizer`` with every hyperparameter resolved, ``tensors``, ``status``."""
        return self._connection.exchange("GET", self._path, Answer.json)

    def refresh(self) -> int:
        """Takes over the step the server is at, as after a ``StepMismatch``, and returns it. The parameters held
        here may be of another step then: fetch them with ``parameters``."""
        self._step = int(self.status["step"])
        return self._step

    def step(
        self,
        grads: Arrays,
        *,
        inputs: Optional[Inputs] = None,
        return_: str = "delta",
        partial: bool = False,
        reuse: bool = False,
    ) -> StepResult:
        """Takes one step. It is sent until it is answered, always under the same number, so that a connection
        lost at any point, or a server too busy, neither costs nor doubles a step.

        Args:
            grads: by tensor name, arrays of its tensor's shape; float32, float16 or BF16.
            inputs: what the optimizer takes beside gradients, by the names the catalogue gives:
                ``{"hessian_diag": {"w": array, "b": array}}`` for arrays like the gradients, ``{"loss": 0.3}`` for one
                number, which is sent as float32.
            return_: ``"delta"``, ``"parameters"`` or ``"none"``: what comes back.
            partial: whether tensors may be left out; they and their slots stay as they are.
            reuse: whether the arrays that come back may lie in memory that the next such step overwrites.

        Raises:
            TypeError: a gradient or an input is no array of those dtypes; nothing was sent.
            StepMismatch: the server is at another step, as after a restart from a snapshot.
            StepdError: the server refused and changed nothing.
            ConnectionFailed: no answer came. Calling again with the same gradients is safe.
        """
        body = {name: _array("gradient", name, grad) for name, grad in grads.items()}
        body.update(_inputs(inputs or {}))
        number = self._step + 1
        query = f"?return={quote(return_)}" + ("&partial=true" if partial else "")
        scratch = self._scratch if reuse else None

        def receive(answer: Answer) -> StepResult:
            arrays = answer.tensors(scratch).tensors if return_ != "none" else {}
            return StepResult(
                step=int(answer.header("Stepd-Step", str(number))),
                lr=float(answer.header("Stepd-Lr", "nan")),
                grad_norm=float(answer.header("Stepd-Grad-Norm", "nan")),
                durable_step=int(answer.header("Stepd-Durable-Step", "0")),
                replayed=answer.header("Stepd-Replayed").lower() == "true",
                deltas=arrays if return_ == "delta" else {},
                parameters=arrays if return_ == "parameters" else {},
                server_timing=answer.header("Server-Timing"),
            )

        result = self._connection.exchange(
            "POST",
            self._path + "/steps" + query,
            receive,
            body=tensor_body(_safetensors.encode(body)),
            headers={"Stepd-Step": str(number), "Accept": _safetensors.CONTENT_TYPE},
        )
        self._step = result.step
        return result

    def apply(
        self, params: Arrays, grads: Arrays, *, inputs: Optional[Inputs] = None, partial: bool = False
    ) -> StepResult:
        """Takes one step and adds its deltas to ``params`` in place, which then hold the server's values bit for
        bit if they did before.

        Args:
            params: writable arrays of the declared shapes and dtypes, at least those in ``grads``.
            grads, inputs, partial: as for ``step``.

        Returns:
            The result, its ``deltas`` empty.

        Raises:
            As ``step``; TypeError or ValueError when an array of ``params`` cannot take a delta, before anything
            is sent.
        """
        for name in grads:
            self._check_parameter(name, params)
        result = self.step(grads, inputs=inputs, partial=partial, reuse=True)
        for name in grads:
            add(params[name], result.deltas[name])
        return replace(result, deltas={})

    def parameters(self, average: Optional[str] = None) -> Dict[str, np.ndarray]:
        """The server's values, each in its declared shape and dtype.

        Args:
            average: the name of an average the session keeps, to get that instead.
        """
        query = "" if average is None else "?average=" + quote(average, safe="")
        return self._connection.exchange("GET", self._path + "/parameters" + query, Answer.tensors).tensors

    def set_parameters(self, tensors: Arrays) -> None:
        """Replaces the server's values: every tensor, in its declared shape and dtype."""
        self._put("/parameters", tensors)

    def state(self) -> State:
        """Every slot, as ``load_state`` takes it."""
        return State(*self._connection.exchange("GET", self._path + "/state", Answer.tensors))

    def plain_state(self) -> State:
        """Every slot in float32, whatever it is kept in."""
        return State(*self._connection.exchange("GET", self._path + "/state?format=f32", Answer.tensors))

    def load_state(self, state: State, plain: bool = False) -> None:
        """Replaces the slots and continues at the step in ``state.metadata``. Before the first step some slots may
        be absent: they start as the optimizer starts.

        Args:
            plain: whether all slots come in float32, as ``plain_state`` has them; the server encodes them, to nearest.
        """
        self._put("/state" + ("?format=f32" if plain else ""), state.tensors, state.metadata)
        self.refresh()

    def digest(self) -> Digest:
        """The digest of everything the session keeps, at the step it is at."""
        return _digest(self._connection.exchange("GET", self._path + "/digest", Answer.json))

    def patch(self, **changes: Any) -> Dict[str, Any]:
        """Changes the session from the next step on and returns its status.

        Args:
            changes: ``optimizer`` (an object), ``name``, ``groups``, ``schedule``, ``clip``, ``wrap``, ``average``,
                ``non_finite``, ``metrics``, ``snapshot_every``, ``snapshots`` or ``pinned``, as ``create`` takes them;
                any other name is a hyperparameter (``patch(lr=0.01)``). None turns an option off.
        """
        fields = {key: plain(value) for key, value in changes.items() if key in _FIELDS}
        rule = {key: plain(value) for key, value in changes.items() if key not in fields and key != "optimizer"}
        rule = {**plain(changes.get("optimizer") or {}), **rule}
        if rule:
            fields["optimizer"] = rule
        return self._connection.exchange("PATCH", self._path, Answer.json, body=json_body(fields))

    def snapshot(self, pinned: bool = True) -> Dict[str, Any]:
        """Stores the present state and returns ``id``, ``step``, ``bytes``, ``digest``, ``created`` and more. If the
        first answer is lost, the same state may be stored twice.

        Args:
            pinned: whether it stays until it is removed, whatever the session's ``snapshots`` says.
        """
        return self._connection.exchange("POST", self._path + "/snapshots", Answer.json, body=json_body({"pinned": pinned}))

    def pin_snapshot(self, snapshot: str, pinned: bool = True) -> Dict[str, Any]:
        """Has a stored snapshot stay until it is removed, or no longer; returns it as ``snapshot`` does."""
        return self._connection.exchange(
            "PATCH", self._snapshot_path(snapshot), Answer.json, body=json_body({"pinned": pinned})
        )

    def snapshots(self) -> List[Dict[str, Any]]:
        """What is stored, as ``snapshot`` returned it."""
        return self._connection.exchange("GET", self._path + "/snapshots", Answer.json)["snapshots"]

    def snapshot_data(self, snapshot: str) -> Dict[str, np.ndarray]:
        """A stored snapshot's arrays: parameters by name, slots by ``<tensor>#<slot>``."""
        return self._connection.exchange("GET", self._snapshot_path(snapshot) + "/data", Answer.tensors).tensors

    def delete_snapshot(self, snapshot: str) -> None:
        """Removes a stored snapshot."""
        self._delete(self._snapshot_path(snapshot))

    def restore(self, snapshot: str, device: Optional[str] = None) -> Digest:
        """Goes back to a stored snapshot, which the server proves by its digest. Continues at its step; parameters
        held here are of another step then: fetch them with ``parameters``.

        Args:
            device: ``"auto"``, ``"cpu"``, ``"cuda:1"``: where the session moves, also from a device that is lost.
        """
        asked = {"snapshot": snapshot} if device is None else {"snapshot": snapshot, "device": device}
        restored = _digest(
            self._connection.exchange("POST", self._path + "/restore", Answer.json, body=json_body(asked))
        )
        self._step = restored.step
        return restored

    def fork(
        self,
        snapshot: Optional[str] = None,
        *,
        name: Optional[str] = None,
        optimizer: Union[str, Mapping[str, Any], None] = None,
        state: Optional[Mapping[str, Any]] = None,
        durability: Optional[str] = None,
        device: Optional[str] = None,
    ) -> "Session":
        """A new session that goes on from this one's state, which stays as it is. The connection is a new one, with the same options.

        Args:
            snapshot: a stored snapshot to go on from instead of the live state.
            optimizer: hyperparameters that differ (``{"lr": 0.01}``), or another optimizer: its name, or an object with
                one. ``fork.translation`` tells what became of each slot then.
            name, state, durability, device: as for ``create``; what is left out is as here.

        Returns:
            The session, with ``forked_from`` and ``translation`` as the server told them. If the first answer is lost, there
            is no telling whether there is a fork: ``ConnectionFailed`` is raised, not another one made.
        """
        rule = {"name": optimizer} if isinstance(optimizer, str) else optimizer
        asked = {"snapshot": snapshot, "name": name, "optimizer": rule, "state": state, "durability": durability, "device": device}
        body = json_body({key: plain(value) for key, value in asked.items() if value is not None})
        status = self._connection.exchange("POST", self._path + "/forks", Answer.json, body=body, repeatable=False)
        forked = Session(self._connection.another(), status)
        forked.forked_from = status["forked_from"]
        forked.translation = status["translation"]
        return forked

    def slots(self) -> Dict[str, Dict[str, Any]]:
        """What the optimizer may keep of each tensor, as the catalogue has it: ``dtype``, ``scope`` and more by slot."""
        name = quote(self.status["optimizer"]["name"], safe="")
        entry = self._connection.exchange("GET", "/v1/optimizers/" + name, Answer.json)
        return {slot["name"]: slot for slot in entry["slots"]}

    def events(self, last: Optional[str] = None) -> Iterator[Event]:
        """What happens to the session from now on, over a connection of its own, until the session is deleted or the
        server ends.

        Args:
            last: the ``id`` of the last event seen, to go on behind it; ``"0"`` for all that the server keeps.

        Raises:
            StepdError: the server refused.
            ConnectionFailed: the connection broke; go on with the ``id`` of the last event.
        """
        query = "" if last is None else "?last_event_id=" + quote(last, safe="")
        connection = self._connection.another()
        try:
            for fields in connection.lines_of_events(self._path + "/events" + query):
                yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
        finally:
            connection.close()

    def delete(self) -> None:
        """Removes the session and its snapshots, and closes the connection."""
        self._delete(self._path)
        self.close()

    def _put(self, path: str, tensors: Arrays, metadata: Optional[Mapping[str, str]] = None) -> None:
        body = tensor_body(_safetensors.encode(tensors, metadata))
        self._connection.exchange("PUT", self._path + path, lambda answer: None, body=body)

    def _delete(self, path: str) -> None:
        try:
            self._connection.exchange("DELETE", path, lambda answer: None)
        except NotFound as error:
            if not error.repeated:  # otherwise the answer that was lost said it is gone
                raise

    def _snapshot_path(self, snapshot: str) -> str:
        return self._path + "/snapshots/" + quote(snapshot, safe="")

    def _upload_or_delete(self, tensors: Arrays) -> None:
        try:
            self.set_parameters(tensors)
        except BaseException:
            try:
                self.delete()
            except Exception:
                pass  # the upload's failure is the one to tell
            raise

    def _check_parameter(self, name: str, params: Arrays) -> None:
        spec = self.tensors.get(name)
        if spec is None:
            return  # the server names the tensors there are
        if name not in params:
            raise ValueError(f"params has no {name!r}, grads does")
        array = params[name]
        if not isinstance(array, np.ndarray) or not array.flags.writeable:
            raise TypeError(f"parameter {name!r} is no writable numpy array")
        if array.shape != spec.shape or _safetensors.dtype_name(array.dtype) != spec.dtype:
            raise ValueError(
                f"parameter {name!r} is {array.dtype} {list(array.shape)}, "
                f"the session has {spec.dtype} {list(spec.shape)}"
            )


def add(param: np.ndarray, delta: np.ndarray) -> None:
    """Adds in place, rounding once to the parameter's dtype, as the server does."""
    if param.dtype == np.uint16:
        wide = _safetensors.bf16_to_float32(param) + _safetensors.bf16_to_float32(delta)
        param[...] = _safetensors.float32_to_bf16(wide)
    else:
        np.add(param, delta, out=param)


def plain(value: Any) -> Any:
    """The value as JSON has it: numpy scalars and arrays, tuples and mappings unwrapped."""
    if isinstance(value, Mapping):
        return {key: plain(field) for key, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value


def _array(what: str, name: str, array: np.ndarray) -> np.ndarray:
    if isinstance(array, np.generic):
        array = np.asarray(array)  # arithmetic on arrays of no dimensions yields scalars
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{what} {name!r} is a {type(array).__name__}, expected a numpy array")
    if _safetensors.dtype_name(array.dtype) not in _GRADIENT_DTYPES:
        raise TypeError(f"{what} {name!r} is {array.dtype}, expected float32, float16 or BF16")
    return array


def _inputs(inputs: Inputs) -> Dict[str, np.ndarray]:
    """Extra inputs under the keys a body has them: ``<tensor>#<input>``, or ``#<input>`` for one number."""
    arrays = {}
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            for tensor, array in value.items():
                key = f"{tensor}#{name}"
                arrays[key] = _array("input", key, array)
        elif np.ndim(value) > 0 and np.size(value) != 1 or not np.issubdtype(np.asarray(value).dtype, np.number):
            raise TypeError(f"input {name!r} is {value!r}, expected one number or a mapping of arrays by tensor name")
        else:
            arrays[f"#{name}"] = np.asarray(value, np.float32).reshape(())
    return arrays


def _digest(answer: Mapping[str, Any]) -> Digest:
    return Digest(int(answer["step"]), answer["digest"])
