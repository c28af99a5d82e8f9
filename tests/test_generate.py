"""JavaScript generated from graphs computes what torch computes, for the operations of models and of equations."""

import json

import numpy as np
import pytest
import torch
from javascript import Scripts
from javascript_names import names
from torch import nn

from tdlib.core.seeding import torch_generator
from tdlib.core.specs import EnvironmentSpec
from tdlib.explorer.assets import engine_script
from tdlib.explorer.python.generate.arrays import MissingOperationError
from tdlib.explorer.python.generate.function import function_text
from tdlib.explorer.python.generate.pieces import named_tensors, pieces_of
from tdlib.explorer.python.pack import pack_models, packed_model
from tdlib.models import DynamicsModel, describe
from tdlib.models.encoders import ActionEncoder, mlp

SIZES = (4, 40)  # written number by number, and in loops


@pytest.fixture(scope="module")
def scripts():
    return Scripts(engine_script())


def run(scripts, text: str, held: list, called: list, outputs: list[int], named=None) -> list[np.ndarray]:
    """Run a generated function; everything travels as JSON."""
    given = {name: x.double().flatten().tolist() for name, x in (named or {}).items()}
    code = f"""(function () {{
      const arrays = {json.dumps(given)}, p = {{}};
      for (const name in arrays) p[name] = Float64Array.from(arrays[name]);
      const piece = ({text})(p, tdEngine.numbers), y = {json.dumps(outputs)}.map(n => new Float64Array(n));
      piece.hold(...{json.dumps(held)}.map(x => Float64Array.from(x)));
      piece.run(...{json.dumps(called)}.map(x => Float64Array.from(x)), ...y);
      return y.map(x => Array.from(x));
    }})()"""
    return [np.array(y) for y in scripts(code)]


def check(scripts, function, called: dict, held: dict | None = None, named: dict | None = None, tolerance=1e-12):
    """Compare a function's generated code with the function, at other values than those it was traced at."""
    held = held or {}
    example = [{key: torch.zeros_like(x) for key, x in part.items()} for part in (held, called)]
    text = function_text(function, *example, named)
    assert names(text)[0] == set()
    with torch.no_grad():
        expected = function(*called.values(), *held.values())
    expected = expected if isinstance(expected, (tuple, list)) else [expected]
    numbers = [[x.double().flatten().tolist() for x in part.values()] for part in (held, called)]
    found = run(scripts, text, *numbers, [y.numel() for y in expected], named)
    for mine, theirs in zip(found, expected, strict=True):
        values = theirs.double().flatten().numpy()
        np.testing.assert_allclose(mine, values, rtol=tolerance, atol=tolerance * max(1, np.abs(values).max()))
    return text


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch_generator(seed, *map(str, shape)))


ONE = {
    name: getattr(torch, name)
    for name in (
        "abs sin cos tan tanh sigmoid exp expm1 floor ceil trunc sign neg square atan sinh cosh erf round"
    ).split()
}
ONE |= {
    "log": lambda x: torch.log(x.abs() + 0.1),
    "log1p": lambda x: torch.log1p(x.abs()),
    "log10": lambda x: torch.log10(x.abs() + 0.1),
    "sqrt": lambda x: x.abs().sqrt(),
    "rsqrt": lambda x: (x * x + 1).rsqrt(),
    "reciprocal": lambda x: (x + 9).reciprocal(),
    "asin": lambda x: torch.asin(x.tanh()),
    "silu": nn.functional.silu,
    "softplus": nn.functional.softplus,
    "relu": nn.functional.relu,
    "elu": nn.functional.elu,
    "gelu": nn.functional.gelu,
    "leaky_relu": nn.functional.leaky_relu,
    "softplus of 3": lambda x: nn.functional.softplus(x, beta=3.0),
    "hardtanh": nn.functional.hardtanh,
    "softplus far out": lambda x: nn.functional.softplus(30 * x),
    "logsigmoid": nn.functional.logsigmoid,
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "clamp from below": lambda x: x.clamp(min=0.1),
    "powers": lambda x: x**2 + x**3 + (x.abs() + 1) ** 1.7 + 2.0**x,
    "where": lambda x: torch.where(x > 0.2, x, -2 * x),
    "logic": lambda x: ((x > 0) & ~(x > 1) | (x < -1)).double(),
    "remainder": lambda x: torch.remainder(7 * x, 2.5),
    "wrap": lambda x: -torch.remainder(torch.pi - 5 * x, 2 * torch.pi) + torch.pi,
    "rsub": lambda x: 1 - x,
    "whole part": lambda x: torch.div(5 * x, 2, rounding_mode="floor"),
    "long": lambda x: (3 * x).long().double(),
    "alpha": lambda x: torch.add(x, x.cos(), alpha=0.5) - torch.sub(x, x.sin(), alpha=2),
    "extremes": lambda x: torch.minimum(x, -x) + torch.maximum(x, x.flip(0)),
    "isfinite": lambda x: x.isfinite().double(),
}
MANY = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(correction=0),
    "amax": lambda x: x.amax() - x.amin(),
    "prod": lambda x: (1 + 0.1 * x).prod(),
    "any": lambda x: (x > 1).any().double(),
    "softmax": lambda x: x.softmax(-1),
    "cat": lambda x: torch.cat([x.sin(), x, x[:2]]),
    "stack": lambda x: torch.stack([x, x.cos()]),
    "unbind": lambda x: x.unbind(0)[1] + x.unbind(0)[0],
    "slices": lambda x: x[::2] * x[1::2],
    "chunks": lambda x: x.chunk(2)[0] - x.chunk(2)[1].exp(),
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, 0),
    "repeat": lambda x: x.repeat(2),
    "reorder": lambda x: x[torch.arange(len(x) - 1, -1, -1)],
    "outer": lambda x: x[:, None] * x[None, :],
    "transposed": lambda x: (x[:, None] * torch.arange(3.0)).T.reshape(-1),
    "norm": lambda x: x / (x @ x).sqrt(),
    "layer norm": lambda x: (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt(),
    "rows": lambda x: (x[:, None] + torch.arange(5.0)).mean(0),
    "columns": lambda x: (x[:, None] * torch.arange(5.0)).std(-1),
    "square product": lambda x: (x.reshape(2, -1) @ x.reshape(-1, 2)).flatten(),
    "full": lambda x: torch.full_like(x, 2.0) + x,
    "a constant": lambda x: torch.arange(3.0).double(),
    "diagonal": lambda x: (x[:, None] * x).diagonal(),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ONE)
def test_operations_on_every_number(scripts, name, size):
    check(scripts, ONE[name], {"x": 2 * draw(size)})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MANY)
def test_operations_on_many_numbers(scripts, name, size):
    check(scripts, MANY[name], {"x": draw(size)})


@pytest.mark.parametrize("width", [3, 64])
def test_what_is_held_is_computed_once(scripts, width):
    """A network of [features of the state; action; Δt]: the columns of what is held are multiplied in `hold`."""
    network = mlp(7, (width, width), 2).double().requires_grad_(False)

    def function(x, a, t):
        return x[:2] + t * network(torch.cat([x.cos(), a, t[None]]))

    named = named_tensors(network)
    held = {"a": draw(3, seed=1), "t": torch.tensor(0.07, dtype=torch.float64)}
    text = check(scripts, function, {"x": draw(3)}, held, named)
    if width > 32:
        before, after = text.split("}, run(")
        assert before.count("n.product(") == 1 and after.count("n.product(") == 3
    assert "a[" not in text.split("run(")[1]  # no held number is read again


def test_a_gated_unit_and_attention(scripts):
    gru, width = nn.GRUCell(5, 48).double(), 48
    query, keys = nn.Linear(5, 16).double(), nn.Linear(5, 16).double()
    for part in (gru, query, keys):
        part.requires_grad_(False)

    def cell(h, x):
        r, z, n = (x @ gru.weight_ih.T + gru.bias_ih).chunk(3)
        hr, hz, hn = (h @ gru.weight_hh.T + gru.bias_hh).chunk(3)
        r, z = (r + hr).sigmoid(), (z + hz).sigmoid()
        return (1 - z) * (n + r * hn).tanh() + z * h

    check(scripts, cell, {"h": draw(width), "x": draw(5)}, None, named_tensors(gru))

    def attention(x):
        rows = x.reshape(4, 5)
        weights = (query(rows) @ keys(rows).T / 4).softmax(-1)
        return (weights @ rows).flatten()

    named = {f"q.{k}": v for k, v in named_tensors(query).items()} | {
        f"k.{k}": v for k, v in named_tensors(keys).items()
    }
    check(scripts, attention, {"x": draw(20)}, None, named)


def test_inputs_that_begin_as_one_tensor_stay_apart(scripts):
    zero = torch.zeros(3, dtype=torch.float64)
    text = function_text(lambda x, y: x - 2 * y, {}, {"x": zero, "y": zero})
    (found,) = run(scripts, text, [], [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], [3])
    np.testing.assert_array_equal(found, [-1.0, 0.0, 1.0])


def test_gradients_and_mapped_models(scripts):
    energy = mlp(4, (40, 40), 1, activation=nn.Softplus).double().requires_grad_(False)
    check(scripts, torch.func.grad(lambda x: energy(x).squeeze(-1)), {"x": draw(4)}, None, named_tensors(energy), 1e-11)
    weights = {"w": draw(5, 6, 4), "b": draw(5, 6)}
    mapped = torch.func.vmap(lambda w, b, x: (w @ x + b).tanh(), in_dims=(0, 0, None))
    check(scripts, lambda x: mapped(weights["w"], weights["b"], x).mean(0), {"x": draw(4)}, None, weights)


def test_a_held_index_picks_a_row(scripts):
    table = draw(5, 6)
    named = {"table": table}
    held = {"a": torch.tensor([3.0], dtype=torch.float64)}
    check(scripts, lambda x, a: x + table[a.long()][0], {"x": draw(6)}, held, named)
    check(scripts, lambda x, a: x + nn.functional.embedding(a[0].long(), table), {"x": draw(6)}, held, named)


def test_beliefs_with_small_matrices(scripts):
    """A Kalman step of Gaussian beliefs: products, a solve written out, an update of mean and covariance."""

    def update(mean, spread, x):
        covariance = spread.reshape(3, 3) @ spread.reshape(3, 3).T + torch.eye(3, dtype=torch.float64)
        gain = covariance[:, 0] / (covariance[0, 0] + 0.1)
        return mean + gain * (x - mean[0]), (covariance - torch.outer(gain, covariance[0])).diagonal()

    check(scripts, update, {"mean": draw(3), "spread": draw(9), "x": draw(1)})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.fft.fft(x).abs(), "no form of the operation _?fft"),
        (lambda x: x.sort().values, "no form of the operation sort"),
        (lambda x: x if x.sum() > 0 else -x, "must not branch on the values"),
        (lambda x: x * x.max().item(), "must not branch on the values"),
        (lambda x: torch.linalg.eigvalsh(x[:, None] * x), "no form of the operation _linalg_eigh"),
    ],
)
def test_what_the_page_cannot_do_is_named(function, message):
    with pytest.raises(MissingOperationError, match=message):
        function_text(function, {}, {"x": draw(4)})


def test_a_write_into_a_tensor_that_others_see_is_refused():
    def function(x):
        y = torch.zeros(4, dtype=torch.float64)
        y[:2] = x[:2]
        return y

    with pytest.raises(ValueError, match="must not write into a tensor that others see"):
        function_text(function, {}, {"x": draw(4)})


# ------------------------------------------------------------------------------------------------- a stranger's model
SPEC = EnvironmentSpec(
    name="Pendulum-v1", state_names=("theta", "omega"), state_units=("rad", "rad/s"), angle_dims=(0,),
    position_dims=(0,), velocity_dims=(1,), input_names=("torque",), input_units=("N m",), input_low=(-2.0,),
    input_high=(2.0,),
)  # fmt: skip


class Mine(DynamicsModel):
    """A gated residual map that nobody here has heard of."""

    def __init__(self, spec, branch=False):
        super().__init__(spec)
        self.action_encoder = ActionEncoder(spec, 3)
        self.first, self.gate = nn.Linear(spec.state_dim + 4, 20), nn.Linear(20, spec.state_dim)
        self.norm, self.branch = nn.LayerNorm(20), branch

    def forward(self, state, action, delta_t=None):
        state, action, delta_t = self.broadcast(state, action, delta_t)
        hidden = self.first(torch.cat([state, self.action_encoder(action), delta_t.unsqueeze(-1)], dim=-1))
        hidden = nn.functional.gelu(self.norm(hidden))
        if self.branch:
            hidden = hidden.sort(dim=-1).values
        return state + delta_t.unsqueeze(-1) * torch.tanh(self.gate(hidden))


def mine(**options):
    torch.manual_seed(3)
    model = Mine(SPEC, **options)
    told = {"model": "mine:Mine", "method": "own", "form": "none", "size": "own", "data": "transitions"}
    return describe(model, {**told, "train_frequency": "20", "seed": 0})


def test_a_strangers_model_runs_on_the_page_or_is_named(scripts):
    pack = pack_models("Pendulum-v1", {"good": mine(), "other": mine(branch=True)})
    assert [entry["id"] for entry in pack.payload["index"]] == ["good"]
    assert "sort" in pack.payload["missing"][0]["why"] and pack.payload["missing"][0]["id"] == "other"
    scripts.run(pack.script())
    assert scripts('tdEngine.missing("Pendulum-v1")') == pack.payload["missing"]
    entry = scripts('tdEngine.models("Pendulum-v1")')[0]
    assert entry["modelLabel"] == "Mine" and entry["label"].startswith("Mine own, 20 Hz")
    request = {"state": [1.0, -0.5], "actions": [0.3, -1.0, 2.0], "deltaTs": [0.02, 0.1, 0.05]}
    found = scripts(f'tdEngine.predict("Pendulum-v1", "good", {json.dumps(request)})')
    with torch.no_grad():
        expected = packed_model(mine()).predict_sequence(
            torch.tensor(request["state"], dtype=torch.float64),
            torch.tensor(request["actions"], dtype=torch.float64)[:, None],
            torch.tensor(request["deltaTs"], dtype=torch.float64),
        )
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10)


def test_models_that_differ_in_numbers_alone_share_their_code():
    one, two = mine(), mine()
    with torch.no_grad():
        two.first.weight.mul_(1.5)
    assert pieces_of(packed_model(one)).text() == pieces_of(packed_model(two)).text()
    pack = pack_models("Pendulum-v1", {"one": one, "two": two})
    assert len(pack.structures) == 1 and {e["structure"] for e in pack.payload["index"]} == {"mine:Mine"}
