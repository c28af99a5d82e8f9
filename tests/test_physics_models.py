"""Laws of the model families on the physics systems, of one to six degrees of freedom."""

import dataclasses

import numpy as np
import pytest
import torch
from readers import BY_STATES
from test_physics import draw, idle

from tdlib.core.context import Batch
from tdlib.core.solvers import integrate
from tdlib.core.transitions import Transitions
from tdlib.data import SequenceDataset, collect_sequences
from tdlib.models import FIELDS, build_model
from tdlib.systems import SYSTEMS

SIZES = {2: "oscillator", 4: "spaceship", 6: "double_cart_pole", 12: "three_body"}
STRUCTURED = ("newtonian", "velocity", "port_hamiltonian", "separable_hamiltonian", "mass_matrix")
WITH_ENERGY = ("port_hamiltonian", "separable_hamiltonian")
EXACT = dict(rtol=1e-12, atol=1e-12)


def fitted(name, system, generator, count=60, **options):
    """A model in double precision, its scales those of true transitions, and a batch."""
    state, action, drawn = draw(system, count, generator)
    delta_t = system.delta_t * (0.2 + torch.rand(count, dtype=torch.float64, generator=generator))
    rows = Transitions(state, action, system.flow(state, action, delta_t, drawn), delta_t)
    model = build_model(name, system.spec, seed=0, **options).double()
    model.fit_scales(rows)
    return model, rows


# --- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_STATES)
@pytest.mark.parametrize("size", SIZES)
def test_every_family_keeps_the_contract_at_every_size(name, size, generator):
    system = SYSTEMS[SIZES[size]]
    assert system.spec.state_dim == size
    model, rows = fitted(name, system, generator, 24)
    state, action, following, delta_t = rows.tensors()
    found = model(state, action, delta_t)
    assert found.shape == (24, size) and found.isfinite().all()
    unaware = getattr(model.options, "form", "") == "none"
    assert not torch.equal(found, model(state, action, delta_t / 2)) or unaware
    folded = model(*(x.unflatten(0, (4, 6)) for x in (state, action, delta_t)))
    torch.testing.assert_close(folded.flatten(0, 1), found, **EXACT)
    torch.testing.assert_close(model(state[5], action[5], delta_t[5]), found[5], **EXACT)
    order = torch.randperm(24, generator=generator)  # a batch is a set: no sample knows its neighbors
    torch.testing.assert_close(model(state[order], action[order], delta_t[order]), found[order], **EXACT)
    actions = action.unflatten(0, (4, 6))
    path = model.predict_sequence(state[:4], actions, delta_t.unflatten(0, (4, 6)))
    assert path.shape == (4, 6, size)
    torch.testing.assert_close(path[:, 0], model(state[:4], actions[:, 0], delta_t[::6]), **EXACT)
    for learner in model.learners():
        batch = Batch(state, action, following, delta_t)
        if (window := learner.needs.window) > 1:
            batch = Batch(*(x[:window].unsqueeze(0) for x in (state, action, following, delta_t)))
        if learner.needs.noise:
            batch = dataclasses.replace(batch, noise=torch.zeros(*batch.delta_t.shape, learner.needs.noise))
        loss = learner.loss(batch, torch.tensor(0.0))
        loss.backward()
        gradients = [x.grad for x in learner.parameters() if x.grad is not None]
        assert loss.isfinite() and gradients and all(x.isfinite().all() for x in gradients)


# --- energy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_ENERGY)
@pytest.mark.parametrize("size", SIZES)
def test_the_learned_energy_changes_by_damping_and_port_alone(name, size, generator):
    """dH/dt = −γ C |∂H/∂v|² + ∂H/∂v · σ_v G e along the field, whatever the network is."""
    model, rows = fitted(name, SYSTEMS[SIZES[size]], generator)
    field, pairs = model.field, model.field.pairs
    rate = model.derivative(rows.state, rows.action)
    _, change = torch.func.jvp(field.energy, (rows.state,), (rate,))
    slope, scale = pairs.velocity(field.energy_gradient(rows.state)), field.scales.rate_scale
    unit = pairs.position(scale) * pairs.velocity(scale)
    lost = (field.log_damping.exp() * unit * slope.square()).sum(dim=-1)
    gained = (slope * pairs.velocity(scale) * field.port(model.action_encoder(rows.action))).sum(dim=-1)
    assert lost.min() >= 0 and lost.max() > 1e-6 and gained.abs().max() > 1e-6
    torch.testing.assert_close(change, gained - lost, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_a_mass_matrix_obeys_hamilton_and_euler_lagrange_at_once(size, generator):
    """One flow: E changes by the power of forces, and d/dt ∂L/∂v − ∂L/∂q is the force, with L = T − V."""
    model, rows = fitted("mass_matrix", SYSTEMS[SIZES[size]], generator, 8)
    field, pairs = model.field, model.field.pairs
    scale = pairs.position(field.scales.rate_scale)
    rate = model.derivative(rows.state, rows.action)
    scaled = pairs.velocity(rows.state) / scale
    port = field.port(model.action_encoder(rows.action))
    force = field._stiffness() * port - field.log_damping.exp() * scaled
    _, change = torch.func.jvp(field.energy, (rows.state,), (rate,))
    torch.testing.assert_close(change, (scaled * force).sum(dim=-1), rtol=1e-9, atol=1e-10)

    def lagrangian(state):
        u = pairs.velocity(state) / scale
        moving = 0.5 * (u * (field.mass(state) @ u.unsqueeze(-1)).squeeze(-1)).sum(dim=-1)
        return (2 * moving - field.energy(state)).sum()

    slopes, growth = torch.func.jvp(torch.func.grad(lagrangian), (rows.state,), (rate,))
    torch.testing.assert_close(pairs.velocity(growth) - pairs.position(slopes), force / scale, rtol=1e-8, atol=1e-9)


# --- integrators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "order"), [("midpoint", 2), ("implicit_midpoint", 2)])
def test_the_midpoint_rules_have_their_order(solver, order, generator):
    system = SYSTEMS["pendulum"].without_losses()
    state, _, _ = draw(system, 50, generator)
    inputs, interval = torch.zeros(50, 1, dtype=torch.float64), torch.full((50,), 0.4, dtype=torch.float64)
    exact = dataclasses.replace(system, max_substep=1e-3).flow(state, idle(system, 50), 0.4)
    errors = [
        float((integrate(lambda x: system.derivative(x, inputs), state, interval, solver, steps) - exact).norm())
        for steps in (8, 16, 32)
    ]
    assert np.abs(np.log2(np.array(errors[:-1]) / errors[1:]) - order).max() < 0.15


@pytest.mark.parametrize("name", ["oscillator", "pendulum", "three_body"])
def test_symmetric_integrators_run_back_and_others_do_not(name, generator):
    """Turned velocities bring leapfrog back to rounding, the implicit midpoint as near as it is solved; not Euler's."""
    system = SYSTEMS[name].without_losses()
    state, _, _ = draw(system, 20, generator)
    inputs = system.spec.held_input(idle(system, 20))
    velocities = torch.tensor([i in system.spec.velocity_dims for i in range(system.spec.state_dim)])
    interval = torch.full((20,), 0.05 if name != "three_body" else 0.005, dtype=torch.float64)

    def back(solver):
        def turned(x):
            return torch.where(velocities, -x, x)

        def step(x):
            dims = system.spec.velocity_dims
            return integrate(lambda s: system.derivative(s, inputs), x, interval, solver, 1, dims)

        return float((turned(step(turned(step(state)))) - state).norm(dim=-1).median())

    # the implicit equation is solved to the sixth power of h |∂f/∂s| / 2
    assert back("leapfrog") < 1e-12 and back("implicit_midpoint") < 1e-8
    assert back("euler") > 1e-6 and back("symplectic_euler") > 1e-6


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRUCTURED)
def test_a_structured_model_refuses_a_state_that_does_not_pair(name):
    spec = SYSTEMS["oscillator"].spec
    odd = dataclasses.replace(spec, state_names=(*spec.state_names, "z"), state_units=(*spec.state_units, "m"))
    with pytest.raises(ValueError, match="spec must pair every position with a velocity .* state_dim 3"):
        build_model(name, odd)
    assert {*STRUCTURED} == {*FIELDS} - {"first_order_ode"}
    build_model("first_order_ode", odd)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SequenceDataset("oscilator"), "environment must be one of .*'oscilator'"),
        (lambda: SequenceDataset("oscillator", dt=0.0), "delta_t must be positive, got 0.0"),
        (lambda: SequenceDataset("oscillator", n_seqs=0), "num_sequences must be positive, got 0"),
        (lambda: collect_sequences("oscillator", 5, 0, 0), "sequence_length must be positive, got 0"),
        (lambda: build_model("newtonian", SYSTEMS["pendulum"].spec, solver="verlet"), "solver must be one .*'verlet'"),
        (lambda: dataclasses.replace(SYSTEMS["oscillator"], solver="verlet"), "solver must be one of .*'verlet'"),
        (lambda: SYSTEMS["oscillator"].spec.held_numbers(3.0), "action of oscillator must be in 0 .. 2, got 3.0"),
        (lambda: SYSTEMS["oscillator"].spec.held_numbers((0, 1)), "action of oscillator must be 1 numbers, got"),
    ],
)  # fmt: skip
def test_wrong_requests_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
