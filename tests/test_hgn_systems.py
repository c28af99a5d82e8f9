"""Systems of Hamiltonian Generative Networks: Hamilton's equations from H, closed forms, orbits, starts of data."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy.special import ellipk

from tdlib.core.namespace import TORCH
from tdlib.data import collect_sequences
from tdlib.systems import SYSTEMS
from tdlib.systems.circle import on_circle
from tdlib.systems.hgn_gravity import RINGS, SPEEDS, circling
from tdlib.systems.hgn_spring import damped

HGN = ("hgn_pendulum", "hgn_spring", "hgn_two_body", "hgn_three_body", "chaotic_pendulum")
FRAMES, DELTA_T = 30, 0.125


def none(count):
    """The only action there is."""
    return torch.zeros(count, 1, dtype=torch.float64)


def pendulum_h(q, p, c):
    return p[0] ** 2 / (2 * c.mass * c.length**2) + c.mass * c.gravity * c.length * (1 - q[0].cos())


def spring_h(q, p, c):
    return p[0] ** 2 / (2 * c.mass) + c.stiffness * q[0] ** 2 / 2


def gravity_h(q, p, c):
    places, bodies = q.reshape(-1, 2), len(q) // 2
    pairs = [(i, j) for i in range(bodies) for j in range(i)]
    return (p**2).sum() / 2 - sum(c.gravity / (places[i] - places[j]).norm() for i, j in pairs)


def chaotic_h(q, p, c):
    d, size = q[0] - q[1], 2 * c.mass * c.length**2
    moving = (p[0] ** 2 + 2 * p[1] ** 2 - 2 * p[0] * p[1] * d.cos()) / (size * (1 + d.sin() ** 2))
    return moving + c.mass * c.gravity * c.length * (3 - 2 * q[0].cos() - q[1].cos())


def chaotic_momenta(x, c):
    cos, size = (x[0] - x[1]).cos(), c.mass * c.length**2
    return size * torch.stack([2 * x[2] + x[3] * cos, x[3] + x[2] * cos])


HAMILTON = {  # H(q, p), and the momenta of a state
    "hgn_pendulum": (pendulum_h, lambda x, c: c.mass * c.length**2 * x[1:]),
    "hgn_spring": (spring_h, lambda x, c: c.mass * x[1:]),
    "hgn_two_body": (gravity_h, lambda x, c: x[4:]),
    "hgn_three_body": (gravity_h, lambda x, c: x[6:]),
    "chaotic_pendulum": (chaotic_h, chaotic_momenta),
}


@pytest.mark.parametrize("name", HGN)
def test_each_equation_is_hamiltons(name, generator):
    """q' = ∂H/∂p and p' = −∂H/∂q by automatic differentiation of the published H, for states as data have them."""
    system, (hamiltonian, momenta) = SYSTEMS[name], HAMILTON[name]
    c, half = SimpleNamespace(**system.parameters), system.spec.state_dim // 2
    states = system.draw_starts(20, generator)
    slopes = system.derivative(states, none(20))
    for state, slope in zip(states, slopes, strict=True):
        p, p_slope = torch.func.jvp(lambda x: momenta(x, c), (state,), (slope,))
        by_q, by_p = torch.func.grad(lambda q, p: hamiltonian(q, p, c), argnums=(0, 1))(state[:half], p)
        torch.testing.assert_close(slope[:half], by_p, rtol=0, atol=1e-12)
        torch.testing.assert_close(p_slope, -by_q, rtol=0, atol=1e-12)
        assert float(system.total_energy(state)) == pytest.approx(float(hamiltonian(state[:half], p, c)), abs=1e-12)


@pytest.mark.parametrize("name", HGN)
def test_the_energy_stays_over_thirty_frames(name, generator):
    system = SYSTEMS[name]
    states = system.draw_starts(40, generator)
    change = torch.func.jvp(system.total_energy, (states,), (system.derivative(states, none(40)),))[1]
    assert change.abs().max() < 1e-12  # dH/dt = 0
    start, moved = system.total_energy(states), states
    for _ in range(FRAMES):
        moved = system.flow(moved, none(40), DELTA_T)
    assert (moved - states).abs().max() > 0.5
    assert ((system.total_energy(moved) - start) / start).abs().max() < 1e-6


def test_the_spring_is_a_cosine_and_the_damped_one_decays(generator):
    system = SYSTEMS["hgn_spring"]
    states = system.draw_starts(20, generator)
    moved = system.flow(states, none(20), 1.3)
    expected = states[:, 0] * math.cos(2 * 1.3) + states[:, 1] / 2 * math.sin(2 * 1.3)  # ω₀ = √(k/m) = 2 / s
    assert (moved[:, 0] - expected).abs().max() < 1e-12
    slow = damped(0.3)
    rate, decay = 2 * math.sqrt(1 - 0.3**2), 0.3 * 2
    x, v = states.unbind(-1)
    swing = math.cos(rate * 1.3) * x + math.sin(rate * 1.3) / rate * (v + decay * x)
    assert (slow.flow(states, none(20), 1.3)[:, 0] - math.exp(-decay * 1.3) * swing).abs().max() < 1e-12
    slope = slow.derivative(states, none(20))[:, 1] * 0.5  # p' = −2 ζ ω₀ p − k q
    assert (slope - (-2 * 0.3 * 2 * 0.5 * v - 2 * x)).abs().max() < 1e-12
    assert (slow.without_losses().flow(states, none(20), 1.3) - moved).abs().max() < 1e-12
    far = slow.draw_starts(500, generator)
    radius = torch.stack([far[:, 0], 0.5 * far[:, 1]]).norm(dim=0)
    assert 0.75 <= radius.min() < 0.8 and 1.35 < radius.max() <= 1.4
    assert SYSTEMS["hgn_spring_damped"].parameters == slow.parameters
    assert len(collect_sequences("hgn_spring_damped", 2, 5, 0)) == 10


def test_the_pendulum_has_the_period_of_an_elliptic_integral():
    system = SYSTEMS["hgn_pendulum"]
    period = 4 * math.sqrt(1 / 3) * ellipk(math.sin(1.7 / 2) ** 2)  # from rest at 1.7 rad
    start = torch.tensor([[1.7, 0.0]], dtype=torch.float64)
    assert (system.flow(start, none(1), period) - start).abs().max() < 1e-6
    assert system.flow(start, none(1), period / 4)[0, 0].abs() < 1e-6


@pytest.mark.parametrize(("name", "bodies"), [("hgn_two_body", 2), ("hgn_three_body", 3)])
def test_without_noise_bodies_stay_on_their_circle(name, bodies):
    system, radius = SYSTEMS[name], torch.tensor([0.9, 1.2], dtype=torch.float64)
    even = torch.ones(2, bodies, dtype=torch.float64)
    state = circling(radius, torch.tensor([0.3, 4.0], dtype=torch.float64), even)
    speed = SPEEDS[bodies] / radius.sqrt()
    turn = 2 * math.pi * radius / speed
    moved = state
    for _ in range(20):
        moved = system.flow(moved, none(2), turn / 40)
        distance = moved[:, : 2 * bodies].unflatten(1, (bodies, 2)).norm(dim=-1)
        assert (distance - radius[:, None]).abs().max() < 4e-5
    assert (moved + state).abs().max() < 1e-3  # half a turn
    inward = system.derivative(state, none(2))[:, 2 * bodies :].unflatten(1, (bodies, 2)).norm(dim=-1)
    assert (inward - (speed**2 / radius)[:, None]).abs().max() < 1e-12


@pytest.mark.parametrize(("name", "bodies"), [("hgn_two_body", 2), ("hgn_three_body", 3)])
def test_bodies_start_on_a_ring_at_equal_angles_with_speeds_near_those_of_the_circle(name, bodies, generator):
    state = SYSTEMS[name].draw_starts(2000, generator)
    places, velocities = state.unflatten(1, (2, bodies, 2)).unbind(dim=1)
    radius = places.norm(dim=-1)
    assert (radius - radius[:, :1]).abs().max() < 1e-12 and places.sum(dim=1).abs().max() < 1e-12
    low, high = RINGS[bodies]
    assert low <= radius.min() < low + 0.02 and high - 0.02 < radius.max() <= high
    assert (places * velocities).sum(dim=-1).abs().max() < 1e-12  # tangential
    relative = velocities.norm(dim=-1) * radius.sqrt() / SPEEDS[bodies]
    assert 0.9 <= relative.min() < 0.91 and 1.09 < relative.max() <= 1.1
    assert abs(float(torch.corrcoef(relative.T)[0, 1])) < 0.1  # each body's own


def test_starts_point_in_all_directions_alike(generator):
    """Of a vector from a square, normalized, 70 % more lie within 10° of a diagonal than of an axis."""
    points = on_circle(torch.rand(40_000, 2, dtype=torch.float64, generator=generator), 0.5, 1.3)
    radius, angle = points.norm(dim=-1), torch.atan2(points[:, 1], points[:, 0])
    assert 0.5 <= radius.min() and radius.max() <= 1.3 and radius.mean() == pytest.approx(0.9, abs=0.01)
    counts = torch.histc(angle, 16, -math.pi, math.pi)
    assert (counts / counts.mean() - 1).abs().max() < 0.08
    for name, widths, ring in (("hgn_pendulum", (1.0, 0.5), (1.3, 2.3)), ("hgn_spring", (1.0, 0.5), (0.1, 1.0))):
        states = SYSTEMS[name].draw_starts(2000, generator) * torch.tensor(widths)
        found = states.norm(dim=-1)
        assert ring[0] <= found.min() and found.max() <= ring[1] and found.std() > 0.2
    chaotic = SYSTEMS["chaotic_pendulum"]
    states, c = chaotic.draw_starts(2000, generator), SimpleNamespace(**chaotic.parameters)
    momenta = torch.stack([chaotic_momenta(x, c) for x in states])
    for pair in (states[:, :2], momenta):
        assert 0.5 <= pair.norm(dim=-1).min() < 0.51 and 1.29 < pair.norm(dim=-1).max() <= 1.3


def test_both_points_of_the_chaotic_pendulum_hang_on_their_rods(generator):
    system = SYSTEMS["chaotic_pendulum"]
    states = system.draw_starts(50, generator)
    places = torch.stack(system.views.picture.places(states.unbind(-1), system.named(None), TORCH), dim=-1)
    first, second = places.split(2, dim=-1)
    assert (first.norm(dim=-1) - 1).abs().max() < 1e-12 and ((second - first).norm(dim=-1) - 1).abs().max() < 1e-12
    rest = system.total_energy(torch.zeros(1, 4, dtype=torch.float64))
    assert float(rest) == 0.0 and (system.total_energy(states) > 0).all()
