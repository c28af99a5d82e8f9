"""Equations written once: over tensors, numbers and symbols they are the same, and equal to the formula by hand."""

import dataclasses
import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import sympy
import torch
from javascript import Scripts

from tdlib.core.namespace import MATH, TORCH, UNARY, symbolic
from tdlib.core.solvers import TABLEAUS, integrate
from tdlib.core.specs import EnvironmentSpec, random_actions
from tdlib.core.straight_line import GLOBALS, RECORDING, code, unknowns
from tdlib.envs import SystemEnvironment, register_system
from tdlib.explorer.assets import engine_script
from tdlib.explorer.python.generate.systems import system_script
from tdlib.systems import SYSTEMS, System
from tdlib.systems.scalar import advance_source
from tdlib.systems.task import Task

FREE = EnvironmentSpec(
    name="Free-v0", state_names=("x", "v"), state_units=("m", "m/s"), angle_dims=(), position_dims=(0,),
    velocity_dims=(1,), input_names=("force",), input_units=("N",), input_low=(-5.0,), input_high=(5.0,),
    parameter_names=("mass",),
)  # fmt: skip


def free(x, u, p, m):
    return x[1], u[0] / p.mass - p.stiffness / p.mass * x[0]


SPRING = System(
    spec=FREE, equation=free, parameters={"mass": 1.0, "stiffness": 4.0}, parameter_ranges={"mass": (0.5, 2.0)},
    energy=lambda x, p, m: 0.5 * p.mass * x[1] ** 2 + 0.5 * p.stiffness * x[0] ** 2,
    power=lambda x, u, p, m: u[0] * x[1],
)  # fmt: skip


# --- namespaces ------------------------------------------------------------------------------------------------------


def everything(x, y, m):
    """Uses all of a namespace once."""
    a = [getattr(m, name)(x) for name in UNARY if name not in ("asin", "acos", "log", "sqrt")]
    b = [m.asin(0.1 * x), m.acos(0.1 * x), m.log(x * x + 1), m.sqrt(m.abs(x)), m.atan2(x, y), m.remainder(x, 0.7)]
    c = [m.minimum(x, y), m.maximum(x, 0.3), m.clip(x, -0.5, 0.5), m.wrap(3 * x), m.minimum(0.2, y)]
    d = [m.where((x > y) | ~(x < 0.1) & (y <= 1.0), x, y), m.where(x >= y, 1.0, 2.0)]
    e = m.solve([[x + 5, y], [1.0, 4.0]], [x, 2.0])
    f = m.solve([[x + 5, y, 0.2], [1.0, 4.0, x], [y, y, 6.0]], [x, 2.0, y])
    return [*a, *b, *c, *d, *e, *f, (x + 2) ** 3, 2.0**x, -x, +y]


POINTS = [(0.3, 1.2), (-0.8, 0.4), (0.9, -0.9), (-0.2, -1.4), (0.25, 0.25)]


def test_every_namespace_computes_the_same():
    x, y = torch.tensor(POINTS, dtype=torch.float64).unbind(-1)
    of_tensors = [torch.as_tensor(v, dtype=torch.float64) for v in everything(x, y, TORCH)]
    a, b = unknowns("x", "y")
    lines, texts = code(everything(a, b, RECORDING))
    for i, (px, py) in enumerate(POINTS):
        of_numbers = np.array(everything(px, py, MATH), dtype=float)
        np.testing.assert_allclose([v.expand(len(POINTS))[i] for v in of_tensors], of_numbers, rtol=1e-13)
        scope = {**GLOBALS, "x": px, "y": py}
        exec("\n".join(lines), scope)
        np.testing.assert_allclose([float(eval(text, scope)) for text in texts], of_numbers, rtol=1e-13)
    sx, sy = sympy.symbols("x y", real=True)
    symbols = everything(sx, sy, symbolic())
    found = [float(sympy.sympify(s).subs({sx: POINTS[0][0], sy: POINTS[0][1]})) for s in symbols]
    np.testing.assert_allclose(found, np.array(everything(*POINTS[0], MATH), dtype=float), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_small_systems_are_solved(size, generator):
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix, vector = root @ root.T + torch.eye(size), torch.randn(size, generator=generator, dtype=torch.float64)
    found = MATH.solve(matrix.tolist(), vector.tolist())
    np.testing.assert_allclose(found, torch.linalg.solve(matrix, vector), rtol=1e-9)
    with pytest.raises(ValueError, match="matrix must be"):
        MATH.solve(matrix.tolist(), [1.0] * (size + 1))


def test_code_computes_what_occurs_twice_once_and_refuses_to_decide():
    (x,) = unknowns("x")
    lines, texts = code([RECORDING.sin(x) * RECORDING.sin(x), RECORDING.sin(x) ** 2])
    assert sum(line.count("sin(") for line in lines) == 1 and texts[0] == texts[1]
    with pytest.raises(TypeError, match="use m.where"):
        _ = 1.0 if x > 0 else 2.0
    with pytest.raises(TypeError, match="m.minimum"):
        max(x, 0.0)


# --- solvers ---------------------------------------------------------------------------------------------------------


def test_tableaus_have_the_order_and_the_stability_that_their_names_promise():
    for name, order in (("euler", 1), ("midpoint", 2), ("rk4", 4)):
        tableau = TABLEAUS[name]
        assert tableau.stability == pytest.approx([1 / math.factorial(k) for k in range(order + 1)])
        assert sum(tableau.shares) == pytest.approx(1.0)
        start, field = torch.tensor([[1.0]], dtype=torch.float64), lambda s: -s
        errors = [
            abs(float(integrate(field, start, torch.ones(1, dtype=torch.float64), name, n)) - math.exp(-1))
            for n in (16, 32)
        ]
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


# --- the systems -----------------------------------------------------------------------------------------------------


def pendulum_by_hand(state, torque):
    return torch.stack([state[..., 1], 15 * torch.sin(state[..., 0]) + 3 * torque[..., 0]], dim=-1)


def cartpole_by_hand(state, force):
    """Newton's equations of cart and pole, solved for both accelerations."""
    _, x_dot, theta, theta_dot = state.unbind(-1)
    sin, cos, m, half = theta.sin(), theta.cos(), 0.1, 0.5
    a, b = torch.full_like(cos, 1.1), m * half * cos
    c, d = m * half * cos, torch.full_like(cos, 4 / 3 * m * half**2)
    e, f = force[..., 0] + m * half * theta_dot**2 * sin, m * 9.8 * half * sin
    det = a * d - b * c
    return torch.stack([x_dot, (e * d - b * f) / det, theta_dot, (a * f - c * e) / det], dim=-1)


@pytest.mark.parametrize(
    ("name", "by_hand"), [("Pendulum-v1", pendulum_by_hand), ("CartPoleContinuous-v1", cartpole_by_hand)]
)
def test_the_flow_is_that_of_the_formula_by_hand(name, by_hand, generator):
    system = dataclasses.replace(SYSTEMS[name], state_limits=None)
    state = torch.randn(64, system.spec.state_dim, generator=generator, dtype=torch.float64)
    action = torch.randn(64, 1, generator=generator, dtype=torch.float64)
    held = system.spec.held_input(action)
    assert (system.derivative(state, held) - by_hand(state, held)).abs().max() < 1e-12
    delta_t = torch.full((64,), 0.05, dtype=torch.float64)
    expected = integrate(lambda s: by_hand(s, held), state, delta_t, "rk4", 5)
    assert (system.flow(state, action, 0.05) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("system", [*SYSTEMS.values(), SPRING], ids=lambda s: s.spec.name)
def test_energy_changes_by_the_power_of_the_input(system, generator):
    state = torch.randn(32, system.spec.state_dim, generator=generator, dtype=torch.float64)
    inputs = 3 * torch.randn(32, system.spec.input_dim, generator=generator, dtype=torch.float64)
    change = torch.func.jvp(system.total_energy, (state,), (system.derivative(state, inputs),))[1]
    assert torch.allclose(change, system.input_power(state, inputs), atol=1e-12)


def test_symbols_derive_what_tensors_compute():
    """The pole's growth rate by hand: the eigenvalue of the linearized equation, from sympy's Jacobian."""
    system = SYSTEMS["CartPoleContinuous-v1"]
    x, u = sympy.symbols("x0:4", real=True), sympy.symbols("u0:1", real=True)
    from types import SimpleNamespace

    f = sympy.Matrix(system.equation(x, u, SimpleNamespace(**system.parameters), symbolic()))
    jacobian = f.jacobian(x).subs(dict.fromkeys([*x, *u], 0))
    growth = max(float(sympy.re(value)) for value in jacobian.eigenvals())
    assert growth == pytest.approx(3.972, abs=5e-4)


# --- parameters, limits, events, exact flows -------------------------------------------------------------------------


def test_parameters_differ_from_sample_to_sample(generator):
    parameters = SPRING.draw_parameters(40, generator)
    assert parameters.shape == (40, 1) and 0.5 <= parameters.min() < 0.7 and 1.7 < parameters.max() <= 2.0
    state = torch.randn(40, 2, generator=generator, dtype=torch.float64)
    rest = torch.zeros(40, 1, dtype=torch.float64)
    moved = SPRING.flow(state, rest, 0.3, parameters)
    frequency = (4.0 / parameters[:, 0]).sqrt()
    exact = state[:, 0] * (0.3 * frequency).cos() + state[:, 1] / frequency * (0.3 * frequency).sin()
    assert (moved[:, 0] - exact).abs().max() < 1e-8
    nominal = SPRING.flow(state, rest, 0.3, torch.ones(40, 1, dtype=torch.float64))
    assert torch.equal(SPRING.flow(state, rest, 0.3), nominal)
    for i in range(5):
        ours = SPRING.advance(state[i].tolist(), 0.0, 0.3, parameters[i].tolist())[0]
        np.testing.assert_allclose(ours, moved[i], atol=1e-12)
        np.testing.assert_allclose(SPRING.advance(state[i].tolist(), 0.0, 0.3)[0], nominal[i], atol=1e-12)
    kept = SPRING.total_energy(moved, parameters) - SPRING.total_energy(state, parameters)
    assert kept.abs().max() < 1e-7
    with pytest.raises(ValueError, match="parameters of Free-v0 must be \\('mass',\\), got 2 numbers"):
        SPRING.flow(state, rest, 0.3, torch.ones(40, 2))


def exact_spring(x, u, p, h, m):
    w = m.sqrt(p.stiffness / p.mass)
    rest = u[0] / p.stiffness
    away = x[0] - rest
    return rest + away * m.cos(w * h) + x[1] / w * m.sin(w * h), x[1] * m.cos(w * h) - away * w * m.sin(w * h)


@pytest.mark.parametrize("name", SYSTEMS)
def test_components_lie_together_while_truth_is_followed_and_rows_do_at_its_end(name, generator):
    """Columns that lie apart made truth half as fast; how a batch is laid out changes no bit."""
    system = SYSTEMS[name]
    state, action = system.draw_starts(40, generator), random_actions(system.spec, 40, generator)
    drawn = system.draw_parameters(40, generator) if system.spec.parameter_names else None
    delta_t = 0.05 + 0.05 * torch.rand(40, dtype=torch.float64, generator=generator)
    for *states, h, moved, end in system._substeps(state, action, delta_t, drawn):
        assert all(x.stride(-1) > x.stride(-2) for x in (*states, moved, end)) and h.shape == (40,)
    found = system.flow(state, action, delta_t, drawn)
    assert found.is_contiguous() and torch.equal(found, end)
    apart = state.T.contiguous().T
    assert apart.stride() != state.stride() and torch.equal(system.flow(apart, action, delta_t, drawn), found)
    outcome = system.simulate(state, action, delta_t, drawn)
    assert outcome.next_state.is_contiguous() and torch.equal(outcome.next_state, found)


def test_an_exact_flow_takes_the_place_of_the_solver(generator):
    exact = dataclasses.replace(SPRING, exact_flow=exact_spring)
    fine = dataclasses.replace(SPRING, max_substep=1e-3)
    state, action = torch.randn(2, 16, 2, generator=generator, dtype=torch.float64)
    action, parameters = action[:, :1], SPRING.draw_parameters(16, generator)
    moved = exact.flow(state, action, 0.37, parameters)
    assert (moved - fine.flow(state, action, 0.37, parameters)).abs().max() < 1e-11
    ours = exact.advance(state[0].tolist(), action[0].tolist(), 0.37, parameters[0].tolist())[0]
    np.testing.assert_allclose(ours, moved[0], atol=1e-12)
    assert exact.integrator == "exact flow, float64"
    assert fine.integrator == "RK4, ceil(delta_t / 1 ms) equal substeps, float64"


def bounce(x, p, m):
    """A wall at x = 0 that takes half the speed."""
    return (x[0] < 0) & (x[1] < 0), (-x[0], -0.5 * x[1])


def test_an_event_happens_at_the_end_of_a_substep(generator):
    system = dataclasses.replace(SPRING, event=bounce, state_limits=((-2.0, 2.0), (-math.inf, math.inf)))
    state = torch.rand(32, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, -5.0])
    action = torch.full((32, 1), -1.0, dtype=torch.float64)
    outcome = system.simulate(state, action, 0.4)
    assert outcome.limit_hit.any() and not outcome.limit_hit.all()
    assert (outcome.next_state[:, 0] > -0.2).all() and (outcome.next_state[outcome.limit_hit, 1] > -3).all()
    for i in range(32):
        next_state, _, _, limit_hit = system.advance(state[i].tolist(), action[i].tolist(), 0.4)
        np.testing.assert_allclose(next_state, outcome.next_state[i], atol=1e-12)
        assert limit_hit == bool(outcome.limit_hit[i])
    far = system.simulate(torch.tensor([[1.9, 30.0]], dtype=torch.float64), torch.zeros(1, 1), 0.02)
    assert far.next_state[0, 0] == 2.0 and far.limit_hit[0]


def test_the_page_moves_a_system_with_events_and_without_a_task(generator):
    system = dataclasses.replace(
        SPRING, event=bounce, state_limits=((-2.0, 2.0), (-math.inf, math.inf)), solver="midpoint", max_substep=0.02
    )
    scripts = Scripts(engine_script(), system_script(system))
    state = torch.rand(8, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.0, -5.0])
    for start in state:
        found = scripts(f"tdEngine.systems['Free-v0'].flow({start.tolist()}, [-1.0], 0.4)")
        expected = system.flow(start, torch.tensor([-1.0], dtype=torch.float64), 0.4)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_system_without_a_task_earns_nothing_and_says_what_it_lacks(generator):
    state, action = torch.randn(4, 2, generator=generator).double(), torch.zeros(4, 1).double()
    outcome = SPRING.simulate(state, action, 0.1)
    assert outcome.reward.abs().max() == 0 and outcome.exit_time.isinf().all()
    assert SPRING.advance(state[0].tolist(), [0.0], 0.1)[1:] == (0.0, math.inf, False)
    assert SPRING.cost(state, action).abs().max() == 0 and SPRING.observation(state) is state
    with pytest.raises(ValueError, match="system must have a task with starts, Free-v0 has none"):
        SystemEnvironment(SPRING, 20).reset()
    with pytest.raises(ValueError, match="system must declare an energy"):
        dataclasses.replace(SPRING, energy=None).total_energy(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter_ranges": {}}, "parameter_ranges of Free-v0 must name spec.parameter_names = \\('mass',\\)"),
        ({"parameters": {"stiffness": 4.0}}, "with nominal values among parameters \\['stiffness'\\]"),
        ({"state_limits": ((0.0, 1.0),)}, "state_limits of Free-v0 must be 2 pairs"),
        ({"max_substep": 0.0}, "max_substep of Free-v0 must be positive"),
        ({"solver": "rk5"}, "solver must be one of"),
    ],
)
def test_a_system_that_does_not_fit_its_specification_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPRING, **change)


def test_the_name_of_another_system_is_taken():
    assert register_system(SYSTEMS["Pendulum-v1"]) is SYSTEMS["Pendulum-v1"]
    with pytest.raises(ValueError, match="'Pendulum-v1' is taken"):
        register_system(dataclasses.replace(SYSTEMS["Pendulum-v1"], max_substep=0.02))


def test_a_stranger_s_system_in_a_file_of_its_own(tmp_path):
    (tmp_path / "tank.py").write_text(
        textwrap.dedent("""
            from tdlib.core.specs import EnvironmentSpec, random_actions
            from tdlib.envs import register_system
            from tdlib.systems import System
            from tdlib.systems.task import Task

            SPEC = EnvironmentSpec(
                name="Tank-v0", state_names=("level",), state_units=("m",), angle_dims=(), position_dims=(),
                velocity_dims=(), input_names=("inflow",), input_units=("m³/s",), input_low=(0.0,), input_high=(0.1,),
            )

            def tank(x, u, p, m):
                return (u[0] - p.outlet * m.sqrt(2 * 9.81 * m.maximum(x[0], 0.0))) / p.area,

            TANK = register_system(
                System(SPEC, tank, {"outlet": 0.01, "area": 1.0}, task=Task(reset_low=(0.2,), reset_high=(1.0,)))
            )
        """)
    )
    script = textwrap.dedent("""
        import tank
        from tdlib.data import collect_random
        from tdlib.data.verify import verify_dataset
        from tdlib.envs import make_environment
        env = make_environment("Tank-v0", 10)
        env.reset(seed=0)
        assert env.step(env.action_space.sample())[0].shape == (1,)
        assert not [f for f in verify_dataset(collect_random("Tank-v0", 10, 0, 500)) if f.ok is False]
    """)
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_the_fast_path_is_plain_arithmetic():
    """No call but those of the equation: one sine per slope of the pendulum."""
    source = advance_source(SYSTEMS["Pendulum-v1"])
    assert source.count("sin(") == 4 and "equation" not in source


def test_tasks_default_to_no_end_and_the_negative_reward(generator):
    system = dataclasses.replace(SPRING, task=Task((-1.0, 0.0), (1.0, 0.0), reward=lambda x, u, p, m: -(x[0] ** 2)))
    state, inputs = torch.randn(5, 2, generator=generator).double(), torch.zeros(5, 1).double()
    assert torch.equal(system.cost(state, inputs), state[:, 0] ** 2)
    assert not system.outside(state).any() and system.success(state.unsqueeze(1), torch.zeros(1)).all()
    assert system.box == (1.0, 0.0) and (system.plane, system.plane_widths) == (("x", "v"), (1.0, 0.0))
