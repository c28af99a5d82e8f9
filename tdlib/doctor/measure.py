"""What can be measured of one model on one log without any truth but the recorded rows.

Each doubt is tried as a change of what the model is asked: another clock, an older input, degrees made radians, one
Euler step of its field. What is wrong is what makes the error fall, so all errors stand side by side.
"""

import math

import numpy as np
import torch
from torch import Tensor

from tdlib.core.specs import continued
from tdlib.data import TransitionDataset
from tdlib.doctor.ask import OTHER_STEPS, asked_otherwise, asker, half_steps
from tdlib.doctor.bursts import was_even
from tdlib.doctor.findings import Findings
from tdlib.doctor.leaps import jumps_of
from tdlib.doctor.noise import noise_of
from tdlib.doctor.pace import pace_of
from tdlib.doctor.rows import clock_of, draw, evened
from tdlib.speed import Model

STEPS = (0.5, 1.0, 2.0)  # in units of the log's interval
KNOWN_NOISE = 0.5  # share of a change that is noise, above which a dimension says nothing of the model
FAR = 4.0  # squared error of a row over the squared change, above which rows count as equally wrong


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
    rows, stamps = draw(dataset, model, num_rows, seed), clock_of(dataset)
    refused: dict[str, str] = {}
    even = bool(stamps.bursts) and was_even(dataset)
    target = rows.next_state
    change = target - rows.state
    size = change.square().mean(dim=0).sqrt()
    moving = size > 1e-9 * rows.state.abs().amax(dim=0).clamp(min=1e-9)
    noise = torch.from_numpy(noise_of(evened(dataset) if even else dataset)) * math.sqrt(2) / size.clamp(min=1e-300)
    clean = moving & (noise < KNOWN_NOISE)
    used = clean if bool(clean.any()) else moving
    ask = asker(model, rows, refused)

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
    typical = 1 / stamps.rate
    longer = (rows.delta_t / typical).unsqueeze(-1)
    answers = {"scaled": rows.state + scale * moved, "proportional": rows.state + scale * longer * moved}
    answers |= asked_otherwise(ask, rows, spec, even=typical if even else None)
    by_shift = {at: squared(ask(rows.state, action, rows.delta_t, "shifted")) for at, action in rows.shifted.items()}
    shift = min(by_shift, key=lambda at: (float(by_shift[at].mean()), abs(at)), default=0.0)
    found = {name: squared(answer) for name, answer in answers.items()}
    found |= {"shifted": by_shift[shift]} if by_shift else {}
    own = squared(asked)
    steps = {factor: ask(rows.state, rows.action, factor * rows.delta_t, OTHER_STEPS) - rows.state for factor in STEPS}
    names = spec.state_names
    intervals = dataset.delta_t
    return Findings(
        rows=len(target),
        stamps=stamps,
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
        defect=math.nan if rows.context is not None else _root(half_steps(ask, rows, asked, unit, used, spec)),
        pace=pace_of(dataset),
        jumps=jumps_of(dataset),
        refused=refused,
        even=even,
    )


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
