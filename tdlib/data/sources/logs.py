"""A set made of recordings: which columns are what, stamps in seconds, angles that continue, and a report of all of it.

What was found, guessed, repaired or left out stands in the set's attributes `import_report` and `columns`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from tdlib.core.specs import EnvironmentSpec
from tdlib.core.time_grid import delta_t_of
from tdlib.data.observations import observe
from tdlib.data.schema import FIELDS, PARAMETERS, DatasetError, TransitionDataset, check_dataset, continue_angles
from tdlib.data.sources.recording import GROUPS, STATE_GROUPS, Reading, Recording
from tdlib.data.sources.roles import Roles, find_roles, unit_of
from tdlib.data.sources.stamps import (
    common_rate,
    in_seconds,
    report_stamps,
    require_no_pause,
    require_rising,
    stretches,
)

REPORT, COLUMNS = "import_report", "columns"
NO_INPUT = "no_input"
RADIANS = {"deg": "rad", "deg/s": "rad/s"}
LONGEST = 30_000  # characters; attributes of HDF5 end at 64 kB
WHOLE_TURN = 2 * math.pi


class CellError(DatasetError):
    """A column that is needed holds something else than finite numbers.

    Args:
        place: Which recording.
        column: Its name.
        message: Rule and value.
    """

    def __init__(self, place: int, column: str, message: str):
        super().__init__(message)
        self.place, self.column = place, column


def make_set(recordings: Sequence[Recording], reading: Reading, kind: str) -> TransitionDataset:
    """Make a set of recordings that have the same columns; rewards are zero, since a log has none.

    Args:
        recordings: One or more stretches.
        reading: What the caller declares.
        kind: Of the files, for the set's origin and messages.

    Raises:
        DatasetError: If columns are missing or differ, a value is not finite, stamps do not rise, or intervals differ
            that must not.
        RateError: If the rate is not the one asked for.
    """
    if not recordings:
        raise DatasetError(f"path must hold a recording, got {kind} without one")
    roles = _shared_roles(recordings, reading)
    spec, scales = _specification(roles, recordings, reading)
    order = _state_order(spec, roles)
    kept, left_out = _other_columns(recordings, roles)
    notes = [*roles.notes, *left_out]
    parts, clocks = [], []
    for place, recording in enumerate(recordings):
        times, said = _clock(recording, place, roles, reading)
        clocks.append(times)
        notes += [f"{recording.source}: {note}" for note in (*recording.notes, *said)]
        for rows in stretches(times) if reading.stamps == "repair" else [slice(None)]:
            parts.append((place, times, rows))
    if not parts:
        raise DatasetError(f"path must hold two rows in a row, got none between gaps in {len(recordings)} files")
    intervals = np.concatenate([np.diff(times[rows]) for _, times, rows in parts])
    frequency = common_rate(intervals, reading.control_frequency, reading.irregular)
    report = report_stamps(clocks)
    if any(recording.positional for recording in recordings) or report.generated:
        notes.append("stamps are positions: row numbers over a declared rate, so nothing is known of the clock")
    episodes = [
        _episode(recordings[place], place, times, rows, roles, order, scales, spec, frequency, kept)
        for place, times, rows in parts
    ]
    notes = [str(report), *_what_angles(spec, reading), *_what_units(roles, spec, reading), *dict.fromkeys(notes)]
    attributes: dict[str, str | int | float] = {
        "policy": "logged",
        "imported_from": kind,
        "reward": "absent, stored as 0",
        REPORT: _shortened("\n".join(notes)),
        COLUMNS: _shortened(json.dumps({roles.timestamp: "timestamp", **_roles_by_column(roles, spec, order)})),
    }
    return check_dataset(TransitionDataset.from_episodes(episodes, spec, frequency, attributes), f"{kind} import")


def rows_of_states(states: np.ndarray, spec: EnvironmentSpec) -> tuple[np.ndarray, np.ndarray]:
    """Turn states in a row (T, D) into starts and ends of the T − 1 steps between them, angles continued.

    A step is taken to turn by less than half a turn.
    """
    state, next_state = continue_angles(states[:-1], states[1:], spec)
    for i in spec.angle_dims:
        next_state[:, i] -= WHOLE_TURN * np.round((next_state[:, i] - state[:, i]) / WHOLE_TURN)
    return state, next_state


def _shared_roles(recordings: Sequence[Recording], reading: Reading) -> Roles:
    first, stamped = recordings[0], reading.control_frequency is None

    def of(recording: Recording) -> Roles:
        names = list(recording.columns)
        return find_roles(names, reading.columns, recording.roles, recording.source, stamped=stamped)

    roles = of(first)
    for recording in recordings[1:]:
        own = of(recording)
        if (own.timestamp, own.groups) != (roles.timestamp, roles.groups):
            counts = sorted({tuple(len(x.groups[group]) for group in GROUPS) for x in (roles, own)})
            raise DatasetError(
                f"path: all files must have the same columns, got {GROUPS} counts {counts} in {first.source} and "
                f"{recording.source}"
            )
    return roles


def _clock(recording: Recording, place: int, roles: Roles, reading: Reading) -> tuple[np.ndarray, list[str]]:
    """Seconds since the first row, (T,), and what was taken for granted."""
    if not roles.timestamp and reading.control_frequency is not None:
        rate = reading.control_frequency
        return np.arange(_length(recording)) * delta_t_of(rate), [f"no stamps: {rate:g} Hz is taken, as declared"]
    stamps = recording.columns[roles.timestamp]
    if stamps.dtype.kind not in "iuf" or not np.isfinite(stamps).all():
        raise _bad_cell(recording, place, roles.timestamp)
    times, note = in_seconds(stamps, reading.time_unit, roles.timestamp, recording.source)
    said = [note] if note else []
    if reading.stamps == "strict":
        require_rising(times, stamps, roles.timestamp, recording.source)
        if reading.irregular is None:
            require_no_pause(times, roles.timestamp, recording.source)
    else:
        found = report_stamps([times])
        if found.repeated or found.backward or found.gaps:
            said.append(
                f"{found.repeated} rows left out whose stamp repeats; a new episode begins at {found.backward} steps "
                f"back and {found.gaps} gaps"
            )
    return times, said


def _other_columns(recordings: Sequence[Recording], roles: Roles) -> tuple[dict[str, str], list[str]]:
    """Further columns that are kept, by name and the name they get, and a note for each that is not."""
    shared = [name for name in roles.others if all(name in recording.columns for recording in recordings)]
    notes = []
    for name in dict.fromkeys(name for recording in recordings for name in recording.columns):
        if name not in shared and name not in roles.others and name not in _used(roles):
            notes.append(f"column {name!r} is not in all files and left out")
    notes += [f"column {name!r} is not in all files and left out" for name in roles.others if name not in shared]
    kept: dict[str, str] = {}
    for name in shared:
        if any(recording.columns[name].dtype.kind not in "iufb" for recording in recordings):
            notes.append(f"column {name!r} holds text and is left out")
        elif all(not np.isfinite(recording.columns[name].astype(float)).any() for recording in recordings):
            notes.append(f"column {name!r} is empty and left out")
        else:
            own = _own_name(name)
            while own in kept.values():
                own += "_"
            kept[name] = own
            empty = sum(int(np.isnan(recording.columns[name].astype(float)).sum()) for recording in recordings)
            notes += [f"column {name!r} has {empty} empty cells, kept as nan"] if empty else []
    return kept, notes


def _shortened(text: str) -> str:
    """A text that an attribute of a file can hold."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST} characters more"


def _used(roles: Roles) -> set[str]:
    return {roles.timestamp, *(name for columns in roles.groups.values() for name in columns)}


def _own_name(column: str) -> str:
    """Name of a further column: an identifier that is no field of the schema and no group of columns."""
    name = re.sub(r"\W", "_", column)
    taken = not name.isidentifier() or name in {*FIELDS, PARAMETERS, *GROUPS}
    return f"log_{name}" if taken else name


def _numbers(recording: Recording, place: int, columns: Sequence[str], rows: slice | np.ndarray) -> np.ndarray:
    """Columns side by side, (T, n) float64, all finite."""
    found = np.empty((len(np.arange(_length(recording))[rows]), len(columns)))
    for i, name in enumerate(columns):
        values = recording.columns[name]
        if values.dtype.kind not in "iufb":
            raise _bad_cell(recording, place, name)
        found[:, i] = values[rows]
        if not np.isfinite(found[:, i]).all():
            raise _bad_cell(recording, place, name)
    return found


def _bad_cell(recording: Recording, place: int, column: str) -> CellError:
    values = recording.columns[column]
    for row, value in enumerate(values.tolist(), 1):
        if isinstance(value, str) or value is None or not math.isfinite(value):
            rule = "a number" if isinstance(value, str) else "finite"
            message = f"{recording.source}: {column} must be {rule}, got {value!r} in row {row}"
            return CellError(place, column, message)
    return CellError(place, column, f"{recording.source}: {column} must hold numbers, got {values.dtype}")


def _length(recording: Recording) -> int:
    return len(next(iter(recording.columns.values())))


def _state_order(spec: EnvironmentSpec, roles: Roles) -> list[int]:
    """State dimension that each column of (qpos, qvel, state) fills."""
    counts = {group: len(roles.groups[group]) for group in GROUPS}
    if spec.position_dims:
        places = {"qpos": list(spec.position_dims), "qvel": list(spec.velocity_dims)}
        paired = places["qpos"] + places["qvel"]
        places["state"] = [i for i in range(spec.state_dim) if i not in paired]
    else:  # columns in their order
        ends = np.cumsum([counts[group] for group in STATE_GROUPS]).tolist()
        places = {group: list(range(end - counts[group], end)) for group, end in zip(STATE_GROUPS, ends, strict=True)}
    num_inputs = spec.action_dim if roles.groups["ctrl"] else 0
    wanted = {group: len(dims) for group, dims in places.items()} | {"ctrl": num_inputs}
    if wanted != counts or sum(map(len, places.values())) != spec.state_dim:
        raise DatasetError(
            f"path: files of {spec.name} must have columns of {spec.state_dim} states and {spec.action_dim} ctrl"
            f"{f', {wanted}' if spec.position_dims else ''}, got {counts}"
        )
    return [i for group in STATE_GROUPS for i in places[group]]


def _episode(
    recording: Recording,
    place: int,
    times: np.ndarray,
    rows: slice | np.ndarray,
    roles: Roles,
    order: Sequence[int],
    scales: np.ndarray,
    spec: EnvironmentSpec,
    frequency: float | None,
    kept: Mapping[str, str],
) -> dict[str, np.ndarray]:
    found = _numbers(recording, place, roles.states, rows)
    found *= scales[: len(roles.states)]
    states = np.empty_like(found)
    states[:, order] = found
    del found
    state, next_state = rows_of_states(states, spec)
    del states  # of a long log each copy counts
    acting = np.arange(len(times))[rows][:-1]  # the last row's inputs lead nowhere
    inputs = _numbers(recording, place, roles.groups["ctrl"], acting) * scales[len(roles.states) :]
    length = len(state)
    times = times[rows] - times[rows][0]
    ends = np.zeros(length, dtype=bool)
    ends[-1] = True
    return {
        "observation": observe(state, spec),
        "state": state,
        "action": inputs if roles.groups["ctrl"] else np.zeros((length, spec.action_dim)),
        "reward": np.zeros(length),
        "next_state": next_state,
        "terminated": np.zeros(length, dtype=bool),
        "truncated": ends,
        "exit_time": np.full(length, np.inf),
        "limit_hit": np.zeros(length, dtype=bool),
        "t": times[:-1] if frequency is None else np.arange(length) * delta_t_of(frequency),
        "delta_t": np.diff(times) if frequency is None else np.full(length, delta_t_of(frequency)),
        **{own: np.asarray(recording.columns[name][acting], dtype=np.float64) for name, own in kept.items()},
    }


def _specification(
    roles: Roles, recordings: Sequence[Recording], reading: Reading
) -> tuple[EnvironmentSpec, np.ndarray]:
    """The caller's specification or one by the columns, and what each column is multiplied by, (D + A,)."""
    names, groups = roles.states, roles.groups
    found = {name: reading.units.get(name) or unit_of(name) for name in (*names, *groups["ctrl"])}
    unknown = sorted(set(reading.units) - set(found))
    if unknown:
        raise DatasetError(f"units must name columns of states and inputs, {list(found)}, got {unknown}")
    scales = np.array([math.pi / 180 if found[name] in RADIANS else 1.0 for name in (*names, *groups["ctrl"])])
    if reading.spec is not None:
        return reading.spec, scales
    num_positions, paired = len(groups["qpos"]), len(groups["qpos"]) == len(groups["qvel"]) > 0
    angles = _angle_dims(names, num_positions, reading)
    units = [RADIANS.get(found[name] or "", found[name]) for name in names]
    for i, name in enumerate(names):
        if units[i] is None:
            units[i] = "rad" if i in angles else "m" if name in groups["qpos"] else "1"
    for i, name in enumerate(groups["qvel"] if paired else ()):
        if found[name] is None:
            units[num_positions + i] = f"{units[i]}/s"
    columns = [[recording.columns[name] for recording in recordings] for name in groups["ctrl"]]
    of_inputs = scales[len(names) :]
    bounds = [
        tuple(float(scale) * x for x in _bounds(column)) for column, scale in zip(columns, of_inputs, strict=True)
    ] or [(0.0, 0.0)]
    spec = EnvironmentSpec(
        name=reading.name,
        state_names=_unlike(names),
        state_units=tuple(unit or "1" for unit in units),
        angle_dims=angles,
        position_dims=tuple(range(num_positions)) if paired else (),
        velocity_dims=tuple(range(num_positions, 2 * num_positions)) if paired else (),
        input_names=_unlike(groups["ctrl"]) or (NO_INPUT,),
        input_units=tuple(RADIANS.get(found[name] or "", found[name]) or "1" for name in groups["ctrl"]) or ("1",),
        input_low=tuple(low for low, _ in bounds),
        input_high=tuple(high for _, high in bounds),
        time_limit=math.inf,
    )
    return spec, scales


def _bounds(columns: Sequence[np.ndarray]) -> tuple[float, float]:
    """Smallest and largest value of an input where it acts; text is refused later, where its row is known."""
    used = [column[:-1] for column in columns if column.dtype.kind in "iufb"]
    values = [float(x) for column in used for x in (np.min(column), np.max(column)) if np.isfinite(x)]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _angle_dims(names: Sequence[str], num_positions: int, reading: Reading) -> tuple[int, ...]:
    found = []
    for angle in reading.angles:
        if isinstance(angle, str):
            if angle not in names:
                raise ValueError(f"angles must be columns of the state, {list(names)}, got {angle!r}")
            found.append(list(names).index(angle))
        elif not 0 <= angle < num_positions:
            raise ValueError(f"angle_positions must be in 0 .. {num_positions - 1}, got {reading.angles}")
        else:
            found.append(int(angle))
    return tuple(found)


def _unlike(names: Sequence[str]) -> tuple[str, ...]:
    """Names as identifiers, which tables and files can hold, each of its own."""
    found: list[str] = []
    for name in names:
        own = re.sub(r"\W+", "_", name.strip()).strip("_") or "column"
        while own in found:
            own += "_"
        found.append(own)
    return tuple(found)


def _what_angles(spec: EnvironmentSpec, reading: Reading) -> list[str]:
    angles = [spec.state_names[i] for i in spec.angle_dims]
    like = [
        name for i, (name, unit) in enumerate(zip(spec.state_names, spec.state_units, strict=True))
        if unit == "rad" and i not in spec.angle_dims
    ]  # fmt: skip
    declared = "of the specification" if reading.spec is not None else "declared"
    said = [f"angles, {declared}: {angles or 'none'}"]
    if like:
        said.append(f"not taken as angles although in rad: {like}; angles=[...] declares them, if they turn around")
    pairs = [
        (spec.state_names[p], spec.state_names[v]) for p, v in zip(spec.position_dims, spec.velocity_dims, strict=True)
    ]
    return [*said, f"position and velocity, paired in order: {pairs or 'none'}"]


def _what_units(roles: Roles, spec: EnvironmentSpec, reading: Reading) -> list[str]:
    """Say which units nobody named; nothing is computed with them but degrees, which are made radians."""
    columns = (*roles.states, *roles.groups["ctrl"])
    turned = [name for name in columns if (reading.units.get(name) or unit_of(name)) in RADIANS]
    said = [f"degrees made radians: {turned}"] if turned else []
    if reading.spec is not None:
        return said
    units = dict(zip(roles.states, spec.state_units, strict=True))
    taken = {name: unit for name, unit in units.items() if not (reading.units.get(name) or unit_of(name))}
    return [*([f"units that neither names nor the caller told: {taken}"] if taken else []), *said]


def _roles_by_column(roles: Roles, spec: EnvironmentSpec, order: Sequence[int]) -> dict[str, str]:
    states = {name: spec.state_names[place] for name, place in zip(roles.states, order, strict=True)}
    return states | {name: "input" for name in roles.groups["ctrl"]}
