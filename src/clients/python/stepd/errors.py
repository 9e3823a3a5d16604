"""What the server refuses, as exceptions that carry the members of its problem+json."""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Optional

_BUSY = (408, 429, 502, 503, 504)  # what may succeed later, where the answer does not say


class StepdError(Exception):
    """A request that failed.

    Attributes:
        status: HTTP status, or None when no answer came.
        type: the problem's ``type``; its last segment is ``code``, such as ``"invalid-value"``.
        title, detail: the problem's texts; ``detail`` names field, value and bound.
        retryable: whether the same request may succeed later.
        effect: ``"none"`` or ``"applied"``: what the request changed; None when the server did not say.
        retry_after: seconds the server asked to wait, or None.
        repeated: whether this was not the first try, so that an earlier one may have had an effect.
        members: every member of the problem, extensions included.
    """

    def __init__(
        self,
        request: str,
        status: Optional[int] = None,
        members: Optional[Mapping[str, Any]] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        self.request = request
        self.status = status
        self.members = dict(members or {})
        self.type = str(self.members.get("type", "about:blank"))
        self.code = _code(self.type)
        self.title = str(self.members.get("title", ""))
        self.detail = str(self.members.get("detail", ""))
        self.retryable = bool(self.members.get("retryable", status in _BUSY))
        self.effect: Optional[str] = self.members.get("effect")
        self.retry_after = retry_after
        self.repeated = False
        super().__init__(request, status, members, retry_after)  # so that the exception pickles

    def __str__(self) -> str:
        said = self.detail or self.title or "no reason given"
        return f"{self.request}: {said} ({self.status} {self.code})"


class StepMismatch(StepdError):
    """The step number sent is neither the session's next nor its last: somebody else stepped it, it was
    restored, or the server restarted and went back to its last durable step.

    Attributes:
        current_step: the step the session is at.
        durable_step: the newest step that would survive a crash.
    """

    @property
    def current_step(self) -> int:
        return int(self.members.get("current_step", -1))

    @property
    def durable_step(self) -> int:
        return int(self.members.get("durable_step", -1))


class StepBodyDiffers(StepdError):
    """The step was taken already, from other gradients than these."""


class ParametersMissing(StepdError):
    """The optimizer reads parameter values and none were uploaded."""


class NonFinite(StepdError):
    """A gradient holds NaN or infinity and the session rejects such steps."""


class InvalidValue(StepdError):
    """A shape, dtype or number out of its bounds."""


class UnknownName(StepdError):
    """An optimizer, tensor or hyperparameter that does not exist; ``detail`` has the nearest name."""


class NotFound(StepdError):
    """No such session, snapshot or optimizer."""


class OutOfMemory(StepdError):
    """The server has no memory for this session; ``detail`` has the bytes needed and free."""


class Unavailable(StepdError):
    """The server stayed too busy, or down, for as long as this client was told to wait."""


class ConnectionFailed(StepdError):
    """No answer came: the server cannot be reached, or the connection broke more often than retries allow.
    What the last request changed is unknown, except that a step counts once at most."""

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(request)
        self.reason = reason
        self.retryable = True
        self.args = (request, reason)

    def __str__(self) -> str:
        return f"{self.request}: {self.reason}"


_KINDS = {
    "step-mismatch": StepMismatch,
    "step-body-differs": StepBodyDiffers,
    "parameters-missing": ParametersMissing,
    "non-finite": NonFinite,
    "invalid-value": InvalidValue,
    "unknown-name": UnknownName,
    "not-found": NotFound,
    "out-of-memory": OutOfMemory,
    "storage-full": Unavailable,
    "too-many-requests": Unavailable,
    "body-timeout": Unavailable,
    "unavailable": Unavailable,
}


def from_answer(request: str, status: int, body: bytes, retry_after: Optional[float]) -> StepdError:
    """The exception for an answer of ``status`` >= 300; ``body`` need not be a problem."""
    try:
        members = json.loads(body)
        if not isinstance(members, dict):
            raise ValueError("not an object")
    except ValueError:
        members = {"detail": body[:200].decode("utf-8", "replace")}
    kind = _KINDS.get(_code(str(members.get("type", ""))))
    if kind is None:
        kind = Unavailable if status in _BUSY else StepdError
    return kind(request, status, members, retry_after)


def _code(problem_type: str) -> str:
    return re.split(r"[/:#]", problem_type)[-1]
