"""One graphics card for each job: a job takes a card that no other one holds and sees that one only.

Snakemake's resource `gpu` says how many jobs with a card run at once (`params/profiles/gpus`); which card a job gets is
decided here, by a lock on one file per card that the system frees when the job's process ends, however it ends.
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT = 0.5  # [s] between looks at cards that are all taken


def known_cards() -> list[str]:
    """Return the cards that jobs may use: those that `CUDA_VISIBLE_DEVICES` names, or all that the driver lists."""
    if VISIBLE in os.environ:
        return [card for card in os.environ[VISIBLE].split(",") if card]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return [str(i) for i, _ in enumerate(listed.splitlines())]


def take_card(locks: Path, cards: Sequence[str]) -> str:
    """Take a card for as long as this process lives, let it alone be visible, and return it; wait while all are taken.

    Args:
        locks: Folder of the lock files, one for all jobs of a run.
        cards: The cards.

    Raises:
        ValueError: If there is none.
    """
    if not cards:
        raise ValueError("cards must hold at least one for a job with resource gpu, got none: the driver lists no card")
    locks.mkdir(parents=True, exist_ok=True)
    while True:
        for card in cards:
            file = os.open(locks / card, os.O_CREAT | os.O_RDWR)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            os.set_inheritable(file, True)  # held through `exec`
            os.environ[VISIBLE] = card
            return card
        time.sleep(WAIT)
