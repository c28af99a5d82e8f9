"""What a robot leaves behind, for want of one: CSV files of seven damped joints, stamped by a clock that jitters."""

import csv

import numpy as np

JOINTS, TYPICAL, HOLD = 7, 0.05, 8
COLUMNS = [f"{group}_{i}" for group in ("qpos", "qvel", "ctrl") for i in range(JOINTS)]


def acceleration(q, v, u):
    """q'' = 4u − 6 sin q − 2q', and each joint is pulled by the one before it."""
    return 4 * u - 6 * np.sin(q) - 2 * v + 3 * (np.roll(q, 1) - q) * (np.arange(JOINTS) > 0)


def write_logs(folder, *, jitter=0.4, lost=0.0, num_files=20, num_rows=81):
    """Write one file per episode; of the rows between two inputs that differ, some are lost."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    for number in range(num_files):
        q, v, t = rng.uniform(-0.5, 0.5, JOINTS), rng.uniform(-1, 1, JOINTS), 100.0
        with open(folder / f"arm_{number:02d}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["timestamp", *COLUMNS])
            for row in range(num_rows):
                if row % HOLD == 0:
                    u = rng.uniform(-1, 1, JOINTS)
                if row % HOLD == 0 or not lost or rng.uniform() >= lost:
                    writer.writerow([t, *q, *v, *u])
                delta_t = TYPICAL * (1 + jitter * rng.uniform(-1, 1))
                for _ in range(20):  # midpoint steps of some 2.5 ms
                    h = delta_t / 20
                    middle = q + h / 2 * v, v + h / 2 * acceleration(q, v, u)
                    q, v = q + h * middle[1], v + h * acceleration(*middle, u)
                t += delta_t
    return folder
