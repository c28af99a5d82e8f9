"""Milliseconds per step of MTS3 in training: `python tests/benchmarks/run.py --only mts3`.

A step of ours is the trainer's: drawing sequences and masks, forward, likelihood, backward, clipping, Adam. The peer is
the model step by step as published (`mts3_peers`), on a batch that lies ready. How slow may it be? Its own row says: it
takes 3.8 to 4.6 times as long as `nn.GRU` between encoders of the same kind, which is what the official code takes.
"""

import dataclasses

import harness
import mts3_peers as peers
import torch
from bench_training import CHUNK, UNIT, recorded_steps
from torch import Tensor, nn

from tdlib.core.seeding import torch_generator
from tdlib.core.specs import EnvironmentSpec
from tdlib.core.transitions import Transitions
from tdlib.models import build_model
from tdlib.models.beliefs import MTS3, MTS3Options
from tdlib.study.arms import Arm
from tdlib.training import Budget, Trial
from tdlib.training.run import Learner, StackRun

BATCH, LENGTH, WINDOW = 32, 90, 30
OBSERVATION, ACTION = 9, 4  # the mobile robot's, for which the official code was timed
OPTIONS = MTS3Options(windows=(WINDOW,), sequence_length=LENGTH, mask_window=WINDOW)
PATH, GOAL = "tdlib.models.families.mts3:MTS3Model", 3.0
GRU_WORDS = "nn.GRU baseline (a fair peer takes 3.8-4.6 times as long)"
LENGTHS = (90, 180, 360)  # steps whose memory is compared
SPEC = EnvironmentSpec(
    name="benchmark", state_names=tuple(f"x{i}" for i in range(OBSERVATION)), state_units=("1",) * OBSERVATION,
    angle_dims=(), position_dims=(), velocity_dims=(), input_names=tuple(f"u{i}" for i in range(ACTION)),
    input_units=("1",) * ACTION, input_low=(-1.0,) * ACTION, input_high=(1.0,) * ACTION, reward_delta_t=0.1,
)  # fmt: skip


def sequences(batch: int, length: int, window: int = WINDOW) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Numbers to train on, of which every second window is masked and one observation in seven; and their targets."""
    g = torch.Generator().manual_seed(0)
    observations, actions = (torch.randn(batch, length, n, generator=g) for n in (OBSERVATION, ACTION))
    seen = torch.rand(batch, length, generator=g) >= 0.15
    seen &= (torch.arange(length) // window % 2 == 0).expand_as(seen)
    return (observations, actions, seen), torch.randn(batch, length, OBSERVATION, generator=g)


def network(length: int = LENGTH) -> MTS3:
    """Return an MTS3 of the published widths."""
    torch.manual_seed(0)
    return MTS3(OBSERVATION, ACTION, dataclasses.replace(OPTIONS, sequence_length=length))


def trainer(count: int) -> StackRun:
    """A stack of `count` models in the library's trainer; what the inputs are embedded in is as long as they are."""
    g = torch.Generator().manual_seed(0)
    rows, episode = 20 * LENGTH * BATCH, 2 * LENGTH
    state, action = torch.randn(rows, OBSERVATION, generator=g), 2 * torch.rand(rows, ACTION, generator=g) - 1
    data = Transitions(state, action, state.roll(-1, dims=0), torch.full((rows,), 0.1))
    offsets, learners = [torch.arange(0, rows + 1, episode)], []
    arm = Arm(PATH, "baseline", train_frequency="10")
    given = {field.name: getattr(OPTIONS, field.name) for field in dataclasses.fields(OPTIONS)}
    for seed in range(count):
        model = build_model(PATH, SPEC, seed=seed, **given | {"action_embedding_dim": ACTION - 1})  # and Δt
        model.fit_scales(data)
        trial = Trial(arm, seed, model, [data], [data], offsets, offsets)
        learners.append(Learner(trial, model, *(torch_generator(seed, name) for name in ("batches", "validation"))))
    budget = Budget(10_000, peers.RATE, batch_size=BATCH * LENGTH, clip=peers.CLIP)
    return StackRun(learners, budget, "cpu")


def saved_megabytes(length: int, batch: int = BATCH) -> float:
    """Memory that one forward pass keeps for its gradient [MB], every storage counted once."""
    model, ((observations, actions, seen), _) = network(length), sequences(batch, length)
    sizes: dict[int, int] = {}
    kept: list[Tensor] = []  # so that no address is used twice

    def count(x: Tensor) -> Tensor:
        kept.append(x)
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        model(observations, actions, seen)
    return (sum(sizes.values()) - sum(x.nbytes for x in model.parameters())) / 1e6


def rows(device: str = "cpu", quick: bool = False) -> list[harness.Row]:
    """Measure every case; one thread of the processor."""
    repeats = 2 if quick else 5
    batch, stepwise = sequences(BATCH, LENGTH), peers.Stepwise(network())
    sizes, name = f"B {BATCH}, T {LENGTH}", "MTS3 step by step"
    gru = peers.gru_baseline(OBSERVATION, ACTION)

    def against(title: str, ours: object, count: int, goal: float | None) -> harness.Row:
        peer = peers.training_step(stepwise, *batch)
        about = {"unit": UNIT, "peer_name": name, "goal": goal, "repeats": repeats if count == 1 else min(repeats, 3)}
        return harness.compare(f"train {title}, {sizes}", ours, peer, count=count, peer_count=1, **about)

    def alone(model: nn.Module) -> object:
        return peers.training_step(model, *batch)

    return [
        against(GRU_WORDS, alone(gru), 1, None),
        against("mts3, the network alone", alone(network()), 1, GOAL),
        *(against(f"mts3, the trainer, stack of {k}", recorded_steps(trainer(k), 1), k * CHUNK, GOAL) for k in (1, 5)),
        *(_memory_row(length) for length in LENGTHS),
    ]


def _memory_row(length: int) -> harness.Row:
    found = saved_megabytes(length)
    return harness.Row(f"mts3, kept for the gradient, B {BATCH}, T {length}", found, None, "MB", None, None,
                       torch.get_num_threads(), "cpu")  # fmt: skip
