"""The safetensors framing: named numpy arrays to buffers and back, without copies of the data.

bfloat16, which numpy lacks, is ``BF16``: uint16 with a tag in the dtype that survives views and copies.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

BF16 = np.dtype("<u2", metadata={"safetensors": "BF16"})

CONTENT_TYPE = "application/vnd.safetensors"

_HEADER_BYTES_MAX = 100 << 20

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BF16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items() if name != "BF16"}

Piece = Union[bytes, memoryview]


class SafetensorsError(ValueError):
    """Bytes that are not a safetensors body, or arrays that cannot become one."""


class Message(NamedTuple):
    """A body ready to send: ``pieces`` end to end are ``length`` bytes. They point into the arrays given."""

    pieces: List[Piece]
    length: int


class Contents(NamedTuple):
    """A decoded body. The arrays are views of one buffer."""

    tensors: Dict[str, np.ndarray]
    metadata: Dict[str, str]


class Scratch:
    """Memory that successive bodies are read into, so that a steady client allocates nothing."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def take(self, size: int) -> np.ndarray:
        """uint8 array of ``size``; its contents are lost at the next call."""
        if self._memory.size < size:
            self._memory = np.empty(size, np.uint8)
        return self._memory[:size]


def dtype_name(dtype: np.dtype) -> str:
    """The safetensors name of a numpy dtype; ``bfloat16`` of ml_dtypes counts as BF16.

    Raises:
        SafetensorsError: there is none.
    """
    if dtype.metadata and dtype.metadata.get("safetensors") == "BF16" or dtype.name == "bfloat16":
        return "BF16"
    try:
        return _NAMES[dtype.newbyteorder("<")]
    except KeyError:
        raise SafetensorsError(f"dtype {dtype} has no safetensors name; known are {sorted(_DTYPES)}") from None


def dtype_of(name: str) -> np.dtype:
    """The numpy dtype of a safetensors name.

    Raises:
        SafetensorsError: no such dtype.
    """
    try:
        return _DTYPES[name]
    except KeyError:
        raise SafetensorsError(f"unknown dtype {name!r}; known are {sorted(_DTYPES)}") from None


def encode(tensors: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None) -> Message:
    """Frames arrays in the order given. Contiguous little-endian arrays are sent from where they lie.

    Raises:
        SafetensorsError: an array's dtype has no safetensors name.
    """
    header: Dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = dict(metadata)
    data: List[Piece] = []
    offset = 0
    for name, array in tensors.items():
        kind = dtype_name(array.dtype)
        end = offset + array.nbytes
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, end]}
        data.append(_bytes_of(array))
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # keeps the data aligned, for readers that map it
    frame = len(text).to_bytes(8, "little") + text
    return Message([frame, *data], len(frame) + offset)


def decode(body: Union[bytes, bytearray, memoryview, np.ndarray]) -> Contents:
    """Reads a whole body. The arrays are views of it, read-only if it is.

    Raises:
        SafetensorsError: the body breaks the format; the message says where.
    """
    buffer = body if isinstance(body, np.ndarray) else np.frombuffer(body, np.uint8)
    if buffer.size < 8:
        raise SafetensorsError(f"body has {buffer.size} bytes, a header length alone takes 8")
    size = _header_size(buffer[:8].tobytes(), buffer.size)
    return _contents(buffer[8 : 8 + size].tobytes(), buffer[8 + size :])


def read(readinto: Callable[[memoryview], None], length: int, scratch: Optional[Scratch] = None) -> Contents:
    """Reads a body of ``length`` bytes from a source that fills whole buffers. The data lands in a buffer of
    its own (``scratch`` when given), so that arrays are aligned whatever the header's length.

    Raises:
        SafetensorsError: the body breaks the format; the message says where.
    """
    if length < 8:
        raise SafetensorsError(f"body has {length} bytes, a header length alone takes 8")
    start = bytearray(8)
    readinto(memoryview(start))
    header = bytearray(_header_size(bytes(start), length))
    readinto(memoryview(header))
    size = length - 8 - len(header)
    data = scratch.take(size) if scratch is not None else np.empty(size, np.uint8)
    if size:
        readinto(data.data)
    return _contents(bytes(header), data)


def bf16_to_float32(array: np.ndarray) -> np.ndarray:
    """float32 array of the same shape and values as a ``BF16`` one. Exact."""
    bits = np.ascontiguousarray(array).reshape(-1).view(np.uint16)
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(np.shape(array))


def float32_to_bf16(array: np.ndarray) -> np.ndarray:
    """``BF16`` array of the same shape, rounded to nearest, ties to even; NaN stays NaN."""
    values = np.ascontiguousarray(array, np.float32).reshape(-1)
    bits = values.view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + (np.uint32(0x7FFF) + even)) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16).view(BF16).reshape(np.shape(array))


def _bytes_of(array: np.ndarray) -> Piece:
    if array.dtype.byteorder == ">" or array.dtype.byteorder == "=" and sys.byteorder == "big":
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _header_size(start: bytes, length: int) -> int:
    size = int.from_bytes(start, "little")
    bound = min(length - 8, _HEADER_BYTES_MAX)
    if size > bound:
        raise SafetensorsError(f"header length {size} exceeds {bound}")
    return size


def _contents(header: bytes, data: np.ndarray) -> Contents:
    entries = _parse(header)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SafetensorsError("__metadata__ is not an object of strings")
    parts = {name: _part(name, entry) for name, entry in entries.items()}
    expected = 0
    for name, part in sorted(parts.items(), key=lambda item: item[1][2:]):
        begin, end = part[2:]
        if begin != expected:
            raise SafetensorsError(f"tensor {name!r} begins at {begin}, expected {expected}: a hole or an overlap")
        expected = end
    if expected != data.size:
        raise SafetensorsError(f"the header speaks of {expected} bytes of data, the body has {data.size}")
    return Contents({name: _view(data, *part) for name, part in parts.items()}, metadata)


def _parse(header: bytes) -> Dict[str, Any]:
    if header[:1] != b"{":
        raise SafetensorsError(f"header begins with {header[:1]!r}, expected b'{{'")
    try:
        return json.loads(header.decode(), object_pairs_hook=_unique)
    except RecursionError:
        raise SafetensorsError("header is nested too deep") from None
    except ValueError as error:
        if isinstance(error, SafetensorsError):
            raise
        raise SafetensorsError(f"header is not JSON: {error}") from None


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise SafetensorsError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _part(name: str, entry: Any) -> Tuple[np.dtype, Tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"tensor {name!r} is not an object of dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str):
        raise SafetensorsError(f"tensor {name!r} has dtype {entry['dtype']!r}, expected a string")
    dtype = dtype_of(entry["dtype"])
    shape = _counts(name, "shape", entry["shape"])
    offsets = _counts(name, "data_offsets", entry["data_offsets"])
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise SafetensorsError(f"tensor {name!r} has data_offsets {list(offsets)}, expected [begin, end]")
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size != offsets[1] - offsets[0]:
        raise SafetensorsError(f"tensor {name!r} of shape {list(shape)} takes {size} bytes, "
                               f"its data_offsets span {offsets[1] - offsets[0]}")
    return dtype, shape, offsets[0], offsets[1]


def _counts(name: str, field: str, values: Any) -> Tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        raise SafetensorsError(f"tensor {name!r} has {field} {values!r}, expected whole numbers of at least 0")
    return tuple(values)


def _view(data: np.ndarray, dtype: np.dtype, shape: Tuple[int, ...], begin: int, end: int) -> np.ndarray:
    array = data[begin:end].view(dtype).reshape(shape)
    return array if array.flags.aligned else array.copy()
