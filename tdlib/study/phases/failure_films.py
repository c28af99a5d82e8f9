"""How dynamics fail, each way once as a short film: from the rollouts and episodes that a run has stored.

Which environment, seed and start a film shows is computed: the median, or the extreme, of a score over all rollouts of
an arm. A run without the arm, or without such a failure, says so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tdlib.core.facts import FINEST, TRAIN_RATES, TRANSITIONS
from tdlib.evaluation import Rollouts, load_episodes, load_rollouts, stored_rates
from tdlib.evaluation.tables import ARM_COLUMNS
from tdlib.figures import SavedVideo, save_rollout_video
from tdlib.figures.selection import MAIN_RATE, field_arms, main_model
from tdlib.figures.style import arm_label
from tdlib.models import MODELS
from tdlib.study import clock
from tdlib.study.arms import DEFAULT_SIZE
from tdlib.study.phases.control_kept import episodes_path
from tdlib.study.phases.evaluate import rollouts_path
from tdlib.study.provenance import produced
from tdlib.study.run import Missing, Run
from tdlib.systems import SYSTEMS, System

TABLE = "failures"  # of results/metrics: which film shows what, and by which rule it was chosen
COARSEST = TRAIN_RATES[0]
DIVERGED = 10.0  # a rollout that misses by so many true changes, or is not finite
OUTSIDE = 1e3  # where a prediction that is not finite is drawn
Score = Callable[[System, Rollouts], np.ndarray]  # (K, S), of every member and start; nan where it has none


@dataclass(frozen=True)
class Failure:
    """One way to fail, and which rollouts show it.

    Args:
        name: End of the file's name.
        title: What it is called.
        cause: Why it happens, one sentence.
        score: What orders the rollouts; None where episodes show it.
        unit: What a score is, in words.
        pick: "median", "largest" or "smallest" of the scores.
        arm: (model, method, form, training rate); None where the tables say which arm.
        rate: Test rate [Hz].
    """

    name: str
    title: str
    cause: str
    score: Score | None = None
    unit: str = ""
    pick: str = "largest"
    arm: tuple[str, str, str, str] | None = None
    rate: str = FINEST


def failures() -> list[Failure]:
    """Return the ways to fail that open-loop rollouts show; the arms are those of the registry."""
    missed, gained = "times the true change missed at the end", "spreads of the true energies gained against the truth"
    map_of = (main_model(), "baseline", "none")
    euler = next((arm for arm in field_arms() if arm[2] == "euler"), ("none", "ode", "euler", MAIN_RATE))
    remembers = next((name for name, family in MODELS.items() if family.remembers), "none")
    return [
        Failure("too_fast", "Too fast", "A map moves by its own step whatever is asked; asked more often, it runs "
                "ahead of time.", end_error, missed, "median", (*map_of, MAIN_RATE), FINEST),
        Failure("too_slow", "Too slow", "The same map asked less often lags behind the truth.", end_error, missed,
                "median", (*map_of, MAIN_RATE), COARSEST),
        Failure("spurious_damping", "Spurious damping", "A field trained through coarse Euler steps has absorbed their "
                "error; stepped finely, it loses energy that the system keeps.", energy_gain, gained, "smallest",
                (*euler[:3], COARSEST), FINEST),
        Failure("energy_gain", "Energy gain", "An Euler step that is coarser than the one it was trained through "
                "feeds energy in: repeated, it is unstable.", energy_gain, gained, "largest",
                (*euler[:3], FINEST), COARSEST),
        Failure("memory_lag", "Lag of a memory", "A recurrent state counts steps, not seconds: fed at another rate, it "
                "expects the motion of its own.", end_error, missed, "median",
                (remembers, "baseline", "none", MAIN_RATE), FINEST),
    ]  # fmt: skip


@clock.part("figures")
def film_failures(run: Run, tables: Mapping[str, pd.DataFrame]) -> list[SavedVideo | Missing]:
    """Film every way to fail that this run has, and write which is shown and why into `failures.csv`.

    Rows of seeds that earlier runs made are passed over: what they moved through is not stored here.

    Args:
        run: Preset and folders.
        tables: Merged result tables; `rollout_errors` says what diverged, `control_performance` where the planner is at
            its limit.
    """
    films: list[SavedVideo | Missing] = []
    rows = []
    own = {name: table[table["seed"].isin(run.preset.own_seeds)] for name, table in tables.items() if "seed" in table}
    for failure in [*failures(), diverged(own.get("rollout_errors"))]:
        film, text = _film(run, failure)
        films.append(film)
        rows.append({"env": "", "name": failure.name, "title": failure.title, "cause": failure.cause, "shown": text})
    film, text = _film_planner(run, own.get("control_performance"))
    films.append(film)
    rows.append({"env": "", "name": PLANNER.name, "title": PLANNER.title, "cause": PLANNER.cause, "shown": text})
    run.save_table(TABLE, pd.DataFrame(rows))
    return films


def end_error(system: System, rollouts: Rollouts) -> np.ndarray:
    """Distance from the truth at the end, each dimension in units of its RMS true change, RMS over them: (K, S)."""
    change = rollouts.true[:, :, -1] - rollouts.true[:, :, 0]
    scale = np.sqrt((change**2).mean(axis=(0, 1)))
    return np.sqrt((((rollouts.predicted[:, :, -1] - rollouts.true[:, :, -1]) / scale) ** 2).mean(axis=-1))


def energy_gain(system: System, rollouts: Rollouts) -> np.ndarray:
    """Energy of the prediction less the true one at the end, in standard deviations of the true ones: (K, S)."""
    if system.energy is None:
        return np.full(rollouts.predicted.shape[:2], np.nan)
    predicted, true = (
        system.total_energy(torch.from_numpy(states[:, :, -1]).double()).numpy()
        for states in (rollouts.predicted, rollouts.true)
    )
    return (predicted - true) / true.std()


def diverged(errors: pd.DataFrame | None) -> Failure:
    """Return the failure of the arm and rate with the largest rollout error of all, one that is not finite before."""
    failure = Failure(
        "diverged", "Divergence", "Errors that grow with every step leave the states that the model has seen, and then "
        "any bound.", end_error, "times the true change missed at the end", "largest",
    )  # fmt: skip
    if errors is None or errors.empty:
        return failure
    every = errors[(errors["dimension"] == "all") & ~errors["truncated"] & (errors["size"] == DEFAULT_SIZE)]
    every = every[(every["data"] == TRANSITIONS) & (every["test_frequency"] != "irregular")]
    if every.empty:
        return failure
    worst = every.loc[every["relative_error"].where(np.isfinite(every["relative_error"]), np.inf).idxmax()]
    arm = tuple(worst[list(ARM_COLUMNS)][["model", "method", "form", "train_frequency"]])
    return Failure(**{**vars(failure), "arm": arm, "rate": worst["test_frequency"]})


PLANNER = Failure(  # the closed loop's table says where
    "planner_limited",
    "The planner is the limit",
    "Where the oracle, which plans through the truth, fails, the planner or the task is at fault and no model.",
)


def choose(scores: Sequence[np.ndarray], pick: str) -> tuple[int, int, int]:
    """Return (environment, member, start) of the score picked of several (K, S) arrays; of ties the first.

    Args:
        scores: One array per environment; values that are nan are left out, infinite ones are largest.
        pick: "median" (the lower one), "largest" or "smallest".

    Raises:
        ValueError: If no score is a number.
    """
    flat = [(value, e, *place) for e, array in enumerate(scores) for place, value in np.ndenumerate(array)]
    flat = sorted(entry for entry in flat if not math.isnan(entry[0]))
    if not flat:
        raise ValueError("scores must hold a number, got none")
    place = {"median": (len(flat) - 1) // 2, "largest": len(flat) - 1, "smallest": 0}[pick]
    value = flat[place][0]
    _, e, k, s = next(entry for entry in flat if entry[0] == value)
    return e, k, s


def _film(run: Run, failure: Failure) -> tuple[SavedVideo | Missing, str]:
    """Film one way to fail; return the film or what is missing, and what stands on the page."""
    assert failure.score is not None
    path = run.layout.videos / f"failure_{failure.name}.mp4"
    found = [] if failure.arm is None else _stored(run, failure)
    scores = [failure.score(SYSTEMS[env], rollouts) for env, rollouts in found]
    finite = [np.where(np.isfinite(x), x, np.inf) for x in scores] if failure.score is end_error else scores
    if not any(np.any(~np.isnan(x)) for x in finite):
        return _absent(path, failure, "this run has not stored rollouts that could show it")
    e, k, s = choose(finite, failure.pick)
    (env, rollouts), score, count = found[e], finite[e][k, s], sum(x.size for x in finite)
    bad = int(sum((~np.isfinite(x)).sum() for x in scores))
    if failure.name == "diverged" and score < DIVERGED:
        return _absent(path, failure, f"none has: the worst rollout misses {score:.2g} times the true change")
    member = rollouts.members.iloc[k]
    rows = rollouts.table(s + 1)
    for name in ("method", "form", "train_frequency", "seed"):
        rows = rows[rows[name] == member[name]]
    rows = rows[rows["start"] == s]
    names = SYSTEMS[env].spec.state_names
    rows = rows.assign(
        **{name: np.nan_to_num(rows[name], nan=OUTSIDE, posinf=OUTSIDE, neginf=-OUTSIDE) for name in names}
    )
    named = arm_label(member, with_model=member["model"] != main_model())
    text = f"{'not finite' if math.isinf(score) else f'{score:.2g}'} {failure.unit}"
    shown = (
        f"{env}: {named}, stepped at {failure.rate} Hz; start {s} of seed {member['seed']}, the {failure.pick} of "
        f"n = {count} rollouts on {len(found)} system{'s' * (len(found) > 1)} by this score: {text}"
    ) + f"; {bad} of them are not finite" * bool(bad)
    film = save_rollout_video(rows, path, title=f"{failure.title}: {failure.rate} Hz", starts=(s,),
                              caption=f"{shown}. Truth in black, prediction in color, at half speed.")  # fmt: skip
    produced(path)
    return film, shown


def _stored(run: Run, failure: Failure) -> list[tuple[str, Rollouts]]:
    """Return the stored rollouts of a failure's arm at its rate, of every environment that can be painted."""
    assert failure.arm is not None
    model, method, form, trained = failure.arm
    wanted = {"method": method, "form": form, "train_frequency": trained, "size": DEFAULT_SIZE, "data": TRANSITIONS}
    found = []
    for env in run.preset.environments:
        path = rollouts_path(run, env, model)
        if SYSTEMS[env].views.scene is None or not path.is_file() or failure.rate not in stored_rates(path):
            continue
        try:
            found.append((env, load_rollouts(path, failure.rate, wanted)))
        except ValueError:  # the run has not this arm
            continue
    return found


def _film_planner(run: Run, episodes: pd.DataFrame | None) -> tuple[SavedVideo | Missing, str]:
    """Film the oracle's worst episode of a planner-limited cell, beside the best learned one from the same start."""
    path = run.layout.videos / f"failure_{PLANNER.name}.mp4"
    if episodes is None or "planner_limited" not in episodes:
        return _absent(path, PLANNER, "this run has no closed loop")
    main = episodes[episodes["model_frequency"] == episodes["control_frequency"]]
    painted = [env for env in run.preset.environments if SYSTEMS[env].views.scene is not None]
    main = main[main["env"].isin(painted)]
    oracle = main[(main["method"] == "oracle") & (main["planner_limited"].astype(str) == "True")]
    if oracle.empty:
        return _absent(path, PLANNER, "in no cell of this run does the oracle fail often enough to be marked")
    worst = oracle.loc[oracle["episode_return"].idxmin()]
    cell = ["env", "control_frequency", "planner", "seed", "episode"]
    same = main[(main[cell] == worst[cell]).all(axis=1) & ~main["method"].isin(("oracle", "random", "persistence"))]
    if same.empty or not np.isfinite(same["episode_return"]).any():
        return _absent(path, PLANNER, "no learned model acted from the start at which the oracle does worst")
    best = same.loc[same["episode_return"].idxmax()]
    table = _side_by_side(run, worst, best)
    text = (
        f"{worst['env']}: the oracle (black, return {worst['episode_return']:.0f}) and "
        f"{arm_label(best, with_model=best['model'] != main_model())} (color, return {best['episode_return']:.0f}) "
        f"from one start, replanned by the same planner at {worst['control_frequency']} Hz; seed {worst['seed']}, the "
        f"oracle's worst of n = {len(oracle)} episodes in planner-limited cells"
    )
    film = save_rollout_video(table, path, title=f"{PLANNER.title}: {worst['control_frequency']} Hz",
                              starts=(int(worst["episode"]),), speed=2.0, labels=("oracle", "learned model"),
                              caption=f"{text}, at twice the real speed.")  # fmt: skip
    produced(path)
    return film, text


def _side_by_side(run: Run, oracle: pd.Series, learned: pd.Series) -> pd.DataFrame:
    """Return the states of two episodes from one start as a film wants them, the oracle's as the truth."""
    states = {}
    for row, model in ((oracle, "none"), (learned, learned["model"])):
        where = {name: row[name] for name in ("method", "form", "size", "data", "train_frequency", "seed")}
        found = load_episodes(episodes_path(run, row["env"], model), row["control_frequency"], where,
                              planner=row["planner"])  # fmt: skip
        states[model if model != "none" else ""] = found.states[0, int(row["episode"])]
        times, names = found.times, found.state_names
    true, ghost = states.pop(""), next(iter(states.values()))
    columns: dict[str, np.ndarray] = {"time": times}
    for i, name in enumerate(names):
        columns |= {f"{name}_true": true[:, i], name: ghost[:, i]}
    key = {name: learned[name] for name in ("env", *ARM_COLUMNS, "seed")}
    return pd.DataFrame(columns).assign(**key, test_frequency=oracle["control_frequency"], start=int(oracle["episode"]))


def _absent(path: Path, failure: Failure, reason: str) -> tuple[Missing, str]:
    for suffix in (".mp4", ".json"):  # of another time, when there was something to film
        path.with_suffix(suffix).unlink(missing_ok=True)
    return Missing(f"no film of {failure.name}: {reason}"), f"not filmed: {reason}"
