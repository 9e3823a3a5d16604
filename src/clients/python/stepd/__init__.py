"""Client of stepd, the server that takes the optimizer step.

``Session`` is for numpy arrays; ``stepd.torch.Optimizer`` (not imported here, so that numpy is all this
package needs) takes the place of a ``torch.optim`` optimizer.
"""

from ._http import Retry
from ._safetensors import BF16, SafetensorsError, bf16_to_float32, float32_to_bf16
from .errors import (
    ConnectionFailed,
    InvalidValue,
    NonFinite,
    NotFound,
    OutOfMemory,
    ParametersMissing,
    StepBodyDiffers,
    StepdError,
    StepMismatch,
    Unavailable,
    UnknownName,
)
from .session import Digest, Event, Session, State, StepResult, TensorSpec

__version__ = "0.1.0"

__all__ = [
    "BF16",
    "ConnectionFailed",
    "Digest",
    "Event",
    "InvalidValue",
    "NonFinite",
    "NotFound",
    "OutOfMemory",
    "ParametersMissing",
    "Retry",
    "SafetensorsError",
    "Session",
    "State",
    "StepBodyDiffers",
    "StepMismatch",
    "StepResult",
    "StepdError",
    "TensorSpec",
    "Unavailable",
    "UnknownName",
    "bf16_to_float32",
    "float32_to_bf16",
]
