"""Beliefs and time: motion over any interval, windows in seconds, memories that look back, and numbers made by hand."""

import pytest
import torch

from tdlib.models.beliefs import (
    MTS3,
    Belief,
    BeliefOptions,
    CausalMemory,
    DampedRotations,
    MTS3Options,
    checked_belief,
    condition,
    dense_covariance,
    evidence,
    isotropic,
)
from tdlib.models.beliefs.compositions import AcRKN
from tdlib.models.beliefs.recurrent import GRUMemory, LSTMMemory, RecurrentBaseline
from tdlib.models.beliefs.windows import StepWindows, TimeWindows

D, UNIT = 3, 0.05
EXACT = dict(rtol=0, atol=1e-12)
SMALL = {"latent_dim": D, "hidden_dim": 5, "control_hidden_dim": 5, "set_hidden_dim": 4, "decoder_hidden_dim": 4}


@pytest.fixture(autouse=True)
def double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_belief(*shape):
    upper, lower = 0.5 + torch.rand(2, *shape, D)
    side = 0.6 * (upper * lower).sqrt() * (2 * torch.rand(*shape, D) - 1)
    return Belief(torch.randn(*shape, 2 * D), torch.cat([upper, lower, side], dim=-1))


@pytest.fixture
def motion():
    found = DampedRotations(D, UNIT)
    with torch.no_grad():
        found.raw_decay += torch.randn(D)
        found.turn += torch.randn(D)
    return found


def after(motion, belief, effect, *intervals):
    with torch.no_grad():
        for delta_t in intervals:
            belief = motion.advance(belief, motion.over(effect, torch.as_tensor(delta_t)))
    return belief


def close(found, expected, **tolerance):
    torch.testing.assert_close(tuple(found), tuple(expected), **tolerance or EXACT)


def generator_of(motion):
    """G, (2d, 2d) per unit of time."""
    decay = torch.nn.functional.softplus(motion.raw_decay.detach()) + 1e-3
    turn = motion.turn.detach()
    blocks = [[-decay.diag(), turn.diag()], [-turn.diag(), -decay.diag()]]
    return torch.cat([torch.cat(row, dim=1) for row in blocks])


# --- motion -----------------------------------------------------------------------------------------------------------


def test_two_steps_are_one_of_their_sum_in_mean_and_covariance(motion):
    belief, effect = some_belief(4), some_belief(4)
    close(after(motion, belief, effect, 0.03, 0.08), after(motion, belief, effect, 0.11))
    close(after(motion, belief, effect, 0.0), belief)
    own = torch.tensor([0.01, 0.02, 0.05, 0.3])  # an interval of its own for each
    found = after(motion, belief, effect, own)
    close((x[2] for x in found), after(motion, Belief(*(x[2] for x in belief)), Belief(*(x[2] for x in effect)), 0.05))


def test_a_step_is_the_matrix_exponential_and_its_integrals(motion):
    """Beside a sum over many small parts of the interval, of full matrices."""
    belief, effect, time, parts = some_belief(), some_belief(), 0.13, 4000
    generator, at = generator_of(motion), (torch.arange(parts) + 0.5) / parts * time / UNIT
    exponential = torch.linalg.matrix_exp(generator * time / UNIT)
    along = torch.linalg.matrix_exp(generator * at[:, None, None])
    width = time / UNIT / parts
    mean = exponential @ belief.mean + width * along.sum(dim=0) @ effect.mean
    added = width * (along @ dense_covariance(effect) @ along.mT).sum(dim=0)
    covariance = exponential @ dense_covariance(belief) @ exponential.T + added
    found = after(motion, belief, effect, time)
    torch.testing.assert_close(found.mean, mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(dense_covariance(found), covariance, rtol=0, atol=1e-6)


def test_nothing_grows_however_long_it_goes_on(motion):
    belief, nothing = some_belief(), Belief(torch.zeros(2 * D), torch.zeros(3 * D))
    later = after(motion, belief, nothing, *[1.0] * 50)
    assert later.mean.norm() < belief.mean.norm()
    noisy = after(motion, belief, isotropic(D, 0.1, like=belief.mean), *[1.0] * 200)
    upper, lower, side = noisy.covariance.chunk(3)
    assert noisy.covariance.isfinite().all() and (upper * lower > side**2).all()


def test_a_motion_without_an_interval_is_refused():
    with pytest.raises(ValueError, match="delta_t must be given to a model that moves on for any time, got None"):
        AcRKN(2, 1, BeliefOptions(**SMALL, form="flow"))(torch.randn(1, 4, 2), torch.randn(1, 4, 1))
    model = MTS3(2, 1, MTS3Options(**SMALL, windows=(2,), fewest_steps=2, form="concat_seconds"))
    with pytest.raises(ValueError, match="delta_t must be given where windows are counted in seconds, got None"):
        model(torch.randn(1, 4, 2), torch.randn(1, 4, 1))
    with pytest.raises(ValueError, match=r"delta_t must be \(1, 4\) beside the observations, got \(1, 3\)"):
        model(torch.randn(1, 4, 2), torch.randn(1, 4, 1), delta_t=torch.full((1, 3), 0.05))


# --- windows ----------------------------------------------------------------------------------------------------------


def test_windows_in_seconds_of_equal_steps_are_windows_of_steps():
    members, delta_t = evidence(torch.randn(2, 11, D), 1 + torch.rand(2, 11, D)), torch.full((2, 11), 0.05)
    steps, seconds = StepWindows(4, 11, delta_t), TimeWindows(0.2, 4, delta_t)
    assert steps.count == seconds.count == 3
    close(seconds.pooled(members), steps.pooled(members))
    torch.testing.assert_close(seconds.time[0], steps.time, rtol=0, atol=1e-9)
    torch.testing.assert_close(seconds.lasted(delta_t), steps.lasted(delta_t), **EXACT)
    beliefs = some_belief(2, 3)
    close(seconds.spread(beliefs), steps.spread(beliefs))


def test_steps_of_any_length_fill_windows_and_too_long_ones_make_them_longer():
    uneven = torch.tensor([[0.05, 0.1, 0.05, 0.1, 0.1, 0.15]])
    assert TimeWindows(0.2, 1, uneven).member.argmax(dim=-1).tolist() == [[0, 0, 0, 1, 1, 2]]
    slow = TimeWindows(0.2, 3, torch.full((1, 7), 0.15))  # three steps at least, so longer than 0.2 s
    assert slow.member.argmax(dim=-1).tolist() == [[0, 0, 0, 1, 1, 1, 2]] and slow.count == 3
    torch.testing.assert_close(slow.lasted(torch.full((1, 7), 0.15)), torch.tensor([[0.45, 0.45, 0.15]]), **EXACT)
    exists = torch.tensor([[False, False, True, True, True, True]])
    late = TimeWindows(0.2, 1, torch.full((1, 6), 0.1), exists)  # begins with the third
    assert late.member.argmax(dim=-1).tolist() == [[0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize("window", [3, 7, 10, 30])
def test_windows_of_rows_that_begin_late_are_cut_where_those_of_the_rows_alone_are(window):
    exists = (torch.arange(603) >= 3).expand(1, -1)
    found = TimeWindows(window, window, torch.ones(1, 603), exists).member.argmax(dim=-1)[0, 3:]
    assert torch.equal(found, torch.arange(600) // window)


def test_windows_in_seconds_that_hold_fewer_steps_than_the_fewest_are_refused():
    given = {"windows": (3,), "fewest_steps": 4}
    with pytest.raises(
        ValueError, match=r"fewest_steps must be at most windows\[0\] = 3 where .* last for a time, got 4"
    ):
        MTS3Options(**given, form="flow_seconds")
    assert MTS3Options(**given, form="flow").fewest_steps == 4  # of no effect there


def test_a_model_in_seconds_at_its_own_rate_is_the_one_in_steps():
    sequence = torch.randn(2, 12, 2), torch.randn(2, 12, 1)
    given = {**SMALL, "windows": (2, 4), "task_feed": "prior"}
    steps = MTS3(2, 1, MTS3Options(**given, form="flow"))
    seconds = MTS3(2, 1, MTS3Options(**given, form="flow_seconds", fewest_steps=2))
    seconds.load_state_dict(steps.state_dict())
    delta_t = torch.full((2, 12), 0.05)
    found, expected = (model(*sequence, delta_t=delta_t).predicted for model in (seconds, steps))
    close(found[:2], expected[:2])
    other = [model(*sequence, delta_t=delta_t / 2).predicted.mean for model in (seconds, steps)]
    assert (other[0] - other[1]).abs().max() > 1e-6  # at another they are not


# --- memories ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [GRUMemory, LSTMMemory, CausalMemory])
def test_a_memory_looks_back_and_not_across_rows_that_do_not_exist(memory):
    model = RecurrentBaseline(2, 1, memory, memory_dim=8)
    observations, actions = torch.randn(3, 9, 2), torch.randn(3, 9, 1)
    exists = torch.tensor([False, False, False, True, True, True, True, True, True]).expand(3, 9)
    found = model(observations, actions, exists=exists)[0]
    close([found[:, 3:]], [model(observations[:, 3:], actions[:, 3:])[0]])
    later = torch.where(torch.arange(9)[:, None] == 6, observations + 1, observations)
    moved = (model(later, actions)[0] - model(observations, actions)[0]).abs().amax(dim=(0, 2))
    assert (moved[:6] < 1e-12).all() and (moved[6:] > 1e-9).all()
    unseen = torch.ones(3, 9, dtype=torch.bool) & (torch.arange(9) < 4)
    close(model(observations, actions, unseen)[:1], model(observations.masked_fill(~unseen[..., None], torch.nan),
                                                          actions, unseen)[:1])  # fmt: skip
    assert found.isfinite().all()


def test_slopes_are_those_of_alibi():
    found = CausalMemory(3, 8).blocks[0].attention
    torch.testing.assert_close(found.slopes, torch.tensor([1 / 4, 1 / 16, 1 / 64, 1 / 256]), **EXACT)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="memory_dim must be a multiple of num_heads = 4, got 10"):
        CausalMemory(3, 10)


# --- numbers made by hand ---------------------------------------------------------------------------------------------


def test_what_is_no_gaussian_is_refused_by_its_value():
    mean, one = torch.zeros(2 * D), torch.ones(D)
    close(checked_belief(mean, one, one, 0 * one), isotropic(D, 1.0, like=mean))
    for given, rule in (
        ((mean, 0 * one, one, 0 * one), "must be positive, got 0 and 0"),
        ((mean, one, one, 2 * one), "must be positive, got 1 and -3"),
        ((mean, one[:2], one, 0 * one), r"upper must be \(3,\) beside a mean \(6,\), got \(2,\)"),
        ((mean + torch.inf, one, one, 0 * one), "must be finite"),
    ):
        with pytest.raises(ValueError, match=rule):
            checked_belief(*given)


def test_evidence_of_no_variance_is_refused_and_a_row_that_is_all_masked_says_nothing():
    observed, variance = torch.randn(2, 4, D), torch.ones(2, 4, D)
    valid = torch.tensor([[True] * 4, [False] * 4])
    variance[1] = -1.0  # not counted
    members = evidence(observed, variance, valid)
    prior = some_belief(2)
    pooled = type(members)(*(x.sum(dim=-2) for x in members))
    found = condition(prior, pooled)
    close((x[1] for x in found), (x[1] for x in prior))
    assert (found.covariance[0, :D] < prior.covariance[0, :D]).all()
    for given, rule in (
        ((observed, variance), "variance must be positive and finite, got -1"),
        ((observed, 0 * variance, valid), "got 0"),
        ((observed, variance[:1]), r"variance must be \(2, 4, 3\) as observed is, got \(1, 4, 3\)"),
        ((observed, variance, valid.double()), r"valid must be \(2, 4\) of bool"),
    ):
        with pytest.raises(ValueError, match=rule):
            evidence(*given)
