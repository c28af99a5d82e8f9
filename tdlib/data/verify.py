"""Check collected data: learning, coverage, limits, NaN, outliers, statistics, and truth of the transitions.

By hand, for one file or every set below a folder (exit code 1 if a check fails):

    python -m tdlib.data.verify PATH [--require-gain]
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tdlib.core.facts import CONTEXT_STEPS
from tdlib.core.specs import state_difference
from tdlib.data.schema import DatasetError, TransitionDataset, check_dataset
from tdlib.data.splits import SPLITS
from tdlib.data.storage import load_dataset
from tdlib.systems import SYSTEMS

NUM_FLOWS = 2000  # transitions whose flow is computed again
FLOW_TOLERANCE = 1e-9
OUTLIER_RANGES = 10.0  # times the 1 to 99 % range; quartiles are too narrow where inputs are two-valued
MIN_COVERAGE, MIN_ROWS = 0.1, 1000
MAX_LIMIT_HITS = 0.3
MAX_SHORT = 0.3  # of the rows of a set whose inputs we choose
RETURN_CHECK = "return over time"
GRID = 12  # cells per axis of the coverage grid
CONFIDENCE = 0.95
NUM_RESAMPLES = 2000


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Args:
        check: What was looked at.
        ok: Whether the rule holds; None for a value that is only reported.
        value: What was found.
        rule: What must hold.
    """

    check: str
    ok: bool | None
    value: str
    rule: str


def returns_over_time(dataset: TransitionDataset, parts: int = 5) -> list[dict[str, float]]:
    """Mean return of the complete episodes that end in each part of the collection, with a 95 % bootstrap interval.

    Returns:
        One row per part: `part` (fraction of the transitions at its end), `mean`, `ci_low`, `ci_high`, `n`.
    """
    ends = dataset.episode_offsets[1:] / len(dataset)
    returns, complete = dataset.episode_returns, dataset.episode_complete
    generator = np.random.default_rng(0)
    rows = []
    for k in range(parts):
        chosen = returns[complete & (ends > k / parts) & (ends <= (k + 1) / parts)]
        row = {"part": (k + 1) / parts, "mean": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": len(chosen)}
        if len(chosen):
            low, high = np.quantile(_resampled_means(chosen, generator), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            row |= {"mean": float(chosen.mean()), "ci_low": float(low), "ci_high": float(high)}
        rows.append(row)
    return rows


def has_gain(rows: list[dict[str, float]]) -> bool:
    """Whether the return rose: the interval of the last part lies above the mean of the first."""
    return bool(rows[-1]["ci_low"] > rows[0]["mean"])


def coverage(dataset: TransitionDataset) -> dict[str, float]:
    """Share of occupied cells of a 12 × 12 grid over each (position, velocity) plane.

    The grid spans the 0.5 to 99.5 percentiles; a set on a line covers about one cell in twelve.
    """
    spec, shares = dataset.spec, {}
    for position, velocity in zip(spec.position_dims, spec.velocity_dims, strict=True):
        plane = dataset.state[:, [position, velocity]]
        low, high = np.quantile(plane, 0.005, axis=0), np.quantile(plane, 0.995, axis=0)
        inside = ((plane >= low) & (plane <= high)).all(axis=1)
        x, y = plane[inside].T
        counts, _, _ = np.histogram2d(x, y, bins=GRID, range=np.stack([low, high + 1e-12], axis=1))
        shares[spec.state_names[position]] = float((counts > 0).mean())
    return shares


def outliers(dataset: TransitionDataset) -> np.ndarray:
    """Rows whose rate of change (x' − x)/Δt lies ten times the 1 to 99 % range beyond that range, (N,) bool."""
    rate = (dataset.next_state - dataset.state) / dataset.delta_t[:, None]
    low, high = np.quantile(rate, [0.01, 0.99], axis=0)
    margin = OUTLIER_RANGES * np.maximum(high - low, 1e-9)
    return ((rate < low - margin) | (rate > high + margin)).any(axis=1)


def short_share(dataset: TransitionDataset, num_steps: int = CONTEXT_STEPS) -> float:
    """Share of the rows that lie in episodes of fewer steps than a context holds; no window covers these."""
    lengths = dataset.episode_lengths
    return float(lengths[lengths < num_steps].sum() / len(dataset))


def flow_error(dataset: TransitionDataset, num_samples: int = NUM_FLOWS, seed: int = 0) -> float:
    """Largest difference between stored `next_state` and the flow of (state, action, Δt), over a sample of rows."""
    rows = np.random.default_rng(seed).choice(len(dataset), min(num_samples, len(dataset)), replace=False)
    state, action, delta_t = (torch.from_numpy(c[rows]) for c in (dataset.state, dataset.action, dataset.delta_t))
    of_rows = dataset.row_parameters
    drawn = None if of_rows is None else torch.from_numpy(of_rows[rows])
    truth = SYSTEMS[dataset.spec.name].flow(state, action, delta_t, drawn)
    return float((torch.from_numpy(dataset.next_state[rows]) - truth).abs().max())


def continuity_error(dataset: TransitionDataset) -> float:
    """Largest wrapped difference between a row's `next_state` and the following row's `state` inside episodes."""
    same = np.ones(len(dataset) - 1, dtype=bool)
    same[dataset.episode_offsets[1:-1] - 1] = False
    if not same.any():
        return 0.0
    following, reached = torch.from_numpy(dataset.state[1:][same]), torch.from_numpy(dataset.next_state[:-1][same])
    return float(state_difference(following, reached, dataset.spec).abs().max())


def verify_dataset(
    dataset: TransitionDataset, *, require_gain: bool = False, require_long: bool = False
) -> list[Finding]:
    """Apply every check to one set.

    Args:
        dataset: Whole set or split.
        require_gain: Demand that the return rises from the first to the last fifth of the collection (PPO sets of a
            long enough collection); otherwise the gain is only reported.
        require_long: Demand that few rows lie in episodes shorter than a context (sets under inputs that a system
            declares); otherwise their share is only reported.

    Returns:
        Findings; `all(f.ok is not False for f in findings)` means that the set passes.
    """
    try:
        check_dataset(dataset)
    except DatasetError as error:
        return [Finding("schema, shapes, NaN", False, str(error), "every field finite and of its shape")]
    findings = [Finding("schema, shapes, NaN", True, f"{len(dataset)} rows", "every field finite and of its shape")]
    findings += _statistics(dataset)
    if dataset.kind == "episodes":
        findings += _returns(dataset, require_gain)
        short, rule = short_share(dataset), f"<= {MAX_SHORT} in episodes under {CONTEXT_STEPS} steps"
        judged = short <= MAX_SHORT if require_long and len(dataset) >= MIN_ROWS else None
        findings.append(Finding("rows in short episodes", judged, f"{short:.3f}", rule if require_long else "reported"))
        jump = continuity_error(dataset)
        findings.append(Finding("continuity", jump <= FLOW_TOLERANCE, f"{jump:.1e}", f"<= {FLOW_TOLERANCE:g}"))
    if dataset.spec.name in SYSTEMS:
        wrong = flow_error(dataset)
        rule = f"next_state = flow(state, action, delta_t) to {FLOW_TOLERANCE:g}"
        findings.append(Finding("truth", wrong <= FLOW_TOLERANCE, f"{wrong:.1e}", rule))
    return findings


def _statistics(dataset: TransitionDataset) -> list[Finding]:
    spec, findings = dataset.spec, []
    for name, share in coverage(dataset).items():
        ok = share >= MIN_COVERAGE if len(dataset) >= MIN_ROWS else None  # a few rows cannot fill a grid
        rule = f">= {MIN_COVERAGE} of a {GRID} x {GRID} grid of {name} and its velocity, from {MIN_ROWS} rows on"
        findings.append(Finding(f"coverage of {name}", ok, f"{share:.2f}", rule))
    hits = float(dataset.limit_hit.mean())
    rule = f"<= {MAX_LIMIT_HITS} of the rows, of systems without impacts"
    known = SYSTEMS.get(spec.name)
    ok = None if known is not None and known.contact is not None else hits <= MAX_LIMIT_HITS  # impacts are its physics
    findings.append(Finding("limit hits", ok, f"{hits:.4f}", rule))
    count = int(outliers(dataset).sum())
    rule = f"none more than {OUTLIER_RANGES:g} times the 1 to 99 % range of the rate of change beyond it"
    findings.append(Finding("outliers", count == 0, str(count), rule))
    names, low, high = spec.input_names, spec.input_low, spec.input_high
    if spec.num_actions is not None:
        names, low, high = ("index",), (0,), (spec.num_actions - 1,)
    whole = not spec.discrete or bool((dataset.action % 1 == 0).all())
    for name, smallest, largest, column in zip(names, low, high, dataset.action.T, strict=True):
        found = float(column.min()), float(column.max())
        inside = smallest - 1e-9 <= found[0] and found[1] <= largest + 1e-9
        check = "actions" if len(names) == 1 else f"actions, {name}"
        rule = f"in {smallest:g} .. {largest:g}"
        findings.append(Finding(check, inside and whole, f"{found[0]:g} .. {found[1]:g}", rule))
    if spec.name in SYSTEMS:
        system = SYSTEMS[spec.name]
        drawn = None if dataset.parameters is None else torch.from_numpy(dataset.row_parameters)
        left = int(system.outside(torch.from_numpy(dataset.state), drawn).sum())
        findings.append(Finding("starts inside limits", left == 0, str(left), "no transition starts after the exit"))
        if system.state_limits is not None:
            low, high = np.array(system.state_limits).T
            excess = float(np.maximum(dataset.next_state - high, low - dataset.next_state).max())
            findings.append(Finding("state limits", excess <= 1e-9, f"{excess:.2g} above", "no state beyond its limit"))
    std = dataset.state.std(axis=0)
    spread = ", ".join(f"{name} {value:.3g}" for name, value in zip(spec.state_names, std, strict=True))
    findings.append(Finding("spread", bool((std > 1e-4).all()), spread, "std of every state dimension > 1e-4"))
    return findings


def _returns(dataset: TransitionDataset, require_gain: bool) -> list[Finding]:
    rows = returns_over_time(dataset)
    text = ", ".join(f"{row['mean']:.0f} (n {row['n']})" for row in rows)
    rule = "interval of the last fifth above the mean of the first" if require_gain else "reported"
    return [Finding(RETURN_CHECK, has_gain(rows) if require_gain else None, text, rule)]


def _resampled_means(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.array([generator.choice(values, len(values)).mean() for _ in range(NUM_RESAMPLES)])


def verify_files(path: Path | str, *, require_gain: bool = False) -> dict[str, list[Finding]]:
    """Check one file, or every set below a folder; splits of one file must not share episodes.

    `require_gain` applies to whole sets that PPO collected, whose names start with `final_dataset`.

    Raises:
        ValueError: If there is nothing to check.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*.h5") if not p.name.startswith("."))
    if not files:
        raise ValueError(f"path must be a data file or a folder with .h5 files, got {str(path)!r}")
    findings: dict[str, list[Finding]] = {}
    episodes: dict[Path, dict[str, set]] = {}
    for file in files:
        split = next((s for s in SPLITS if file.stem.endswith(s)), None)
        whole_ppo = split is None and file.name.startswith("final_dataset")
        label = str(file.relative_to(path)) if file != path else file.name
        try:
            dataset = load_dataset(file)
        except DatasetError as error:
            findings[label] = [Finding("readable", False, str(error), "complete file of this schema")]
            continue
        findings[label] = verify_dataset(dataset, require_gain=require_gain and whole_ppo)
        if split is not None:
            whole = file.parent / (file.stem.removesuffix(split) or "*")
            episodes.setdefault(whole, {})[split] = _identities(dataset)
    for stem, parts in episodes.items():
        if len(parts) > 1:
            shared = sum(len(ids) for ids in parts.values()) - len(set().union(*parts.values()))
            name = str(stem.relative_to(path) if path.is_dir() else stem.name).rstrip("_*/") or "."
            finding = Finding("splits", shared == 0, f"{shared} shared", "no episode in two splits")
            findings[f"{name}: splits"] = [finding]
    return findings


def _identities(dataset: TransitionDataset) -> set:
    """What two splits must not share: numbers of episodes, or the starts of branches."""
    if dataset.kind == "branched":
        return {start.tobytes() for start in dataset.state[dataset.episode_offsets[:-1]]}
    return set(dataset.episode_id.tolist())


def report(findings: dict[str, list[Finding]]) -> str:
    """Write findings as text, one line per check."""
    marks = {True: "ok  ", False: "FAIL", None: "    "}
    lines = []
    for name, found in findings.items():
        lines += [name, *(f"  {marks[f.ok]} {f.check}: {f.value}  [{f.rule}]" for f in found)]
    return "\n".join(lines) + "\n"


def passed(findings: dict[str, list[Finding]]) -> bool:
    """Whether no check failed."""
    return all(f.ok is not False for found in findings.values() for f in found)


def main(arguments: list[str] | None = None) -> int:
    """Check files from the command line; 0 if all checks pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="data file, or folder that is searched for .h5 files")
    parser.add_argument("--require-gain", action="store_true", help="the return of PPO sets must rise")
    parser.add_argument("--json", action="store_true", help="write findings as JSON")
    options = parser.parse_args(arguments)
    try:
        findings = verify_files(options.path, require_gain=options.require_gain)
    except ValueError as error:
        parser.error(str(error))
    as_json = {name: [asdict(f) for f in found] for name, found in findings.items()}
    sys.stdout.write(json.dumps(as_json, indent=1) + "\n" if options.json else report(findings))
    return 0 if passed(findings) else 1


if __name__ == "__main__":
    sys.exit(main())
