"""Names of files and groups in the order of their numbers, as people count."""

import re


def in_numeric_order(name: str) -> list[tuple[int, str]]:
    """Sort key by which `traj_10.csv` comes after `traj_9.csv`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
