"""States of bitsandbytes' 8-bit optimizers: against those that its implementation recorded, and through the library itself where
it is."""

import json
import pathlib

import numpy as np
import pytest

from stepd import _safetensors, bitsandbytes_state

GOLDEN = pathlib.Path(__file__).parents[3] / "test" / "resources" / "golden"
RECORDED = ("adam8bit", "adamw8bit", "ademamix8bit", "lion8bit", "sgd8bit", "rmsprop8bit", "adagrad8bit")


def golden(path):
    return _safetensors.decode(bytearray((GOLDEN / path).read_bytes()))


def book(signed):
    return golden("quantization/codebooks.safetensors").tensors[f"bnb_dynamic_{'signed' if signed else 'unsigned'}_8bit"]


class Recording:
    """What an optimizer of bitsandbytes was given and kept, as its state_dict has it."""

    def __init__(self, optimizer):
        recorded = golden(f"{optimizer}/default.safetensors")
        self.tensors = recorded.tensors
        self.config = json.loads(recorded.metadata["config"])
        self.steps = int(recorded.metadata["steps"])
        self.names = sorted({key.split("/")[1] for key in self.tensors if key.startswith("grad/")})

    def params(self, step):
        return {name: self.tensors[f"param/{name}/{step}"] for name in self.names}

    def grads(self, step):
        return {name: self.tensors[f"grad/{name}/{step}"] for name in self.names}

    def recorded_steps(self):
        return sorted({int(key.rsplit("/", 1)[1]) for key in self.tensors if key.startswith("state/state1/")})

    def state_dict(self, step, wrapped):
        state = {}
        for i, name in enumerate(self.names):
            flat = {"step": step}
            for number in (1, 2):
                for kind in ("state", "absmax"):
                    array = self.tensors.get(f"state/{kind}{number}/{name}/{step}")
                    if array is not None:
                        flat[f"{kind}{number}"] = array
                if f"absmax{number}" in flat:
                    flat[f"qmap{number}"] = book(signed=number == 1)
            inside = {key: flat[key] for key in flat if key != "step"}
            state[i] = {"step": step, "__bnb_optimizer_quant_state__": inside} if wrapped else flat
        return {"state": state, "param_groups": [{"params": list(range(len(self.names)))}]}


def codes_agree(found, expected):
    """One code apart where a value lies within a rounding of a midpoint."""
    apart = np.abs(found.astype(int) - expected.astype(int))
    assert apart.max(initial=0) <= 1 and (apart > 0).mean() <= 0.005


@pytest.mark.parametrize("optimizer", RECORDED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_codes_and_scales_are_taken_as_they_are_and_given_back(create, optimizer, wrapped):
    recording = Recording(optimizer)
    step = recording.recorded_steps()[0]
    saved = recording.state_dict(step, wrapped)
    session = create(recording.params(step), optimizer={"name": optimizer, **recording.config}, durability="none")
    assert bitsandbytes_state.load(session, saved, recording.names)
    assert session.current_step == step
    back = bitsandbytes_state.state_dict(session, saved, recording.names)
    for key, entry in saved["state"].items():
        flat, other = (bitsandbytes_state._unwrapped(one) for one in (entry, back["state"][key]))
        assert set(entry) == set(back["state"][key]) and set(flat) == set(other) and other["step"] == step
        for field, array in flat.items():
            if field != "step":
                assert other[field].dtype == array.dtype and other[field].tobytes() == array.tobytes(), field


@pytest.mark.parametrize("optimizer", RECORDED)
def test_goes_on_as_bitsandbytes_did(create, optimizer):
    recording = Recording(optimizer)
    steps = recording.recorded_steps()
    if len(steps) < 2:
        session = create(recording.params(0), optimizer={"name": optimizer, **recording.config}, durability="none")
        first = 0
    else:
        first = steps[0]
        session = create(recording.params(first), optimizer={"name": optimizer, **recording.config}, durability="none")
        assert bitsandbytes_state.load(session, recording.state_dict(first, True), recording.names)
    for t in range(first + 1, steps[-1] + 1):
        session.step(recording.grads(t))
    expected = recording.state_dict(steps[-1], False)
    back = bitsandbytes_state.state_dict(session, expected, recording.names)
    for key, entry in expected["state"].items():
        for field, array in entry.items():
            if field.startswith("state") and array.dtype == np.uint8:
                codes_agree(back["state"][key][field], array)
            elif field.startswith(("state", "absmax")):
                np.testing.assert_allclose(back["state"][key][field], array, rtol=1e-5, atol=1e-6)


def test_comes_through_float32_where_the_session_keeps_it_otherwise(create):
    recording = Recording("adam8bit")
    step = recording.recorded_steps()[0]
    saved = recording.state_dict(step, True)
    session = create(recording.params(step), optimizer="adamw", durability="none")
    assert not bitsandbytes_state.load(session, saved, recording.names)
    values = session.state().tensors
    for i, name in enumerate(recording.names):
        flat = bitsandbytes_state._unwrapped(saved["state"][i])
        if "qmap1" in flat:
            scales = np.repeat(flat["absmax1"], 256)[: flat["state1"].size].reshape(flat["state1"].shape)
            np.testing.assert_array_equal(values[f"{name}#exp_avg"], flat["qmap1"][flat["state1"]] * scales)
        else:
            np.testing.assert_array_equal(values[f"{name}#exp_avg"], flat["state1"])
    with pytest.raises(ValueError, match="fork it to another state format"):
        bitsandbytes_state.state_dict(session, saved, recording.names)


def test_refuses_optimizers_bitsandbytes_has_not(create):
    session = create({"w": np.zeros(3, np.float32)}, optimizer="radam", durability="none")
    with pytest.raises(ValueError, match="bitsandbytes has no 8-bit radam"):
        bitsandbytes_state.load(session, {"state": {}, "param_groups": [{"params": [0]}]}, ["w"])


def test_the_library_itself(create):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    library = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: only its recorded states are tested")
    generator = torch.Generator().manual_seed(0)
    param = torch.nn.Parameter(torch.randn(64, 80, generator=generator))
    optimizer = library.optim.AdamW8bit([param], lr=0.01)
    grads = [torch.randn(64, 80, generator=generator) for _ in range(10)]
    for grad in grads[:5]:
        param.grad = grad
        try:
            optimizer.step()
        except Exception as error:
            pytest.skip(f"bitsandbytes cannot step on this machine: {error}")
    session = create({"w": param.detach().numpy().copy()}, optimizer="adamw8bit", lr=0.01, weight_decay=0.01, durability="none")
    assert bitsandbytes_state.load(session, optimizer.state_dict(), ["w"])
    for grad in grads[5:]:
        param.grad = grad
        optimizer.step()
        session.step({"w": grad.numpy()})
    np.testing.assert_allclose(session.parameters()["w"], param.detach().numpy(), rtol=2e-4, atol=2e-4)
