"""What can be measured of one model on one log without any truth but the recorded rows.

Each doubt is tried as a change of what the model is asked: another clock, an older input, degrees made radians, one
Euler step of its field. What is wrong is what makes the error fall, so all errors stand side by side.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdlib.core.seeding import numpy_generator
from tdlib.core.specs import EnvironmentSpec, continued
from tdlib.data import TransitionDataset, recorded_histories
from tdlib.data.sources.stamps import StampReport, report_stamps
from tdlib.models.contract import Context
from tdlib.speed import Model, Query, has_memory, predict_queries

MARGIN = 3  # rows on both sides of one that is asked about, of the same episode
SHIFTS = tuple(i / 4 for i in range(-8, 9))  # of the inputs, in rows; above 0 the log's inputs come too early
STEPS = (0.5, 1.0, 2.0)  # in units of the log's interval
LIMIT_STEP = 1e-2  # of the interval; what the increment of a field is taken over
WINDOW = 10  # rows over which positions are compared with their velocities
KNOWN_NOISE = 0.5  # share of a change that is noise, above which a dimension says nothing of the model
FAR = 4.0  # squared error of a row over the squared change, above which rows count as equally wrong
PASTS = 512  # rows whose past is asked for, of models that remember
DEGREE = math.pi / 180
MAY_TURN = ("rad", "1", "m")  # units of positions that may be angles which nobody declared
FASTEST = 1.2  # [rad]; a usual change above, and a leap is not told from fast motion
EDGE, LEFT = 0.1, 2.0  # [rad]; how far an angle within one turn may lie outside of it, and what a leap may miss of one
ROTATION = ("rad", "rad/s", "deg", "deg/s")


@dataclass(frozen=True)
class Findings:
    """Numbers of one model on one log. Errors are relative to the recorded change: 0 is exact, 1 predicts no change.

    Args:
        rows: Rows that were asked about.
        stamps: What the log's clock says.
        label: Rate that somebody says it has [Hz]; nan if nobody did.
        delta_t: Median interval [s].
        spread: Standard deviation of the intervals over their median.
        train_delta_t: h, the step that the model was trained at [s]; nan if unknown.
        moving: Dimensions that change.
        clean: Those among them whose noise is less than half of their change.
        noise: Noise of one change over the change, by dimension; nan where nothing changes.
        error: Of the model as it is asked.
        floor: What noise makes of an error, at most: inputs that step with every row look like noise too.
        correlation: Of predicted and recorded changes.
        scale: Factor on the predicted changes that fits best.
        tried: Name -> error when the model is asked differently, or its answer scaled.
        sure: Name -> how many standard errors of the rows lie between `error` and what was tried; above 0 it is better.
        shift: Rows by which older inputs fit best, of `SHIFTS`; what was tried as "shifted".
        response: How much the increment grows from half a step to two, over the increment; 1.5 if it is proportional.
        defect: Difference of one step and two halves, over the recorded change; nan for models that remember.
        pace: Bounds of the change of positions over what their velocities make of the intervals; 1 where clock and
            units agree, nan without pairs.
        jumps: Share of rows in which a position that is no angle leaps from one end of a turn to the other, by name.
    """

    rows: int
    stamps: StampReport
    label: float
    delta_t: float
    spread: float
    train_delta_t: float
    moving: tuple[str, ...]
    clean: tuple[str, ...]
    noise: Mapping[str, float]
    error: float
    floor: float
    correlation: float
    scale: float
    tried: Mapping[str, float]
    sure: Mapping[str, float]
    shift: float
    response: float
    defect: float
    pace: tuple[float, float]
    jumps: Mapping[str, float]


@dataclass(frozen=True)
class _Rows:
    state: Tensor
    action: Tensor
    delta_t: Tensor
    next_state: Tensor
    shifted: Mapping[float, Tensor]  # inputs by shift
    context: Context | None


def measure(
    model: Model,
    dataset: TransitionDataset,
    *,
    train_delta_t: float | None = None,
    label: float | None = None,
    num_rows: int = 2048,
    seed: int = 0,
) -> Findings:
    """Ask a model about recorded rows in all ways at once.

    Args:
        model: One model, or any callable (state, action, delta_t) -> next state.
        dataset: A log that it was not trained on.
        train_delta_t: h [s]; by default the model's own, if it has one.
        label: Rate that the log is said to have [Hz].
        num_rows: Rows asked about, at most; drawn by the seed.
        seed: Decides which.

    Raises:
        ValueError: If the log is branched, or has no episode long enough to look around a row.
    """
    spec = dataset.spec
    known = train_delta_t if train_delta_t is not None else getattr(model, "train_delta_t", None)
    h = math.nan if known is None else float(known)
    rows = _draw(dataset, model, num_rows, seed)
    target = rows.next_state
    change = target - rows.state
    size = change.square().mean(dim=0).sqrt()
    moving = size > 1e-9 * rows.state.abs().amax(dim=0).clamp(min=1e-9)
    noise = torch.from_numpy(noise_of(dataset)) * math.sqrt(2) / size.clamp(min=1e-300)
    clean = moving & (noise < KNOWN_NOISE)
    used = clean if bool(clean.any()) else moving
    ask = _asker(model, rows)

    def squared(predicted: Tensor) -> Tensor:
        """Errors by row, (N,)."""
        apart = (continued(predicted, target, spec) - target) / size.clamp(min=1e-300)
        return apart[:, used].square().mean(dim=-1).nan_to_num(nan=math.inf)

    asked = ask(rows.state, rows.action, rows.delta_t)
    moved = continued(asked, rows.state, spec) - rows.state
    unit = size.clamp(min=1e-300)
    ours, theirs = (moved / unit)[:, used], (change / unit)[:, used]
    power = float(ours.square().sum())
    scale = float((ours * theirs).sum()) / power if power > 0 else 0.0
    correlation = float((ours * theirs).sum() / (ours.norm() * theirs.norm()).clamp(min=1e-300))
    typical = float(rows.delta_t.median())
    longer = (rows.delta_t / typical).unsqueeze(-1)
    answers = {"scaled": rows.state + scale * moved, "proportional": rows.state + scale * longer * moved}
    answers |= _asked_otherwise(ask, rows, spec)
    by_shift = {at: squared(ask(rows.state, action, rows.delta_t)) for at, action in rows.shifted.items()}
    shift = min(by_shift, key=lambda at: (float(by_shift[at].mean()), abs(at)), default=0.0)
    found = {name: squared(answer) for name, answer in answers.items()}
    found |= {"shifted": by_shift[shift]} if by_shift else {}
    own = squared(asked)
    steps = {factor: ask(rows.state, rows.action, factor * rows.delta_t) - rows.state for factor in STEPS}
    names = spec.state_names
    intervals = dataset.delta_t
    return Findings(
        rows=len(target),
        stamps=report_stamps([np.append(dataset.t[own], _end(dataset, own)) for own in _episodes(dataset)]),
        label=math.nan if label is None else float(label),
        delta_t=typical,
        spread=float(intervals.std() / np.median(intervals)),
        train_delta_t=h,
        moving=tuple(name for name, on in zip(names, moving, strict=True) if on),
        clean=tuple(name for name, on in zip(names, clean, strict=True) if on),
        noise={name: float(x) if on else math.nan for name, x, on in zip(names, noise, moving, strict=True)},
        error=_root(own),
        floor=float(noise[used].square().mean().sqrt()),
        correlation=correlation,
        scale=scale,
        tried={name: _root(errors) for name, errors in found.items()},
        sure={name: _standard_errors(own.clamp(max=FAR) - errors.clamp(max=FAR)) for name, errors in found.items()},
        shift=shift,
        response=_ratio(steps[2.0] - steps[0.5], steps[1.0], size, used),
        defect=math.nan if rows.context is not None else _root(_half_steps(ask, rows, asked, unit, used, spec)),
        pace=pace_of(dataset),
        jumps=jumps_of(dataset),
    )


def precision_of(model: Model) -> torch.dtype:
    """The precision that a model computes in: that of its weights; double where it has none."""
    weights = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.float64 if weights is None else weights.dtype


def noise_of(dataset: TransitionDataset) -> np.ndarray:
    """Standard deviation of white noise in every dimension, from differences that smooth motion hardly has, (D,).

    The fourth divided difference over the stamps is scaled to the noise's own deviation; that of motion shrinks with
    Δ⁴. The median over rows is taken, so that steps of an input, which show in a few rows, do not count. Motion whose
    period is a few rows counts too, so it is an upper bound.
    """
    found = []
    for own in _episodes(dataset):
        states = np.concatenate([dataset.state[own], dataset.next_state[own.stop - 1 : own.stop]])
        for i in dataset.spec.angle_dims:
            states[:, i] = np.unwrap(states[:, i])
        if len(states) > 4:
            found.append(np.abs(_fourth_differences(states, dataset.delta_t[own])))
    if not found:
        return np.zeros(dataset.spec.state_dim)
    typical = 0.6745  # the median of |z|
    return np.median(np.concatenate(found), axis=0) / typical


def _fourth_differences(states: np.ndarray, delta_t: np.ndarray) -> np.ndarray:
    """Divided differences over five rows whose weights have the norm 1: (T + 1, D), (T,) -> (T − 3, D)."""
    times = np.concatenate([[0.0], np.cumsum(delta_t)])
    count = len(states) - 4
    stamps = np.stack([times[i : i + count] for i in range(5)])  # (5, T - 3)
    apart = stamps[:, None] - stamps[None] + np.eye(5)[..., None]
    relative = apart / np.abs(apart).max(axis=(0, 1))  # only ratios count
    relative[np.arange(5), np.arange(5)] = 1.0
    weights = 1 / relative.prod(axis=1)
    weights /= np.linalg.norm(weights, axis=0)
    return sum(weights[i, :, None] * states[i : i + count] for i in range(5))


def pace_of(dataset: TransitionDataset) -> tuple[float, float]:
    """Bounds of how far positions go over how far velocities say they go, pooled over pairs.

    Regressed both ways, since noise pulls either slope to zero: the truth lies between. Angles may turn. Sums over rows
    and over every second row tell what curvature takes off them (Richardson); half of that stays as a doubt.
    """
    spec = dataset.spec
    if not spec.position_dims:
        return math.nan, math.nan
    products, bent = np.zeros(3), np.zeros(2)
    for own in _episodes(dataset):
        states = np.concatenate([dataset.state[own], dataset.next_state[own.stop - 1 : own.stop]])
        for i in spec.angle_dims:
            states[:, i] = np.unwrap(states[:, i])
        if len(states) <= WINDOW:
            continue
        for position, velocity in zip(spec.position_dims, spec.velocity_dims, strict=True):
            plain, told = _travels(states[:, velocity], dataset.delta_t[own])
            gone = states[WINDOW:, position] - states[:-WINDOW, position]
            unit = max(float(np.mean(gone**2)), 1e-300)
            products += np.array([gone @ gone, gone @ told, told @ told]) / unit / len(gone)
            bent += np.array([(told - plain) @ told, told @ told]) / unit / len(gone)
    if not products.all() or products[1] <= 0:
        return math.nan, math.nan
    slopes = sorted((products[1] / products[2], products[0] / products[1]))
    doubt = min(abs(bent[0] / bent[1]) / 2, 1.0)
    return float(slopes[0]) * (1 - doubt), float(slopes[1]) * (1 + doubt)


def _travels(velocity: np.ndarray, delta_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What velocities (T + 1,) make of each `WINDOW` intervals: by trapezoids, and freed from their curvature."""
    every = np.convolve(delta_t * (velocity[1:] + velocity[:-1]) / 2, np.ones(WINDOW), mode="valid")
    pairs = (delta_t[1:] + delta_t[:-1]) * (velocity[2:] + velocity[:-2]) / 2  # from row k to k + 2
    alternate = np.zeros(WINDOW - 1)
    alternate[::2] = 1.0
    second = np.convolve(pairs, alternate, mode="valid")
    return every, every + (every - second) / 3


def jumps_of(dataset: TransitionDataset) -> dict[str, float]:
    """Share of rows in which a position that is no angle leaps from one end of a turn to the other.

    A wrapped angle stays within one turn, from −π or from 0, and what is left of a leap is a usual motion. Meters are
    looked at too, since an import takes them where nobody named a unit.
    """
    spec, turn = dataset.spec, 2 * math.pi
    found = {}
    for i, (name, unit) in enumerate(zip(spec.state_names, spec.state_units, strict=True)):
        if i in spec.angle_dims or i in spec.velocity_dims or unit not in MAY_TURN or not len(dataset):
            continue
        start, end = dataset.state[:, i], dataset.next_state[:, i]
        lowest, highest = (float(f(np.concatenate([start, end]))) for f in (np.min, np.max))
        within = any(low - EDGE <= lowest and highest <= low + turn + EDGE for low in (-math.pi, 0.0))
        size = np.abs(end - start)
        usual = size[size < turn - LEFT]
        most = float(np.quantile(usual, 0.95)) if len(usual) else math.inf
        if not within or most > FASTEST:
            continue
        leaps = np.abs(size - turn) < min(LEFT, EDGE + 1.5 * most)
        if leaps.any() and leaps.mean() < 0.2:
            found[name] = float(leaps.mean())
    return found


def _asked_otherwise(ask: Callable[..., Tensor], rows: _Rows, spec: EnvironmentSpec) -> dict[str, Tensor]:
    """Answers when states are given in other units, angles wrapped, or the field takes one Euler step."""
    found = {}
    turning = [i for i, unit in enumerate(spec.state_units) if unit in ROTATION or i in spec.angle_dims]
    positions = [i for i in turning if i in spec.position_dims]
    for name, factor in (("degrees in the log", DEGREE), ("degrees in the model", 1 / DEGREE)):
        for which, dims in (("", turning), (", positions", positions)):
            if dims:
                at = torch.ones(spec.state_dim, dtype=rows.state.dtype)
                at[dims] = factor
                found[name + which] = ask(rows.state * at, rows.action, rows.delta_t) / at
    wrapped = rows.state.clone()
    for i in (*spec.angle_dims, *positions):
        wrapped[:, i] = torch.remainder(rows.state[:, i] + math.pi, 2 * math.pi) - math.pi
    found["wrapped"] = ask(wrapped, rows.action, rows.delta_t) + rows.state - wrapped
    small = LIMIT_STEP * rows.delta_t
    field = (ask(rows.state, rows.action, small) - rows.state) / LIMIT_STEP
    found["euler"] = rows.state + field
    return found


def _half_steps(
    ask: Callable[..., Tensor], rows: _Rows, asked: Tensor, unit: Tensor, used: Tensor, spec: EnvironmentSpec
) -> Tensor:
    half = rows.delta_t / 2
    twice = ask(ask(rows.state, rows.action, half), rows.action, half)
    return ((continued(twice, asked, spec) - asked) / unit)[:, used].square().mean(dim=-1)


def _asker(model: Model, rows: _Rows) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    precision = precision_of(model)

    def ask(state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        query = Query(state[None], action[None, :, None], delta_t[None, :, None], rows.context)
        try:
            (found,) = predict_queries(model, [query], dtype=precision)
            answer = found[0, :, -1]
        except Exception as error:  # somebody's own code
            raise ValueError(_refusal(state, action, f"{type(error).__name__}: {error}")) from error
        if answer.shape != state.shape:
            raise ValueError(_refusal(state, action, f"an answer {tuple(answer.shape)}"))
        return answer

    return ask


def _refusal(state: Tensor, action: Tensor, got: str) -> str:
    given = f"state {tuple(state.shape)}, action {tuple(action.shape)} and delta_t {tuple(state.shape[:1])}"
    return f"model must answer {given} with the next state {tuple(state.shape)}, got {' '.join(got.split())}"


def _draw(dataset: TransitionDataset, model: Model, num_rows: int, seed: int) -> _Rows:
    if dataset.kind != "episodes":
        raise ValueError(f"dataset must be of kind 'episodes', got {dataset.kind!r}")
    inside = [np.arange(own.start + MARGIN, own.stop - MARGIN) for own in _episodes(dataset)]
    every = np.concatenate(inside) if inside else np.zeros(0, dtype=int)
    if not len(every):
        longest = int(dataset.episode_lengths.max())
        raise ValueError(f"dataset must have an episode of more than {2 * MARGIN} rows, got at most {longest}")
    remembers = has_memory(model)
    count = min(num_rows, PASTS) if remembers else num_rows
    chosen = np.sort(numpy_generator(seed, "doctor").permutation(every)[:count])
    context = None
    if remembers:
        past = recorded_histories(dataset, chosen)
        context = Context(past.states, past.actions, past.delta_t, past.mask).map(lambda x: x.unsqueeze(0))

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))

    return _Rows(
        tensor(dataset.state[chosen]),
        tensor(dataset.action[chosen]),
        tensor(dataset.delta_t[chosen]),
        tensor(dataset.next_state[chosen]),
        {} if dataset.spec.discrete else {shift: tensor(_older(dataset.action, chosen, shift)) for shift in SHIFTS},
        context,
    )


def _older(actions: np.ndarray, rows: np.ndarray, shift: float) -> np.ndarray:
    """Mean of what acted in the intervals that begin `shift` rows earlier."""
    whole = math.floor(shift)
    share = shift - whole
    return (1 - share) * actions[rows - whole] + share * actions[rows - whole - 1]


def _episodes(dataset: TransitionDataset) -> Sequence[slice]:
    return [dataset.episode(i) for i in range(dataset.num_episodes)]


def _end(dataset: TransitionDataset, own: slice) -> float:
    return float(dataset.t[own.stop - 1] + dataset.delta_t[own.stop - 1])


def _root(squares: Tensor) -> float:
    return float(squares.mean().sqrt())


def _standard_errors(difference: Tensor) -> float:
    """Mean over its standard error, 0 where nothing differs."""
    spread = float(difference.std())
    return float(difference.mean()) / spread * math.sqrt(len(difference)) if spread > 0 else 0.0


def _ratio(part: Tensor, whole: Tensor, size: Tensor, used: Tensor) -> float:
    found = (x[:, used] / size[used] for x in (part, whole))
    above, below = (float(x.square().mean().sqrt()) for x in found)
    return above / below if below > 0 else math.nan
