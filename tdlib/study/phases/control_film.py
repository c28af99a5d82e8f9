"""A film of one episode under a planner: from the start that a task declares first, the oracle as a ghost beside it."""

import pandas as pd
import torch

from tdlib.core.time_grid import rate_label
from tdlib.evaluation.control.dynamics import Oracle, SideBySide
from tdlib.evaluation.control.episodes import ControlResult
from tdlib.evaluation.control.starts import starts_of_seeds
from tdlib.evaluation.tables import arm_of, frequency_label
from tdlib.figures import SavedVideo, save_rollout_video
from tdlib.figures.selection import MAIN_RATE, shown_arms
from tdlib.figures.style import METHOD_LABELS
from tdlib.speed import prepared
from tdlib.study import clock
from tdlib.study.arms import Arm
from tdlib.study.phases.control import Setting, control_settings, episodes_from
from tdlib.study.phases.stacks import load_stacks
from tdlib.study.provenance import produced
from tdlib.study.run import Missing, Run
from tdlib.study.selection import Selection, everything
from tdlib.systems import SYSTEMS, System


def filmed_arm() -> Arm:
    """The arm that is filmed: one that is asked at the rates it was trained at."""
    model, method, form, trained = next(arm for arm in shown_arms() if arm[1] == "multi_resolution")
    return Arm(model, method, form, train_frequency=trained)


@clock.part("figures")
def film_control(run: Run, env: str, chosen: Selection | None = None, arm: Arm | None = None) -> SavedVideo | Missing:
    """Film one episode of the first seed, beside the oracle's from the same start; of tasks that declare starts.

    The episode is run anew for the film, alone with the oracle's. The arm is that of `filmed_arm` unless one is given.
    """
    system, arm, seed = SYSTEMS[run.select_environment(env)], arm or filmed_arm(), run.preset.own_seeds[0]
    chosen = chosen or everything(run)
    if system.task is None or not system.task.control_starts or system.views.scene is None:
        return Missing(f"no film of {env}: its task declares no starts of its own, or it has no scene")
    if arm not in chosen.arms or seed not in chosen.seeds:
        return Missing(f"no film of {env}: {'/'.join(arm.keys().values())} of seed {seed} is not among what was chosen")
    settings = [setting for setting in control_settings(run, env) if setting.model_rate is None]
    setting = next((each for each in settings if each.labels[0] == MAIN_RATE), settings[0])
    result = _episode(run, system, setting, arm, seed)
    path = run.layout.videos / f"{env.partition('-')[0].lower()}_control_at_{rate_label(setting.rate)}.mp4"
    label = f"{METHOD_LABELS.get(arm.method, arm.method)}, {arm.form}"
    ends = [f"{float(x):.0f}".replace("-", "−") for x in result.episode_return[:, 0]]
    solved = ["solved" if x else "not solved" for x in result.success[:, 0]]
    video = save_rollout_video(
        _table(system, setting, arm, seed, result),
        path,
        title=f"{label}, planning at {setting.labels[0]} Hz",
        starts=(0,),
        speed=1.0,
        labels=("learned model", "oracle"),
        caption=(
            f"{env}: the true system under a planner that looks through {label} (black; return {ends[1]}, {solved[1]}) "
            f"and through the truth (ghost; return {ends[0]}, {solved[0]}), from one start of seed {seed}, n = 1 "
            f"episode of {float(result.times[-1]):g} s at {setting.labels[0]} Hz."
        ),
    )
    produced(path)
    return video


def _episode(run: Run, system: System, setting: Setting, arm: Arm, seed: int) -> ControlResult:
    """Run the oracle and the arm from the first start of the seed that lies in the first declared box."""
    number = -seed % len(system.control_starts)
    starts, drawn = starts_of_seeds(system, number + 1, [seed, seed])
    own = slice(number, number + 1)
    (stack,) = load_stacks(run, system.spec.name, [(arm, seed)])
    beside = SideBySide([Oracle(system), prepared(stack.dynamics)], [1, 1])
    parameters = None if drawn is None else drawn[:, own]
    return episodes_from(run, system, setting, beside, [seed, seed], starts[:, own], parameters)


def _table(system: System, setting: Setting, arm: Arm, seed: int, result: ControlResult) -> pd.DataFrame:
    oracle, learned = result.states[:, 0].unbind(dim=0)  # (T+1, D)
    columns: dict[str, torch.Tensor] = {"time": result.times}
    for i, name in enumerate(system.spec.state_names):
        columns |= {f"{name}_true": learned[:, i], name: oracle[:, i]}
    key = arm_of(arm, seed, system.spec.name)
    table = pd.DataFrame({name: values.numpy() for name, values in columns.items()})
    return table.assign(**key, test_frequency=frequency_label(setting.rate), start=0)
