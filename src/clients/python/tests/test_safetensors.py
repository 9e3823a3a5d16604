import json

import numpy as np
import pytest

from stepd import _safetensors
from stepd import BF16, SafetensorsError, bf16_to_float32, float32_to_bf16


def whole(message):
    body = b"".join(bytes(piece) for piece in message.pieces)
    assert len(body) == message.length
    return body


def framed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def source(body):
    """A reader of ``body`` as a connection would be."""
    rest = memoryview(body)

    def readinto(view):
        nonlocal rest
        view[:] = rest[: len(view)]
        rest = rest[len(view) :]

    return readinto


ARRAYS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "half": np.array([1.5, -2.0], np.float16),
    "double": np.array([1e300], np.float64),
    "odd": np.array([1, 2, 3], np.int8),
    "after an odd length": np.array([7, 8], np.int64),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "big endian": np.array([1.0, 2.0], ">f4"),
    "flags": np.array([True, False]),
    "bf16": float32_to_bf16(np.array([1.0, -3.0], np.float32)),
    "nämé \"quoted\"": np.array([1], np.uint8),
}


@pytest.mark.parametrize("read", [
    _safetensors.decode,
    lambda body: _safetensors.read(source(body), len(body)),
    lambda body: _safetensors.read(source(body), len(body), _safetensors.Scratch()),
])
def test_arrays_come_back_as_they_went(read):
    contents = read(whole(_safetensors.encode(ARRAYS, {"step": "3"})))
    assert contents.metadata == {"step": "3"}
    assert list(contents.tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        found = contents.tensors[name]
        assert found.shape == array.shape
        assert _safetensors.dtype_name(found.dtype) == _safetensors.dtype_name(array.dtype)
        assert found.tobytes() == array.astype(found.dtype).tobytes()
        assert found.flags.aligned


def test_no_tensors_is_a_body_too():
    assert _safetensors.decode(whole(_safetensors.encode({}))) == ({}, {})


def test_encoding_points_into_the_arrays():
    array = np.zeros(1000, np.float32)
    message = _safetensors.encode({"w": array})
    array[0] = 1.0
    assert np.frombuffer(message.pieces[1], np.float32)[0] == 1.0


def test_decoding_points_into_the_body():
    body = bytearray(whole(_safetensors.encode({"w": np.zeros(4, np.float32)})))
    array = _safetensors.decode(body).tensors["w"]
    array[0] = 1.0
    assert _safetensors.decode(body).tensors["w"][0] == 1.0


def test_scratch_is_used_again():
    body = whole(_safetensors.encode({"w": np.ones(4, np.float32)}))
    scratch = _safetensors.Scratch()
    first = _safetensors.read(source(body), len(body), scratch).tensors["w"]
    second = _safetensors.read(source(body), len(body), scratch).tensors["w"]
    assert np.shares_memory(first, second)


def test_reads_and_writes_what_the_reference_package_does():
    reference = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    arrays = {name: np.ascontiguousarray(ARRAYS[name]) for name in ("matrix", "scalar", "empty", "half", "double")}
    arrays["scalar"] = ARRAYS["scalar"]
    theirs = reference.load(whole(_safetensors.encode(arrays, {"k": "v"})))
    ours = _safetensors.decode(reference.save(arrays, {"k": "v"})).tensors
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs[name], array)
        np.testing.assert_array_equal(ours[name], array)


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

MALFORMED = {
    "shorter than a length": (b"\x01\x00", "takes 8"),
    "header beyond the body": ((100).to_bytes(8, "little") + b"{}", "exceeds"),
    "header length of 2^63": ((1 << 63).to_bytes(8, "little") + b"{}", "exceeds"),
    "header not an object": (framed([1]), "begins with"),
    "header begins with a space": (framed(b" {}"), "begins with"),
    "header cut": (framed(b'{"a":'), "not JSON"),
    "header not UTF-8": (framed(b'{"\xff": 1}'), "not JSON"),
    "nested too deep": (framed(b'{"a":' * 100_000), ""),
    "duplicate tensor": (framed(b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
                                b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "duplicate key 'a'"),
    "duplicate field": (framed(b'{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "'dtype'"),
    "metadata of numbers": (framed({"__metadata__": {"a": 1}}), "__metadata__"),
    "metadata no object": (framed({"__metadata__": "a"}), "__metadata__"),
    "tensor no object": (framed({"a": 1}), "'a'"),
    "field missing": (framed({"a": {"dtype": "F32", "shape": [0]}}), "'a'"),
    "field unknown": (framed({"a": {**ONE, "more": 1}}, bytes(4)), "'a'"),
    "dtype unknown": (framed({"a": {**ONE, "dtype": "F33"}}, bytes(4)), "'F33'"),
    "dtype no string": (framed({"a": {**ONE, "dtype": [1]}}, bytes(4)), "dtype [1]"),
    "shape negative": (framed({"a": {**ONE, "shape": [-1]}}, bytes(4)), "[-1]"),
    "shape of fractions": (framed({"a": {**ONE, "shape": [1.0]}}, bytes(4)), "[1.0]"),
    "shape of booleans": (framed({"a": {**ONE, "shape": [True]}}, bytes(4)), "[True]"),
    "shape overflows": (framed({"a": {**ONE, "shape": [1 << 62, 1 << 62]}}, bytes(4)), "span 4"),
    "offsets reversed": (framed({"a": {**ONE, "data_offsets": [4, 0]}}, bytes(4)), "[4, 0]"),
    "offsets of three": (framed({"a": {**ONE, "data_offsets": [0, 4, 8]}}, bytes(4)), "[0, 4, 8]"),
    "span too small": (framed({"a": {**ONE, "shape": [2]}}, bytes(4)), "takes 8 bytes"),
    "hole at the start": (framed({"a": {**ONE, "data_offsets": [4, 8]}}, bytes(8)), "expected 0"),
    "overlap": (framed({"a": ONE, "b": ONE}, bytes(4)), "expected 4"),
    "data beyond the tensors": (framed({"a": ONE}, bytes(8)), "speaks of 4 bytes"),
    "data missing": (framed({"a": ONE}, bytes(3)), "speaks of 4 bytes"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_refuses_malformed_bodies(name):
    body, reason = MALFORMED[name]
    with pytest.raises(SafetensorsError) as refusal:
        _safetensors.decode(body)
    assert reason in str(refusal.value)
    with pytest.raises(SafetensorsError):
        _safetensors.read(source(body), len(body))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([object()])])
def test_refuses_arrays_without_a_dtype_name(array):
    with pytest.raises(SafetensorsError, match="no safetensors name"):
        _safetensors.encode({"w": array})


def test_bf16_rounds_to_nearest_even():
    bits = np.array([0x3F800000, 0x3F808000, 0x3F808001, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0x80000000, 1], np.uint32)
    rounded = float32_to_bf16(bits.view(np.float32))
    assert rounded.dtype.metadata == BF16.metadata
    assert [hex(v) for v in rounded] == ["0x3f80", "0x3f80", "0x3f81", "0x3f82", "0x7f80", "0x7f80", "0x8000", "0x0"]
    nans = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(bf16_to_float32(float32_to_bf16(nans))).all()
    every = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(BF16)
    numbers = every[~np.isnan(bf16_to_float32(every))]
    np.testing.assert_array_equal(float32_to_bf16(bf16_to_float32(numbers)), numbers)
