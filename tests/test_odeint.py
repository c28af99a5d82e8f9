"""torchdiffeq's methods for training and evaluation: Δt per sample, gradients, what its shared step does to a batch."""

import numpy as np
import pytest
import torch
from test_models import EXACT, double_model, random_batch
from torch import nn
from torchdiffeq._impl.odeint import SOLVERS as THEIRS

from tdlib.core.odeint import METHODS, evaluations, odeint_reference, odeint_rescaled
from tdlib.core.solvers import SOLVERS
from tdlib.core.transitions import Transitions
from tdlib.models import FIELDS, build_model
from tdlib.speed import Stack
from tdlib.study.arms import Arm
from tdlib.systems import SYSTEMS
from tdlib.training import Budget, Trial, fit, load_checkpoint, save_checkpoint

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def options_of(method):
    return {"solver": method, "adjoint": True} if method == "scipy_solver" else {"solver": method}


def gradient(model, *batch):
    """Gradient of a sum of squares by all weights, those that it does not depend on included."""
    found = torch.autograd.grad(model(*batch).square().sum(), list(model.parameters()), materialize_grads=True)
    return torch.cat([x.flatten() for x in found])


def test_every_method_is_ours_or_theirs():
    assert set(METHODS) == set(THEIRS) - set(SOLVERS)


@pytest.mark.parametrize("method", METHODS)
def test_every_sample_gets_its_own_interval(method):
    model = double_model("newtonian", **options_of(method))
    state, action, delta_t = random_batch(model.spec, 5)
    found = model(state, action, delta_t)
    for i in range(5):
        exact = odeint_reference(lambda s, i=i: model.derivative(s, action[i]), state[i], float(delta_t[i]))
        torch.testing.assert_close(found[i], exact, rtol=0, atol=2e-3)
    torch.testing.assert_close(model(state, action, torch.zeros(5)), state, **EXACT)
    half = delta_t / 2  # the interval of one sample changes nothing for the others, the tolerance aside
    half[0] = delta_t[0]
    torch.testing.assert_close(model(state, action, half)[0], found[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", FIELDS)
def test_the_adjoint_gives_the_gradient_for_every_family(name):
    direct, adjoint = (
        double_model(name, solver="dopri5", adjoint=chosen, **TIGHT) for chosen in (False, True)
    )  # energies are differentiated by products written out, so none differentiates inside the field
    batch = random_batch(direct.spec, 6)
    torch.testing.assert_close(gradient(adjoint, *batch), gradient(direct, *batch), rtol=1e-4, atol=1e-5)
    fine = direct.with_solver("rk4", 8)
    torch.testing.assert_close(gradient(direct, *batch), gradient(fine, *batch), rtol=1e-4, atol=1e-5)


class Differentiates(nn.Module):
    """A field that takes the gradient of a network where it is called."""

    def __init__(self, by):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 1)).double()
        self.by = by

    def forward(self, state):
        if self.by == "torch.func":
            return torch.func.grad(lambda s: self.network(s).sum())(state)
        return torch.autograd.grad(self.network(state).sum(), state, create_graph=True)[0]


def test_a_field_that_differentiates_inside_must_do_it_by_torch_func():
    state = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    delta_t = torch.full((4,), 0.1, dtype=torch.float64)
    for by in ("torch.func", "torch.autograd"):
        field = Differentiates(by)
        assert odeint_rescaled(field, state, delta_t).shape == (4, 2)
        if by == "torch.func":
            odeint_rescaled(field, state, delta_t, adjoint=tuple(field.parameters())).sum().backward()
            assert field.network[0].weight.grad.abs().max() > 0
            continue
        with pytest.raises(ValueError, match="adjoint must be False for a field that calls torch.autograd.grad.*True"):
            odeint_rescaled(field, state, delta_t, adjoint=tuple(field.parameters()))


def test_one_stiff_row_takes_its_neighbors_along():
    """Both ways: neighbors are asked for as many steps as it needs, and in a crowd its own error is averaged away."""
    rates = torch.tensor([1.0, 1.0, 1.0, 400.0], dtype=torch.float64)

    def field(s):
        return torch.stack([s[:, 1], -s[:, 2].square() * s[:, 0], torch.zeros(len(s), dtype=s.dtype)], dim=-1)

    def rows(frequency):
        one, zero = torch.ones_like(frequency), torch.zeros_like(frequency)
        return torch.stack([one, zero, frequency], dim=-1)

    delta_t = torch.full((4,), 0.1, dtype=torch.float64)
    together, alone = evaluations(field, rows(rates), delta_t)
    assert max(alone[:3]) < 40 < 300 < together and alone[3] > 300
    calm, counts = evaluations(field, rows(rates[:3]), delta_t[:3])
    assert counts == alone[:3] and calm <= max(alone[:3])

    def error(neighbors):
        state = rows(torch.cat([rates[3:], torch.ones(neighbors, dtype=torch.float64)]))
        found = odeint_rescaled(field, state, torch.full((neighbors + 1,), 0.1, dtype=torch.float64))
        return abs(float(found[0, 0]) - np.cos(40.0))

    assert error(999) > 3 * error(0)  # the mean of a thousand squares hides one


def test_such_a_model_trains_through_the_same_loop_and_is_kept(tmp_path):
    system = SYSTEMS["pendulum"]
    state, action, _ = random_batch(system.spec, 300)
    action, delta_t = (action > 0).double(), torch.full((300,), 0.1, dtype=torch.float64)
    data = Transitions(state, action, system.flow(state, action, delta_t), delta_t).to(torch.float32)
    losses = {}
    for adjoint in (False, True):
        options = {"integration_method": "dopri5", "rtol": 1e-3, "atol": 1e-3, "adjoint": adjoint}
        models = [build_model("newtonian", system.spec, seed=seed, **options) for seed in range(2)]
        assert not models[0].stacks and models[0].options.solver == "dopri5"
        arm = Arm("newtonian", "ode", "dopri5", train_frequency="10")
        trials = [Trial(arm, seed, model, [data[:200]], [data[200:]]) for seed, model in enumerate(models)]
        results = fit(trials, Budget(12, 1e-2, batch_size=32, num_validations=1, validation_size=32))
        losses[adjoint] = [result.best_val_loss for result in results]
        for result in results:
            assert result.best_val_loss < 0.7 * result.curves["val_loss"].iloc[0]
    np.testing.assert_allclose(losses[True], losses[False], rtol=0.02)
    loaded = load_checkpoint(save_checkpoint(tmp_path / "one", models[0], {"env": "pendulum"}))
    assert loaded.solver == "dopri5" and loaded.options == models[0].options and not loaded.stacks
    batch = [x[:7].float() for x in (state, action, delta_t)]
    assert torch.equal(loaded(*batch), models[0](*batch))


def test_a_stack_predicts_with_them_one_by_one():
    models = [double_model("newtonian", seed=seed) for seed in range(2)]
    state, action, delta_t = random_batch(models[0].spec, 1, 6)
    theirs = Stack(models).with_solver("bosh3")
    assert theirs.branches_on_values and not Stack(models).branches_on_values
    expected = torch.stack([m.with_solver("bosh3")(state[0], action[0], delta_t[0]) for m in models])
    torch.testing.assert_close(theirs(state, action, delta_t), expected, **EXACT)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"solver": "ode45"}, ["solver", "dopri5", "leapfrog", "'ode45'"]),
        ({"integration_method": "ode45"}, ["solver", "dopri5", "'ode45'"]),
        ({"integration_method": "euler", "solver": "rk4"}, ["integration_method", "'rk4'", "'euler'"]),
        ({"solver": "rk4", "adjoint": True}, ["solver", "dopri5", "adjoint", "'rk4'"]),
        ({"solver": "scipy_solver"}, ["adjoint", "True", "False"]),
        ({"solver": "dopri5", "substeps": 2}, ["substeps must be 1", "'dopri5'", "2"]),
        ({"solver": "dopri5", "rtol": 0.0}, ["rtol must be in (0, 1)", "0.0"]),
        ({"reversal": -1.0}, ["reversal", ">= 0", "-1.0"]),
        ({"window": 1}, ["window", "at least 2", "1"]),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError) as error:
        build_model("newtonian", SYSTEMS["pendulum"].spec, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
