"""The example: a GRU trained on logs of the double cart-pole, which are collected if there are none.

python -m tdlib.dynamics_model_training.train_double_cart_pole
"""

import argparse
import sys
from pathlib import Path

from tdlib.data.sources.csv import export_csv
from tdlib.dynamics_model_training.train import BEST, CHECKPOINTS, train_dynamics_model
from tdlib.evaluation.control.collect import collect_with_planned
from tdlib.study.progress import Progress
from tdlib.systems.double_cart_pole import SPEC

LOGS = Path("data_csv") / SPEC.name
COORDINATES, ANGLES = (0,), (1, 2)  # of the positions: the cart's place, the two angles
FREQUENCY = 100.0  # [Hz] the founding document's logs


def main(arguments: list[str] | None = None) -> int:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=LOGS, help="folder of CSV logs; filled if it has none")
    parser.add_argument("--checkpoint-dir", type=Path, default=CHECKPOINTS, help="folder of tasks")
    parser.add_argument("--num-epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--num-transitions", type=int, default=10_000, help="how many are collected")
    parser.add_argument("--planned-share", type=float, default=0.2, help="of them, by a planner on the true equation")
    options = parser.parse_args(arguments)
    try:
        if not any(options.data_dir.glob("*.csv")):
            collected = collect_with_planned(
                SPEC.name,
                FREQUENCY,
                options.seed,
                options.num_transitions,
                planned_share=options.planned_share,
            )
            export_csv(collected, options.data_dir)
            sys.stdout.write(f"collected {collected.num_episodes} logs, {collected.attributes['policy']}\n")
        _, history = train_dynamics_model(
            options.data_dir,
            SPEC.name,
            COORDINATES,
            ANGLES,
            num_epochs=options.num_epochs,
            seed=options.seed,
            checkpoint_dir=options.checkpoint_dir,
            progress=Progress(f"training {SPEC.name}"),
        )
    except ValueError as error:
        parser.error(str(error))
    losses = history["val_loss"]
    sys.stdout.write(
        f"held-out loss {min(losses):.4g} after epoch {losses.index(min(losses)) + 1} of {len(losses)}; weights in "
        f"{options.checkpoint_dir / SPEC.name / BEST}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
