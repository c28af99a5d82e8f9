"""Physics systems: laws that hold for each, closed forms, and integrators at their order."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
import torch
from scipy.integrate import solve_ivp

from tdlib.core.namespace import symbolic
from tdlib.core.solvers import SPLITTINGS, integrate, solver_step
from tdlib.core.specs import least_action, random_actions
from tdlib.systems import SYSTEMS
from tdlib.systems.spaceship import NEAREST, anywhere
from tdlib.systems.three_body import as_founded

PHYSICS = ("oscillator", "pendulum", "spaceship", "three_body", "double_cart_pole", "bouncing_ball")
CONSTANTS = {"oscillator": ("damping",), "pendulum": ("damping",)}


def draw(system, count, generator):
    """Starts, actions and parameters, as a collection draws them."""
    unit = torch.rand(count, system.spec.state_dim, dtype=torch.float64, generator=generator)
    parameters = system.draw_parameters(count, generator) if system.spec.parameter_names else None
    return system.collection.random_inputs.starts(unit), random_actions(system.spec, count, generator), parameters


def idle(system, count):
    """The action that does nothing."""
    return least_action(system.spec).expand(count, -1)


@pytest.mark.parametrize("name", PHYSICS)
def test_energy_changes_by_the_work_of_inputs_and_losses(name, generator):
    system = SYSTEMS[name]
    state, action, parameters = draw(system, 200, generator)
    delta_t, count = system.delta_t, 100
    inputs = system.spec.held_input(action)
    path = [state]
    for _ in range(count):
        path.append(system.flow(path[-1], action, delta_t / count, parameters))
    power = torch.stack([system.input_power(x, inputs, parameters) for x in path])
    weights = torch.tensor([1.0, *[4.0, 2.0] * (count // 2 - 1), 4.0, 1.0], dtype=torch.float64)
    work = (weights.unsqueeze(-1) * power).sum(dim=0) * delta_t / count / 3  # Simpson
    change = system.total_energy(path[-1], parameters) - system.total_energy(state, parameters)
    free = ~system.simulate(state, action, delta_t, parameters).limit_hit
    assert free.sum() > 100 and work[free].abs().max() > 0.01
    assert (change - work)[free].abs().max() < 1e-5


def test_every_system_with_an_energy_says_what_it_loses():
    assert all(system.lossless is not None for system in SYSTEMS.values() if system.energy is not None)
    ours = {name: system for name, system in SYSTEMS.items() if system.equation.__module__.startswith("tdlib.")}
    loses = {name for name, system in ours.items() if system.lossless}
    assert loses == {"oscillator", "pendulum", "double_cart_pole", "bouncing_ball", "hgn_spring", "hgn_spring_damped"}
    with pytest.raises(ValueError, match=r"lossless of oscillator must name some of parameters .*'drag'"):
        dataclasses.replace(SYSTEMS["oscillator"], lossless={"drag": 0.0})
    unsaid = dataclasses.replace(SYSTEMS["oscillator"], lossless=None)
    with pytest.raises(ValueError, match="must declare lossless"):
        unsaid.without_losses()


def test_a_system_without_losses_still_draws_what_loses_nothing(generator):
    system = SYSTEMS["oscillator"]
    spec = dataclasses.replace(system.spec, parameter_names=("mass", "damping"))
    system = dataclasses.replace(system, spec=spec, parameter_ranges={"mass": (0.5, 1.0), "damping": (0.1, 1.0)})
    drawn, free = system.draw_parameters(20, generator), system.without_losses()
    assert free.spec.parameter_names == ("mass",) and free.parameters["damping"] == 0.0
    assert torch.equal(system.drawn_without_losses(drawn), drawn[:, :1])
    assert SYSTEMS["oscillator"].drawn_without_losses(drawn[:, 1:]) is None


@pytest.mark.parametrize("name", sorted(set(SYSTEMS) - {"CartPole-v1"}))  # which has no action without input
def test_without_losses_and_input_energy_stays_and_time_turns_round(name, generator):
    system = SYSTEMS[name].without_losses()
    state, _, _ = draw(system, 100, generator)
    rest = idle(system, 100)
    moved = system.flow(state, rest, 0.1)
    assert (moved - state).abs().max() > 0.05
    assert (system.total_energy(moved) - system.total_energy(state)).abs().max() < 1e-5
    if system.contact is not None:
        return  # back in time there are no impacts
    velocities = torch.tensor([i in system.spec.velocity_dims for i in range(system.spec.state_dim)])
    turned = torch.where(velocities, -moved, moved)
    back = system.flow(turned, rest, 0.1)
    assert (torch.where(velocities, -back, back) - state).abs().max() < 1e-5
    assert (system.flow(moved, rest, -0.1) - state).abs().max() < 1e-5


def test_the_oscillator_follows_the_matrix_exponential(generator):
    system = SYSTEMS["oscillator"]
    state, action, parameters = draw(system, 40, generator)
    parameters[0] = 2.0  # critically damped: c² = 4 m k
    parameters[1] = 3.0  # beyond that
    inputs = system.spec.held_input(action)
    mass, stiffness = system.parameters["mass"], system.parameters["stiffness"]
    for i, damping in enumerate(parameters[:, 0].tolist()):
        rate = torch.tensor(
            [[0, 1, 0], [-stiffness / mass, -damping / mass, float(inputs[i, 0]) / mass], [0, 0, 0]],
            dtype=torch.float64,
        )
        for delta_t in (0.05, 0.5, 7.0, -0.3):
            exact = torch.matrix_exp(rate * delta_t) @ torch.cat([state[i], torch.ones(1, dtype=torch.float64)])
            assert torch.allclose(system.flow(state[i], action[i], delta_t, parameters[i]), exact[:2], atol=1e-12)


def test_unforced_gravity_keeps_its_momenta(generator):
    ship, bodies = SYSTEMS["spaceship"], SYSTEMS["three_body"]
    state, _, _ = draw(ship, 100, generator)
    moved = ship.flow(state, idle(ship, 100), 2.0)

    def turning(x, v):
        return x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]

    assert (turning(*moved.split(2, dim=-1)) - turning(*state.split(2, dim=-1))).abs().max() < 1e-5
    state, _, _ = draw(bodies, 100, generator)
    moved = bodies.flow(state, idle(bodies, 100), 0.2)
    for x in (state, moved):
        assert x.reshape(-1, 2, 3, 2).sum(dim=2).abs().max() < 1e-9  # neither place nor momentum of the center
    spin = [turning(*x.reshape(-1, 2, 3, 2).unbind(dim=1)).sum(dim=-1) for x in (state, moved)]
    assert (spin[1] - spin[0]).abs().max() < 1e-4


def test_ships_start_on_orbits_that_stay_away_from_the_star(generator):
    system = SYSTEMS["spaceship"]
    near = {}
    for name, chosen in (("ellipses", system), ("anywhere", anywhere())):
        state, _, _ = draw(chosen, 400, generator)
        distance = state[:, :2].norm(dim=-1)
        energy = chosen.total_energy(state)
        turning = state[:, 0] * state[:, 3] - state[:, 1] * state[:, 2]
        star = chosen.parameters["star_mass"]
        eccentricity = (1 + 2 * energy * turning**2 / star**2).clamp(min=0).sqrt()
        near[name] = turning**2 / star / (1 + eccentricity)  # periapsis
        assert name == "anywhere" or NEAREST <= distance.min() < distance.max() <= 5
    assert near["ellipses"].min() > 0.7
    assert 0.15 < (near["anywhere"] < 0.1).double().mean() < 0.35  # a quarter


def test_the_founding_setting_of_three_bodies_has_no_meaningful_energy(generator):
    """Median error of the energy over 100 unforced intervals: 16 times the energy itself, here below a thousandth."""
    bodies, founded = SYSTEMS["three_body"], as_founded()
    state, _, _ = draw(bodies, 100, generator)
    rest, errors = idle(bodies, 100), {}
    for name, system in (("ours", bodies), ("founded", founded)):
        moved = state
        for _ in range(100):
            moved = system.flow(moved, rest, bodies.delta_t)
        energy = system.total_energy(state)
        errors[name] = float(((system.total_energy(moved) - energy) / energy).abs().median())
    assert errors["ours"] < 1e-3 and errors["founded"] > 3


def test_the_double_cart_pole_follows_from_its_energies():
    """Euler and Lagrange's equations of sympy, from where the rods' centers are, against the matrix by hand."""
    system = SYSTEMS["double_cart_pole"]
    p = SimpleNamespace(**system.parameters)
    time = sympy.Symbol("t")
    q = [sympy.Function(name)(time) for name in ("x", "a", "b")]
    rates = [x.diff(time) for x in q]
    phi = q[1], q[1] + q[2]
    joint = sympy.Matrix([q[0] - p.length * sympy.sin(phi[0]), -p.length * sympy.cos(phi[0])])
    centers = [
        sympy.Matrix([q[0] - p.length / 2 * sympy.sin(phi[0]), -p.length / 2 * sympy.cos(phi[0])]),
        joint + p.length / 2 * sympy.Matrix([-sympy.sin(phi[1]), -sympy.cos(phi[1])]),
    ]
    kinetic = p.cart_mass * rates[0] ** 2 / 2
    potential = 0
    for center, angle in zip(centers, phi, strict=True):
        speed = center.diff(time)
        kinetic += p.pole_mass * speed.dot(speed) / 2 + p.inertia * angle.diff(time) ** 2 / 2
        potential += p.pole_mass * p.gravity * center[1]
    lost = p.cart_damping * rates[0] ** 2 / 2 + p.pole_damping * (rates[1] ** 2 + rates[2] ** 2) / 2
    lagrangian, push = kinetic - potential, sympy.Symbol("u")
    forces = (p.gear * push, 0, 0)
    equations = [
        lagrangian.diff(v).diff(time) - lagrangian.diff(x) + lost.diff(v) - force
        for x, v, force in zip(q, rates, forces, strict=True)
    ]
    names = sympy.symbols("q0:3 v0:3 w0:3")
    values = {x.diff(time, 2): w for x, w in zip(q, names[6:], strict=True)}
    values |= {x.diff(time): v for x, v in zip(q, names[3:6], strict=True)}
    values |= dict(zip(q, names[:3], strict=True))
    plain = [equation.doit().subs(values) for equation in equations]
    solve = sympy.lambdify((*names, push), plain)
    generator = np.random.default_rng(0)
    for _ in range(20):
        x, u = generator.normal(size=6) * 2, generator.uniform(-1, 1)
        rate = system.derivative(torch.tensor(x), torch.tensor([u], dtype=torch.float64))
        assert np.abs(solve(*x, *rate[3:].tolist(), u)).max() < 1e-12


def test_symbols_say_the_same_as_tensors_for_every_system(generator):
    for name in PHYSICS:
        system = SYSTEMS[name]
        state, action, _ = draw(system, 1, generator)
        inputs = system.spec.held_input(action)
        p = SimpleNamespace(**system.parameters)
        found = system.equation(state[0].tolist(), inputs[0].tolist(), p, symbolic())
        np.testing.assert_allclose([float(x) for x in found], system.derivative(state, inputs)[0], atol=1e-12)


# --- contact ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [-4.0, 0.0, 4.0])
def test_the_ball_bounces_as_an_event_solver_finds(force, generator):
    system = SYSTEMS["bouncing_ball"]
    state, _, parameters = draw(system, 30, generator)
    action = torch.full((30, 1), float(system.spec.action_table.index((force,))), dtype=torch.float64)
    fall = system.parameters["gravity"] - force

    def ground(t, y):
        return y[0]

    ground.terminal, ground.direction = True, -1
    for i in range(30):
        now, y, hits = 0.0, state[i].numpy(), 0
        while now < 0.5:
            found = solve_ivp(lambda t, y: [y[1], -fall], (now, 0.5), y, events=ground, rtol=1e-12, atol=1e-12)
            now, y = found.t[-1], found.y[:, -1]
            if found.status == 1:
                y, hits = np.array([1e-12, -float(parameters[i, 0]) * y[1]]), hits + 1
                if y[1] < 1e-4:  # it goes on for ever in ever smaller flights
                    y = np.zeros(2)
                    break
        outcome = system.simulate(state[i], action[i], 0.5, parameters[i])
        np.testing.assert_allclose(outcome.next_state, y, atol=2e-4)
        assert bool(outcome.limit_hit) == (hits > 0)
        scalar = system.advance(state[i].tolist(), action[i].tolist(), 0.5, parameters[i].tolist())
        np.testing.assert_allclose(scalar[0], outcome.next_state, atol=1e-12)
        assert scalar[3] == bool(outcome.limit_hit)


def test_the_ball_bounces_ever_faster_and_then_lies_still():
    system = SYSTEMS["bouncing_ball"]
    state, rest = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64)
    speed, share, gravity = math.sqrt(2 * 9.81), system.parameters["restitution"], 9.81
    first = speed / gravity
    last = first + 2 * share * speed / gravity / (1 - share)
    for flights in (1, 5, 20, 60):
        impact = first + 2 * share * speed / gravity * (1 - share**flights) / (1 - share)
        after = system.flow(state, rest, impact * (1 + 1e-12))
        assert after[1] == pytest.approx(share ** (flights + 1) * speed, rel=1e-5)
    assert not system.flow(state, rest, last + 1e-9).any()
    assert not system.flow(torch.zeros(2, dtype=torch.float64), rest, 3.0).any()
    halves = system.flow(system.flow(state, rest, 0.7), rest, 0.8)
    assert torch.allclose(halves, system.flow(state, rest, 1.5), atol=1e-10)


# --- integrators ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("symplectic_euler", 1), ("leapfrog", 2), ("rk4", 4)])
def test_integrators_have_their_order(solver, order, generator):
    system = SYSTEMS["pendulum"].without_losses()
    state, _, _ = draw(system, 50, generator)
    inputs = torch.zeros(50, 1, dtype=torch.float64)
    exact = dataclasses.replace(system, max_substep=1e-4).flow(state, idle(system, 50), 0.4)
    errors = []
    for substeps in (8, 16, 32):
        interval = torch.full((50,), 0.4, dtype=torch.float64)
        found = integrate(lambda x: system.derivative(x, inputs), state, interval, solver, substeps, (1,))
        errors.append(float((found - exact).norm()))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.abs(slopes - order).max() < 0.15, slopes


@pytest.mark.parametrize("solver", SPLITTINGS)
def test_splittings_bound_the_energy_and_need_velocities(solver):
    system = dataclasses.replace(SYSTEMS["pendulum"].without_losses(), solver=solver, max_substep=0.05)
    state = torch.tensor([[1.5, 0.0]], dtype=torch.float64)
    rest = idle(system, 1)
    start, drifts = system.total_energy(state), {}
    for count in (2000, 4000):
        moved, worst = state, 0.0
        for _ in range(count):
            moved = system.flow(moved, rest, 0.05)
            worst = max(worst, float((system.total_energy(moved) - start).abs()))
        drifts[count] = worst
    assert drifts[4000] < 1.05 * drifts[2000] < 1.0  # an explicit Euler step gains without end
    scalar = system.advance(state[0].tolist(), rest[0].tolist(), 0.3)[0]
    np.testing.assert_allclose(scalar, system.flow(state, rest, 0.3)[0], atol=1e-12)
    with pytest.raises(ValueError, match=f"for a state without velocities, got '{solver}'"):
        solver_step(solver)
