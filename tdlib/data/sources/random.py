"""Sets under random inputs at one rate; they need no policy.

Models with memory train on windows and see a context of true steps, so a row helps them only in an episode that is long
enough. An unstable system under inputs alone leaves its limits too soon: most rows of a cart-pole at 10 Hz would stand
in episodes of a few steps. Three remedies were open. Going on past the limits makes a set of falling poles, states that
no test set asks about and that no task visits. Starting near upright only delays the fall by e-foldings of a quarter
of a second, and narrows the states. So the inputs of both kinds are pushes on a feedback, the same in seconds and units
at every rate, too strong for it to hold forever, from wide starts that come anew every few seconds: episodes end by
their limits or by time, and states fill the limits. `next_state` stays the flow of (state, action), and since inputs
are stored as they were applied, nothing about a transition depends on how its input was chosen. The share of rows in
short episodes is in the data table and has a rule in the data check; bang-bang inputs at 10 Hz keep the largest.
"""

from pathlib import Path

from tdlib.core.seeding import numpy_generator, torch_generator
from tdlib.core.time_grid import delta_t_of, rate_label
from tdlib.data.schema import TransitionDataset
from tdlib.data.sources.random_inputs import random_episodes, random_inputs
from tdlib.data.sources.simulated import origin_of
from tdlib.data.splits import write_splits
from tdlib.data.storage import save_dataset
from tdlib.systems import get_system

SHORTEST_EPISODE, FEWEST_EPISODES = 2.0, 16  # [s], count; a small set has shorter episodes, not fewer


def collect_random(env: str, frequency: float, seed: int, num_transitions: int) -> TransitionDataset:
    """Simulate exactly `num_transitions` intervals under random inputs, half of them uniform, half Ornstein-Uhlenbeck.

    Episodes end as the task's do (10 s, or the limits of the cart-pole) or after the system's `longest`, and come in
    random order; the last episode of each half is cut and marked truncated. In a small set they end earlier, so that
    there are enough to split.

    Args:
        env: Key in `tdlib.envs.SYSTEMS`.
        frequency: Control frequency [Hz].
        seed: Experiment seed.
        num_transitions: N >= 2.
    """
    system, delta_t = get_system(env), delta_t_of(frequency)
    if num_transitions < 2:
        raise ValueError(f"num_transitions must be at least 2, got {num_transitions}")
    half = num_transitions // 2
    inputs = random_inputs(system)
    enough = max(SHORTEST_EPISODE, num_transitions * delta_t / FEWEST_EPISODES)
    time_limit = min(system.spec.time_limit, inputs.longest, enough)
    episodes = []
    for kind, wanted in (("uniform", num_transitions - half), ("ornstein-uhlenbeck", half)):
        generator = torch_generator(seed, "random", env, float(frequency), kind)
        episodes += random_episodes(system, delta_t, time_limit, kind, wanted, generator)
    order = numpy_generator(seed, "random order", env, float(frequency)).permutation(len(episodes))
    episodes = [episodes[i] for i in order]
    policy = (
        f"half the transitions uniform inputs (held {inputs.hold} s, amplitude {inputs.amplitude}), half "
        f"Ornstein-Uhlenbeck inputs (correlation {inputs.correlation} s, spread {inputs.spread}), "
        f"both on a feedback of gain {inputs.feedback}"
    )
    attributes = {**origin_of(system, seed, policy), "time_limit": time_limit}
    return TransitionDataset.from_episodes(episodes, system.spec, float(frequency), attributes)


def write_random(env: str, frequency: float, seed: int, num_transitions: int, out_dir: Path | str) -> Path:
    """Write `dataset_<rate>.h5` and its splits below `out_dir`."""
    path = Path(out_dir) / f"dataset_{rate_label(frequency)}.h5"
    settings = f"{env} {frequency:g} Hz, seed {seed}, {num_transitions} transitions, {random_inputs(get_system(env))}"
    dataset = collect_random(env, frequency, seed, num_transitions).with_attributes(settings=settings)
    write_splits(dataset, path, seed)
    return save_dataset(dataset, path)
