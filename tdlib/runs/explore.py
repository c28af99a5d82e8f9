"""The explorer of a run: a few arms of one seed, one start, and the Δt slider."""

from tdlib.envs import SYSTEMS
from tdlib.interactive import Exploration, Explorer
from tdlib.models import DynamicsModel
from tdlib.models.no_training import RescaledIncrement
from tdlib.runs.run import Run
from tdlib.runs.train import model_folder
from tdlib.training import Arm, load_checkpoint

SHOWN_ARMS = {
    "trained at 20 Hz, one step": Arm("jump", "baseline", "none", train_frequency="20"),
    "one Δt-scaled form, 20 Hz": Arm("jump", "dt_conditioned", "scaled_concat", train_frequency="20"),
    "multi-resolution": Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed"),
    "Newtonian ODE, 20 Hz": Arm("newtonian", "ode", "rk4", train_frequency="20"),
}
RESCALED = "trained at 20 Hz, increment rescaled"
STARTS = {  # a start well inside what the agents saw, and a constant input
    "Pendulum-v1": ((2.0, 0.0), 1.0),
    "CartPole-v1": ((0.0, 0.0, 0.02, 0.0), 1.0),
    "CartPoleContinuous-v1": ((0.0, 0.0, 0.05, 0.0), 1.0),
}


def load_shown_models(run: Run, env: str) -> dict[str, DynamicsModel]:
    """Load the explorer's arms of the preset's first seed; arms of models that the preset leaves out are left out."""
    seed = run.preset.seeds[0]
    models: dict[str, DynamicsModel] = {}
    for name, arm in SHOWN_ARMS.items():
        if arm.model in run.preset.models:
            models[name] = load_checkpoint(model_folder(run, env, arm, seed))
            if arm.method == "baseline":
                models[RESCALED] = RescaledIncrement(models[name], arm.train_delta_t)
    return models


def open_explorer(run: Run, env: str) -> Explorer:
    """Build the explorer of one environment of a run."""
    env = run.select_environment(env)
    start, action = STARTS[env]
    exploration = Exploration(SYSTEMS[env], load_shown_models(run, env), start, action)
    return Explorer(exploration, run.preset.test_frequencies)
