"""Which column of a log is what: declared, named as in seed 001, told by the format, or guessed from names and said."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdlib.data.schema import DatasetError
from tdlib.data.sources.recording import GROUPS, STATE_GROUPS, TIMESTAMP, Columns, shortened

NUMBERED = re.compile(rf"({'|'.join(GROUPS)})_(\d+)")
GUESSES = {  # the first that a name matches; names in small letters, without their unit
    TIMESTAMP: r"(timestamp|time|t|stamp|sampling_time|elapsed|.*\.timestamp|time_.*|stamp_.*|timestamp_.*)",
    "ctrl": r"(ctrl|actions?|inputs?|cmd|commands?|controls?)(\d*|\d*[_.\s\[(].*)"
    r"|(?!.*(sensor|sensed|measured|feedback|position|velocity|angle|speed|temp|current))"
    r"(u|tau|torques?|efforts?|forces?|motors?|pwm|throttle|voltage)(\d*|\d*[_.\s\[(].*)"
    r"|.*(_cmd|command|torque|effort)\d*",
    "qvel": r"(qvel|dq|dtheta|vel|velocity|omega|w|v|gyro|gyroscope|angular_velocity)[_.\s]?[a-z]?\d*"
    r"|.*_dot|.*velocity.*|.*\.v[xyz]|v[xyz]",
    "qpos": r"(qpos|q|pos|position|angle|theta|phi|joint)[_.\s]?[a-z]?\d*|.*position.*|.*\.[xyz]|[xyz]|roll|pitch|yaw",
}
UNITS = {  # endings of names, longest first
    "rad_s": "rad/s", "rad/s": "rad/s", "deg_s": "deg/s", "deg/s": "deg/s", "m_s2": "m/s²", "m/s2": "m/s²",
    "m_s": "m/s", "m/s": "m/s", "rad": "rad", "deg": "deg", "nm": "N m", "mv": "mV", "pwm": "pwm", "m": "m", "n": "N",
    "v": "V", "a": "A", "g": "g", "ns": "ns", "us": "us", "ms": "ms", "s": "s",
}  # fmt: skip


@dataclass(frozen=True)
class Roles:
    """Names of columns by what they are, in order.

    Args:
        timestamp: Its name; empty where a log has no stamps of its own.
        groups: qpos, qvel, state, ctrl -> names.
        others: What is left, kept as it is.
        notes: What was guessed.
    """

    timestamp: str
    groups: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[str, ...]:
        """Columns of the state, in order."""
        return tuple(name for group in STATE_GROUPS for name in self.groups[group])


def unit_of(name: str) -> str | None:
    """Unit that a column's name ends with: `velocity_rad_s`, `Gyroscope X (deg/s)`; None if it names none."""
    text = name.strip().lower()
    found = re.search(r"[\[(]([^\])]+)[\])]$", text)
    if found:
        return UNITS.get(found[1].strip(), found[1].strip())
    return next((unit for ending, unit in UNITS.items() if text.endswith(f"_{ending}")), None)


def find_roles(
    names: Sequence[str], declared: Columns | None, by_format: Columns, source: str, *, stamped: bool = True
) -> Roles:
    """Say which column is what.

    Args:
        names: All columns, in order.
        declared: The caller's mapping, which decides.
        by_format: What the file itself says.
        source: File, for messages.
        stamped: Whether there must be a column of stamps.

    Raises:
        DatasetError: If a name is there twice or missing, numbers of a group leave one out, or there is no state, input
            or stamp.
    """
    repeated = sorted({name for name in names if list(names).count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DatasetError(f"{source}: columns must have names of their own, got {shortened(repeated)} more than once")
    notes: tuple[str, ...] = ()
    mapping = declared or by_format
    if mapping:
        found = {key: _expanded((value,) if isinstance(value, str) else value, names) for key, value in mapping.items()}
        _check_declared(found, names, source)
        if TIMESTAMP not in found and (guessed := _guess(names, (TIMESTAMP,))[TIMESTAMP]):
            found[TIMESTAMP] = guessed[:1]
    elif any(NUMBERED.fullmatch(name) for name in names):
        found = _numbered(names, source)
    else:
        found = _guess(names, tuple(GUESSES))
        told = {key: list(value) for key, value in found.items() if value}
        notes = (f"columns guessed by their names: {told}",)
        found[TIMESTAMP] = found[TIMESTAMP][:1]
    groups = {group: found.get(group, ()) for group in GROUPS}
    stamps = found.get(TIMESTAMP, ())
    without_input = bool(mapping) and found.get("ctrl") == ()
    _check_complete(stamps, groups, names, source, stamped=stamped, without_input=without_input)
    used = {name for columns in (*groups.values(), stamps) for name in columns}
    return Roles(stamps[0] if stamps else "", groups, tuple(name for name in names if name not in used), notes)


def _numbered(names: Sequence[str], source: str) -> dict[str, tuple[str, ...]]:
    """Columns by the names of seed 001, in the order of their numbers (qpos_10 after qpos_9)."""
    found: dict[str, tuple[str, ...]] = {TIMESTAMP: tuple(name for name in names if name == TIMESTAMP)}
    for group in GROUPS:
        numbered = [
            (int(match[2]), name) for name in names if (match := NUMBERED.fullmatch(name)) and match[1] == group
        ]
        for wanted, (number, name) in enumerate(sorted(numbered)):
            if number != wanted:
                rule = f"columns {group}_0, {group}_1, ... must be there once each"
                missing = f"no {group}_{wanted}" if number > wanted else f"another of number {number}"
                raise DatasetError(f"{source}: {rule}, got {name} and {missing}")
        found[group] = tuple(name for _, name in sorted(numbered))
    return found


def _guess(names: Sequence[str], groups: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {group: [] for group in groups}
    for name in names:
        text = re.sub(r"\s*[\[(][^\])]*[\])]$", "", name.strip().lower())
        unit = unit_of(name)
        if unit is not None and not text.endswith((")", "]")):
            text = next(
                (text.removesuffix(f"_{e}") for e, u in UNITS.items() if u == unit and text.endswith(f"_{e}")), text
            )
        group = next((group for group in groups if re.fullmatch(GUESSES[group], text)), None)
        if group == "qpos" and "qvel" in found and unit in ("rad/s", "deg/s", "m/s"):
            group = "qvel"
        if group is not None:
            found[group].append(name)
    return {group: tuple(columns) for group, columns in found.items()}


def _expanded(declared: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Columns of a mapping; an array's name stands for all of its own, `q` for `q_0`, `q_1`, ... or `q.elbow`, ..."""
    found: list[str] = []
    for name in declared:
        parts = [] if name in names else [x for x in names if re.fullmatch(rf"{re.escape(name)}(_\d+|\..+)", x)]
        found += parts or [name]
    return tuple(found)


def _check_declared(found: Mapping[str, tuple[str, ...]], names: Sequence[str], source: str) -> None:
    seen: dict[str, str] = {}
    for key, columns in found.items():
        for name in columns:
            if name not in names:
                near = difflib.get_close_matches(name, names, 3) or shortened(names)
                raise DatasetError(f"{source}: columns[{key!r}] must be in the file, got {name!r}; there are {near}")
            if name in seen:
                raise DatasetError(f"{source}: a column must be one thing, got {name!r} as {seen[name]} and {key}")
            seen[name] = key


def _check_complete(
    stamps: Sequence[str],
    groups: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
    source: str,
    *,
    stamped: bool,
    without_input: bool,
) -> None:
    num_states = sum(len(groups[group]) for group in STATE_GROUPS)
    for rule, count, ok in (
        ("exactly one timestamp", len(stamps), len(stamps) == 1 or not (stamps or stamped)),
        (f"at least one {', '.join(STATE_GROUPS[:-1])} or {STATE_GROUPS[-1]}", num_states, num_states > 0),
        ("at least one ctrl", len(groups["ctrl"]), len(groups["ctrl"]) > 0 or without_input),
    ):
        if not ok:
            raise DatasetError(
                f"{source}: there must be {rule} column, got {count} in {shortened(names)}; "
                "columns={'timestamp': …, 'qpos': [...], 'qvel': [...], 'ctrl': [...]} says which is what, and "
                "'ctrl': [] that nothing acted"
            )
