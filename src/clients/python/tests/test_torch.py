"""stepd.torch.Optimizer beside the torch.optim optimizer whose place it takes."""

import copy
import io

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the drop-in optimizer is not tested")

import stepd  # noqa: E402
import stepd.torch  # noqa: E402
from peers import Peer, relay  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(1)  # on networks this small more threads only wait for each other, on processors the server needs


@pytest.fixture
def optimizer(url):
    """``stepd.torch.Optimizer`` on the server under test; its session is deleted in the end."""
    made = []

    def make(params, *args, address=url, **options):
        made.append(stepd.torch.Optimizer(params, address, *args, **options))
        return made[-1]

    yield make
    for one in made:
        with stepd.Session.open(url, one.session.id) as session:
            session.delete()


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))


def batch(t):
    generator = torch.Generator().manual_seed(t)
    inputs = torch.randn(32, 8, generator=generator)
    return inputs, (inputs[:, :3] + 0.1).argmax(1)


def train(model, optimizer, steps, scheduler=None, first=1):
    for t in range(first, first + steps):
        inputs, labels = batch(t)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return loss.item()


def assert_close(model, other, tolerance=1e-6):
    for (name, param), twin in zip(model.named_parameters(), other.parameters()):
        torch.testing.assert_close(param, twin, rtol=tolerance, atol=tolerance, msg=lambda text: f"{name}: {text}")


def assert_same_bits(model, other):
    for (name, param), twin in zip(model.named_parameters(), other.parameters()):
        assert torch.equal(param, twin), name


def server_holds(optimizer, model):
    held = optimizer.session.parameters().values()
    return all(param.detach().numpy().tobytes() == array.tobytes() for param, array in zip(model.parameters(), held))


PAIRS = {
    "adamw": ("adamw", torch.optim.AdamW, {"lr": 1e-3}),
    "adamw betas": ("adamw", torch.optim.AdamW, {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    "adam": ("adam", torch.optim.Adam, {"lr": 1e-3}),
    "sgd": ("sgd", torch.optim.SGD, {"lr": 0.1}),
    "sgd momentum": ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}),
    "rmsprop": ("rmsprop", torch.optim.RMSprop, {"lr": 1e-3, "momentum": 0.5}),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_trains_as_torch_does(optimizer, pair):
    name, kind, options = PAIRS[pair]
    model, twin = network(), network()
    ours, theirs = optimizer(model.parameters(), name, **options), kind(twin.parameters(), **options)
    for t in range(1, 41, 10):
        train(model, ours, 10, first=t)
        train(twin, theirs, 10, first=t)
        assert_close(model, twin, 2e-6)
    assert server_holds(ours, model)


def test_training_lowers_the_loss(optimizer):
    model = network()
    ours = optimizer(model.parameters(), "adamw", lr=0.01)
    assert train(model, ours, 1) > 1.0 > 0.6 > train(model, ours, 60)


def test_shows_defaults_as_torch_does(optimizer):
    group = optimizer(network().parameters(), "adamw").param_groups[0]
    theirs = torch.optim.AdamW(network().parameters()).param_groups[0]
    for key in ("lr", "betas", "eps", "weight_decay", "maximize"):
        assert group[key] == theirs[key], key


def test_groups_keep_their_own_hyperparameters(optimizer):
    def groups(model):
        return [
            {"params": model[0].parameters(), "weight_decay": 0.0},
            {"params": [model[2].weight], "lr": 0.02, "mark": "head"},
            {"params": [model[2].bias], "betas": (0.5, 0.9)},
        ]

    model, twin = network(), network()
    options = {"lr": 1e-3, "weight_decay": 0.3}
    ours = optimizer(groups(model), "adamw", foreach=False, **options)
    theirs = torch.optim.AdamW(groups(twin), **options)
    assert ours.param_groups[1]["mark"] == "head"
    train(model, ours, 20)
    train(twin, theirs, 20)
    assert_close(model, twin)
    ours.param_groups[2]["weight_decay"] = theirs.param_groups[2]["weight_decay"] = 0.0
    ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.01
    train(model, ours, 20, first=21)
    train(twin, theirs, 20, first=21)
    assert_close(model, twin)


def test_names_are_taken_and_globs_in_them_mean_nothing(optimizer):
    names = ("a*", "a", "b[0]", "b0", "c?", "c/d#e", "{x,y}", "x%")

    def pairs():
        torch.manual_seed(0)
        return [(name, nn.Parameter(torch.randn(3))) for name in names]

    def groups(params):
        return [{"params": params[:3]}, {"params": params[3:6], "lr": 0.5}, {"params": params[6:], "lr": 0.0}]

    first, second = pairs(), pairs()
    ours = optimizer(groups(first), "sgd", lr=0.1)
    theirs = torch.optim.SGD(groups([param for _, param in second]), lr=0.1)
    for params, one in ((first, ours), (second, theirs)):
        for _, param in params:
            param.grad = torch.ones(3)
        one.step()
    for (name, param), (_, twin) in zip(first, second):
        torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-6, msg=name)
    assert list(ours.session.tensors)[:4] == ["a%2A", "a", "b%5B0%5D", "group1/b0"]


@pytest.mark.parametrize("schedule", [
    lambda one: torch.optim.lr_scheduler.StepLR(one, 5, 0.5),
    lambda one: torch.optim.lr_scheduler.CosineAnnealingLR(one, 20),
    lambda one: torch.optim.lr_scheduler.OneCycleLR(one, 0.01, total_steps=30),
])
def test_learning_rate_schedulers_reach_the_server(optimizer, schedule):
    model, twin = network(), network()
    ours, theirs = optimizer(model.parameters(), "adamw", lr=0.01), torch.optim.AdamW(twin.parameters(), lr=0.01)
    train(model, ours, 20, schedule(ours))
    train(twin, theirs, 20, schedule(theirs))
    assert_close(model, twin, 2e-6)
    assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]


def test_a_closure_is_evaluated_and_its_loss_returned(optimizer):
    model, twin = network(), network()
    ours, theirs = optimizer(model.parameters(), "sgd", lr=0.1), torch.optim.SGD(twin.parameters(), lr=0.1)

    def closure_of(model, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch(1)[0]), batch(1)[1])
            loss.backward()
            return loss

        return closure

    for _ in range(3):
        loss = ours.step(closure_of(model, ours))
        torch.testing.assert_close(loss, theirs.step(closure_of(twin, theirs)))
    assert loss.requires_grad
    assert_close(model, twin)


@pytest.mark.parametrize("name, options", [("adamw", {}), ("sgd", {"momentum": 0.9}), ("nadam", {}), ("sgd", {})])
def test_a_saved_state_goes_on_identically(optimizer, name, options):
    model = network()
    ours = optimizer(model.parameters(), name, lr=0.01, **options)
    train(model, ours, 7)
    ours.param_groups[0]["lr"] = 0.02
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": ours.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    other = network(1)
    theirs = optimizer(other.parameters(), name, **options)
    other.load_state_dict(saved["model"])
    theirs.load_state_dict(saved["optimizer"])
    assert theirs.param_groups[0]["lr"] == 0.02
    train(model, ours, 7, first=8)
    train(other, theirs, 7, first=8)
    assert_same_bits(other, model)
    assert theirs.session.current_step == 14
    state, twin = ours.state_dict(), theirs.state_dict()
    assert state["stepd"] == twin["stepd"] and state["param_groups"] == twin["param_groups"]
    for key, slots in state["state"].items():
        assert all(torch.equal(value, twin["state"][key][slot]) for slot, value in slots.items())


def test_going_back_to_a_saved_state_repeats_the_training(optimizer):
    model = network()
    ours = optimizer(model.named_parameters(), "adamw", lr=0.01)
    train(model, ours, 5)
    saved = copy.deepcopy((model.state_dict(), ours.state_dict()))
    train(model, ours, 5, first=6)
    once = copy.deepcopy(model)
    model.load_state_dict(saved[0])
    ours.load_state_dict(saved[1])
    train(model, ours, 5, first=6)
    assert_same_bits(model, once)


@pytest.mark.parametrize("name, kind, options", [
    ("adamw", torch.optim.AdamW, {"lr": 0.01, "betas": (0.8, 0.95)}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    ("nadam", torch.optim.NAdam, {"lr": 0.01}),
])
def test_states_move_between_torch_and_the_server(optimizer, name, kind, options):
    model, twin = network(), network()
    ours = optimizer(model.parameters(), name, **{key: options[key] for key in options if key == "momentum"})
    theirs = kind(twin.parameters(), **options)
    train(twin, theirs, 10)
    model.load_state_dict(twin.state_dict())
    ours.load_state_dict(theirs.state_dict())
    train(model, ours, 10, first=11)
    train(twin, theirs, 10, first=11)
    assert_close(model, twin)

    back = network()
    back.load_state_dict(model.state_dict())
    again = kind(back.parameters())
    again.load_state_dict(ours.state_dict())
    train(back, again, 10, first=21)
    train(twin, theirs, 10, first=21)
    assert_close(back, twin)


def test_a_state_in_codes_comes_as_torch_keeps_it(optimizer):
    model = network()
    ours = optimizer(
        model.parameters(), "adamw", lr=0.01, state={"format": "int8", "min_size": 1}, metrics="norms",
        snapshots={"keep_last": 3}, device="cpu", pinned=True,
    )
    train(model, ours, 5)
    status = ours.session.status
    assert (status["state"]["format"], status["metrics"], status["device"], status["pinned"]) == ("int8", "norms", "cpu", True)
    assert status["snapshots"]["keep_last"] == 3

    other = network(1)
    theirs = torch.optim.AdamW(other.parameters(), lr=0.01)
    other.load_state_dict(model.state_dict())
    theirs.load_state_dict(ours.state_dict())
    train(model, ours, 1, first=6)
    train(other, theirs, 1, first=6)
    assert_close(model, other, tolerance=1e-3)  # the state was that of codes on both sides


def test_a_state_of_other_parameters_is_refused(optimizer):
    ours = optimizer(network().parameters(), "adamw")
    other = optimizer(nn.Linear(8, 16).parameters(), "adamw")
    with pytest.raises(ValueError, match="doesn't match the size"):
        ours.load_state_dict(other.state_dict())
    state = ours.state_dict()
    state["state"][99] = {}
    with pytest.raises(ValueError, match="99"):
        ours.load_state_dict(state)


def test_parameters_without_gradient_stay(optimizer):
    model, twin = network(), network()
    ours = optimizer(model.parameters(), "adamw", lr=0.01, weight_decay=0.5)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.5)
    for t in range(1, 13):
        for net, one in ((model, ours), (twin, theirs)):
            net.requires_grad_(True)
            if t % 3 == 0:
                net[0].requires_grad_(False)
            train(net, one, 1, first=t)
    assert_close(model, twin, 2e-6)
    assert server_holds(ours, model)
    steps = [int(slots["step"]) for slots in ours.state_dict()["state"].values()]
    assert steps == [8, 8, 12, 12]

    other = network()
    other.load_state_dict(model.state_dict())
    third = optimizer(other.parameters(), "adamw")
    third.load_state_dict(ours.state_dict())
    model.requires_grad_(True)
    train(model, ours, 3, first=13)
    train(other, third, 3, first=13)
    assert_same_bits(other, model)


def test_no_gradient_at_all_is_no_step(optimizer):
    model = network()
    ours = optimizer(model.parameters(), "adamw")
    ours.step()
    assert ours.session.status["step"] == 0
    assert_same_bits(model, network())


def test_weights_changed_by_somebody_else_are_uploaded_again(optimizer):
    model, twin = network(), network()
    ours = optimizer(model.parameters(), "adamw", lr=0.01, weight_decay=0.5)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.5)
    for net, one in ((model, ours), (twin, theirs)):
        net.load_state_dict(network(5).state_dict())  # after the optimizer was built, as many programs do
        for t in range(1, 6):
            train(net, one, 1, first=t)
            with torch.no_grad():
                net[0].weight.clamp_(-0.1, 0.1)
        net[2].weight.data = torch.full((3, 16), 0.25)
        train(net, one, 3, first=6)
        net[2].bias.data.fill_(3.0)  # bypasses torch's version counter
        if one is ours:
            ours.push_parameters()
        train(net, one, 3, first=9)
    assert_close(model, twin)
    assert server_holds(ours, model)


def test_an_older_graph_is_still_protected(optimizer):
    """As torch's optimizers, a step counts as an in-place change, so that backward cannot use stale weights."""
    model = network()
    ours = optimizer(model.parameters(), "adamw")
    loss = nn.functional.cross_entropy(model(batch(1)[0]), batch(1)[1])
    loss.backward(retain_graph=True)
    ours.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_goes_on_from_the_server_after_it_went_back(url, optimizer):
    model = network()
    ours = optimizer(model.parameters(), "adamw", lr=0.01)
    train(model, ours, 3)
    snapshot = ours.session.snapshot()["id"]
    train(model, ours, 3, first=4)
    expected = copy.deepcopy(model)
    with stepd.Session.open(url, ours.session.id) as operator:
        operator.restore(snapshot)
    with pytest.raises(stepd.StepMismatch) as refusal:
        train(model, ours, 1, first=7)
    assert refusal.value.current_step == 3
    assert ours.pull_parameters() == 3
    train(model, ours, 3, first=4)
    assert_same_bits(model, expected)


def test_broken_connections_change_nothing(url, optimizer, retry):
    model, twin = network(), network()
    with Peer(rest=relay(url)) as peer:
        ours = optimizer(model.parameters(), "adamw", address=peer.url, lr=0.01, retry=retry)
        undisturbed = optimizer(twin.parameters(), "adamw", lr=0.01)
        for t in range(1, 6):
            peer.script += [relay(url, answer_share=0.5), relay(url, request_share=0.5)]
            train(model, ours, 1, first=t)
            train(twin, undisturbed, 1, first=t)
    assert_same_bits(model, twin)
    assert ours.session.current_step == 5


def test_adding_a_group_later_is_refused(optimizer):
    ours = optimizer(network().parameters(), "adamw")
    with pytest.raises(RuntimeError, match=f"session {ours.session.id} has begun"):
        ours.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    assert len(ours.param_groups) == 1


@pytest.mark.parametrize("param", [
    torch.zeros(2, dtype=torch.float64),
    torch.zeros(2, dtype=torch.bfloat16),
    torch.zeros(2, device="meta"),
])
def test_parameters_it_cannot_take_are_refused(url, param):
    with pytest.raises(TypeError, match="parameter 1 of group 0 .*expected a dense torch.float32 tensor on the cpu"):
        stepd.torch.Optimizer([nn.Parameter(torch.zeros(1)), nn.Parameter(param)], url)


def test_sparse_gradients_are_refused(optimizer):
    table = nn.Embedding(4, 2, sparse=True)
    ours = optimizer(table.parameters(), "sgd")
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match="gradient of param0"):
        ours.step()


@pytest.mark.parametrize("name, hyper, kind", [
    ("adamv", {}, stepd.NotFound),
    ("adamw", {"weight_dekay": 0.1}, stepd.UnknownName),
    ("adamw", {"lr": -1.0}, stepd.InvalidValue),
])
def test_wrong_names_and_values_are_refused_at_once(url, name, hyper, kind):
    with pytest.raises(kind):
        stepd.torch.Optimizer(network().parameters(), url, name, **hyper)


def test_non_contiguous_parameters_and_gradients_are_stepped(optimizer):
    convolution, twin = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    twin.load_state_dict(convolution.state_dict())
    for one in (convolution, twin):
        one.to(memory_format=torch.channels_last)
    ours, theirs = optimizer(convolution.parameters(), "adamw"), torch.optim.AdamW(twin.parameters())
    for net, one in ((convolution, ours), (twin, theirs)):
        for t in range(5):
            one.zero_grad()
            net(torch.full((1, 3, 5, 5), 0.1 * t)).square().sum().backward()
            one.step()
    assert not convolution.weight.is_contiguous()
    assert_close(convolution, twin)
    assert server_holds(ours, convolution)
