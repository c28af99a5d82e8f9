"""Which trained models lie below a folder, and what each is, known from the folders' names without opening a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tdlib.core.facts import MIXED
from tdlib.core.files import parse_yaml
from tdlib.explorer.python.entries import mixture_of
from tdlib.models import SIZES
from tdlib.study.arms import Arm, trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training.checkpoint import CONFIG_FILE, MODEL_FILE

SEED_FOLDER = re.compile(r"seed(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """One trained model on disk.

    Args:
        folder: Its folder.
        env: Environment.
        arm: Configuration.
        seed: Seed of agent, data, split and initialization.
        run: Name of the run it belongs to.
    """

    folder: Path
    env: str
    arm: Arm
    seed: int
    run: str

    @property
    def name(self) -> str:
        """Place inside its run, for example `Pendulum_v1/jump/baseline_20hz/seed0`."""
        return "/".join(self.folder.parts[-4:])

    @property
    def mixture(self) -> tuple[float, ...]:
        """Rates [Hz] of the run's data, which an arm of several rates was trained at."""
        if self.arm.train_frequency != MIXED:
            return self.arm.frequencies
        return mixture_of(parse_yaml((self.folder / CONFIG_FILE).read_text(encoding="utf-8")))


def find_checkpoints(sources: Sequence[Path | str]) -> list[Checkpoint]:
    """Find every checkpoint of the study's environments below some folders: runs, their `models`, or single ones.

    Raises:
        ValueError: If a folder does not exist or holds no checkpoint.
    """
    arms = {(arm.model, arm.folder): arm for arm in trained_arms(sizes=tuple(SIZES))}
    found: list[Checkpoint] = []
    for source in map(Path, sources):
        if not source.is_dir():
            raise ValueError(f"source must be a folder with trained models, got {str(source)!r}")
        paths = sorted(source.resolve().rglob(MODEL_FILE))
        here = [c for path in paths if (c := _checkpoint(path.parent, arms)) is not None]
        if not here:
            raise ValueError(f"source must hold checkpoints ({MODEL_FILE} and {CONFIG_FILE}), got {str(source)!r}")
        found += [checkpoint for checkpoint in here if checkpoint not in found]
    return found


def _checkpoint(folder: Path, arms: dict[tuple[str, str], Arm]) -> Checkpoint | None:
    if not (folder / CONFIG_FILE).is_file() or len(folder.parts) < 5:
        return None
    env_folder, model, arm_folder = folder.parts[-4:-1]
    env = next((name for name, system in SYSTEMS.items() if system.spec.folder == env_folder), None)
    seed, arm = SEED_FOLDER.fullmatch(folder.name), arms.get((model, arm_folder))
    if env is None or seed is None or arm is None:  # not named as the study names them: its description tells
        return _described(folder)
    return Checkpoint(folder, env, arm, int(seed[1]), _run_name(folder))


def _described(folder: Path) -> Checkpoint | None:
    config = parse_yaml((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if not isinstance(config, dict) or config.get("env") not in SYSTEMS or "model" not in config:
        return None
    arm = Arm(**{key: str(config[key]) for key in Arm.__dataclass_fields__ if key in config})
    return Checkpoint(folder, config["env"], arm, int(config.get("seed", 0)), _run_name(folder))


def _run_name(folder: Path) -> str:
    """The folder above `models`, for example `quick`."""
    parts = folder.parts
    return parts[len(parts) - 2 - parts[::-1].index("models")] if "models" in parts[1:] else folder.name
