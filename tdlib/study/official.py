"""Train a published model of two time scales, or a baseline, by its settings, and score it by the published protocol.

    python -m tdlib.study.official mobileRobot --model default_mts3 --out FOLDER

collects data, trains one as it was published and writes its errors far ahead; `--sequences`, `--steps` and `--batch`
make it smaller, since in full one takes hours to days on a processor, and `--data FILE.h5` takes a set that there is.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch

from tdlib.core.time_grid import delta_t_of
from tdlib.data import find_source, load_dataset, load_splits
from tdlib.data.splits import split_path, write_splits
from tdlib.evaluation import write_table
from tdlib.study.arms import Arm
from tdlib.study.official_errors import official_errors
from tdlib.study.official_settings import PATHS, Official, SettingError, load_official, official_names
from tdlib.training import Trial, fit, load_checkpoint
from tdlib.training.checkpoint import save_checkpoint


def collect_official(setting: Official, path: Path | str, seed: int = 0, num_sequences: int | None = None) -> Path:
    """Collect data in the place of the published ones, with splits beside them.

    Args:
        setting: From `load_official`.
        path: File of the set.
        seed: Of the collection.
        num_sequences: How many sequences' worth in all; None for as many of training and of test as published, and a
            tenth of the former more for the choice of the checkpoint, which the official code makes on the test set.
            Splits have these shares in any case, 80/10/10 where the published numbers are not known; by episode, so
            that numbers of sequences are exact where an episode is one.

    Raises:
        SettingError: If the number is not known.
        ValueError: If the source needs a package that is missing.
    """
    sequences, of, shares = setting.sequences, setting.collect, setting.sequences.shares
    if num_sequences is None:
        if sequences.counts is None:
            raise SettingError(f"num_sequences of {setting.name} must be given: its number is not known, got None")
        num_sequences = sum(sequences.counts.values())
    write = find_source(of.source).call
    if of.source == "sequences":
        write(of.name, num_sequences, sequences.length, seed, path, delta_t_of(setting.control_frequency))
    else:
        how = {"control_frequency": setting.control_frequency, "observed": "published"}
        write(of.name, num_sequences * sequences.length, seed, path, **how)
    write_splits(load_dataset(path), path, seed, shares)  # in the place of the source's own
    return Path(path)


def train_official(
    setting: Official,
    model: str,
    data: Path | str,
    out: Path | str,
    seed: int = 0,
    steps: int | None = None,
    batch: int | None = None,
) -> Path:
    """Train a published model on a set and its splits, and write the checkpoint.

    The draw of sequences differs from the published one in that every batch draws its own.

    Args:
        setting: From `load_official`.
        model: A key of its `models`.
        data: File of a set with its splits beside it.
        out: Folder of the checkpoint.
        seed: Of weights and batches.
        steps: Optimizer steps; as published if None.
        batch: Sequences per step, which smaller machines take fewer of; as published if None.
    """
    splits = load_splits(data)
    train, val = (splits[split].transitions_with_offsets(torch.float32) for split in ("train", "val"))
    rate = splits["train"].control_frequency or setting.control_frequency
    network = setting.build(model, splits["train"].spec, seed, delta_t_of(rate))
    network.fit_scales(train[0])
    offsets = [[torch.as_tensor(begins)] for _, begins in (train, val)]
    arm = Arm(PATHS[setting.published(model)[0].model], "baseline", train_frequency=f"{rate:g}")
    trial = Trial(arm, seed, network, [train[0]], [val[0]], offsets[0], offsets[1])
    budget = setting.budget(model, setting.sequences.train or len(splits["train"]) // setting.sequences.length)
    if steps is not None:
        budget = dataclasses.replace(budget, num_steps=steps, num_validations=min(budget.num_validations, steps))
    if batch is not None:
        budget = dataclasses.replace(budget, batch_size=batch * setting.sequences.length)
    (result,) = fit([trial], budget)
    described = {"env": splits["train"].spec.name, "setting": setting.name, "published": model, "seed": seed}
    return save_checkpoint(out, network, {**described, "best_val_loss": result.best_val_loss}, result.curves)


def main(arguments: list[str] | None = None) -> int:
    """Train and score one published model from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help=" or ".join(official_names()))
    parser.add_argument("--model", default="default_mts3", help="default_mts3, default_acrkn or default_hiprssm")
    parser.add_argument("--data", type=Path, help="file of a set with its splits; collected if left out")
    parser.add_argument("--out", required=True, type=Path, help="folder of the checkpoint and of what is collected")
    parser.add_argument("--sequences", type=int, help="sequences to collect; as published if left out")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--steps", type=int, help="optimizer steps; as published if left out")
    parser.add_argument("--batch", type=int, help="sequences per step; as published if left out")
    options = parser.parse_args(arguments)
    how = {"seed": options.seed, "steps": options.steps, "batch": options.batch}
    try:
        setting = load_official(options.name)
        setting.published(options.model)
        data = options.data
        if data is None:
            data = collect_official(setting, options.out / f"{setting.name}.h5", options.seed, options.sequences)
        path = train_official(setting, options.model, data, options.out, **how)
        scored = official_errors(setting, load_checkpoint(path), load_dataset(split_path(data, "test")))
        write_table(options.out / "sliding_rmse.csv", scored)
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
