"""States of torch.optim's optimizers, there and back, beside the optimizers themselves."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: exchange of its states is not tested")

import stepd  # noqa: E402
from stepd import torch_state  # noqa: E402

SHAPES = {"dense.weight": (6, 5), "dense.bias": (5,), "scale": ()}

OPTIMIZERS = {
    "Adam": (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    "Adam decoupled": (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "Adam amsgrad": (torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.01, "betas": (0.8, 0.95), "maximize": True}),
    "AdamW amsgrad": (torch.optim.AdamW, {"lr": 0.01, "amsgrad": True}),
    "SGD": (torch.optim.SGD, {"lr": 0.1}),
    "SGD momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    "SGD nesterov": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.01}),
    "RMSprop all": (torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    "Adagrad": (torch.optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    "Adadelta": (torch.optim.Adadelta, {"rho": 0.8}),
    "Adamax": (torch.optim.Adamax, {"lr": 0.01}),
    "NAdam": (torch.optim.NAdam, {"lr": 0.01, "weight_decay": 0.1}),
    "NAdam decoupled": (torch.optim.NAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RAdam": (torch.optim.RAdam, {"lr": 0.01, "betas": (0.9, 0.99)}),
    "Rprop": (torch.optim.Rprop, {"lr": 0.01, "etas": (0.4, 1.3), "step_sizes": (1e-5, 2.0)}),
    "ASGD": (torch.optim.ASGD, {"lr": 0.05, "t0": 4, "lambd": 1e-2}),
}


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}


def gradients(t):
    generator = torch.Generator().manual_seed(1000 + t)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def step(optimizer, params, t):
    for name, grad in gradients(t).items():
        params[name].grad = grad
    optimizer.step()


def apply(session, t):
    """The server's parameters after another step."""
    session.step({name: grad.numpy() for name, grad in gradients(t).items()})


def assert_close(session, params):
    for name, values in session.parameters().items():
        torch.testing.assert_close(torch.from_numpy(values), params[name].detach(), rtol=2e-6, atol=2e-6, msg=lambda m: f"{name}: {m}")


@pytest.fixture
def begin(url):
    made = []

    def make(*args, **options):
        made.append(torch_state.create(url, *args, durability="none", **options))
        return made[-1]

    yield make
    for session in made:
        session.delete()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_goes_on_as_torch_does_and_back(begin, kind):
    make, options = OPTIMIZERS[kind]
    params = parameters()
    optimizer = make(list(params.items()), **options)
    for t in range(7):
        step(optimizer, params, t)
    session = begin(optimizer)
    assert_close(session, params)
    for t in range(7, 14):
        step(optimizer, params, t)
        apply(session, t)
    assert_close(session, params)

    back = {name: torch.nn.Parameter(torch.from_numpy(values.copy())) for name, values in session.parameters().items()}
    again = make(list(back.items()), **options)
    again.load_state_dict(torch_state.state_dict(session, again))
    for t in range(14, 21):
        step(optimizer, params, t)
        step(again, back, t)
    for name in params:
        torch.testing.assert_close(back[name], params[name], rtol=4e-6, atol=4e-6)


def test_takes_names_and_groups(begin):
    params = parameters()
    groups = [
        {"params": [params["dense.weight"], params["scale"]]},
        {"params": [params["dense.bias"]], "lr": 0.05, "betas": (0.5, 0.9), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for t in range(3):
        step(optimizer, params, t)
    with pytest.raises(ValueError, match="names no parameters"):
        begin(optimizer)
    with pytest.raises(ValueError, match="2 names, the state_dict has 3"):
        begin(optimizer, ["a", "b"])
    session = begin(optimizer, ["dense.weight", "scale", "dense.bias"])
    for t in range(3, 8):
        step(optimizer, params, t)
        apply(session, t)
    assert_close(session, params)


def test_takes_parameters_that_missed_steps(begin):
    params = parameters()
    optimizer = torch.optim.Adam(list(params.items()), lr=0.01)
    for t in range(4):
        step(optimizer, params, t)
    params["scale"].grad = None
    for name in ("dense.weight", "dense.bias"):
        params[name].grad = gradients(4)[name]
    optimizer.step()
    session = begin(optimizer)
    assert session.current_step == 5
    step(optimizer, params, 5)
    apply(session, 5)
    assert_close(session, params)
    steps = [int(entry["step"]) for entry in torch_state.state_dict(session, optimizer)["state"].values()]
    assert steps == [6, 6, 5]


def test_takes_an_optimizer_that_has_not_stepped(begin):
    params = parameters()
    optimizer = torch.optim.NAdam(list(params.items()), lr=0.01)
    session = begin(optimizer)
    step(optimizer, params, 0)
    apply(session, 0)
    assert_close(session, params)


def test_comes_into_a_session_of_another_format(begin):
    params = parameters()
    optimizer = torch.optim.AdamW(list(params.items()), lr=0.001)
    for t in range(5):
        step(optimizer, params, t)
    session = begin(optimizer, state={"format": "int8", "min_size": 1})
    found = torch_state.state_dict(session, optimizer)["state"][0]["exp_avg"]
    expected = optimizer.state_dict()["state"][0]["exp_avg"]
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_refuses_what_stepd_has_not(begin):
    params = parameters()
    with pytest.raises(ValueError, match="torch.optim.Adafactor is not in stepd's catalogue"):
        begin(torch.optim.Adafactor(list(params.items())))
    with pytest.raises(ValueError, match="amsgrad with maximize"):
        begin(torch.optim.Adam(list(params.items()), amsgrad=True, maximize=True))


def test_refuses_the_state_of_other_parameters(begin):
    params = parameters()
    session = begin(torch.optim.Adam(list(params.items())))
    other = torch.optim.Adam([("dense.bias", torch.nn.Parameter(torch.zeros(3)))])
    other.param_groups[0]["params"][0].grad = torch.ones(3)
    other.step()
    with pytest.raises(ValueError, match=r"dense.bias#.* has shape \[3\], expected \[5\]"):
        torch_state.load(session, other.state_dict())
    with pytest.raises(ValueError, match="no tensor 'w'"):
        torch_state.load(session, other.state_dict(), ["w"])
    with pytest.raises(stepd.InvalidValue, match="is missing"):
        apply(session, 0)
        torch_state.load(session, {"state": {}, "param_groups": torch.optim.Adam(list(params.items())).state_dict()["param_groups"]})
