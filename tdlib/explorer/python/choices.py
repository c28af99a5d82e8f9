"""Choices of the explorer's run, system, seed and models in JupyterLab, without editing code."""

from collections.abc import Callable, Sequence

from tdlib.explorer.python.checkpoints import Checkpoint
from tdlib.explorer.python.entries import FIRST_ARMS
from tdlib.explorer.python.explorer import Explorer
from tdlib.study.live import Choice, Choices, dropdown

HEAD, NONE, ELSEWHERE = "dt-explorer", "none", "as chosen in the explorer"


class ExplorerChoices(Choices):
    """Run, system, seed, and the checkpoints of A and B; they follow the explorer, and the explorer follows them.

    Args:
        explorer: What they set.
        runs: Names of runs on offer.
        run: The one on show.
        show: Called with the name of another run; has the explorer open it.
    """

    def __init__(self, explorer: Explorer, runs: Sequence[str], run: str, show: Callable[[str], None]):
        self._explorer, self._show, self._busy = explorer, show, False
        self.run = dropdown("run, preset", runs, run)
        self.env = dropdown("system", [], None)
        self.seed = dropdown("seed", [], None)
        self.a, self.b = dropdown("checkpoint of A", [], None), dropdown("checkpoint of B", [], None)
        super().__init__([self.run, self.env, self.seed, self.a, self.b])
        self.run.observe(self._on_run, "value")
        for control in (self.env, self.seed, self.a, self.b):
            control.observe(self._on_choice, "value")
        explorer.observe(self._follow, ["view", "config"])
        self._follow()

    def _on_run(self, change: dict) -> None:
        self.shown.value = ""
        try:
            self._show(change["new"])
        except ValueError as error:
            self.shown.value = f"<b>{change['new']}</b> cannot be shown: {error}"

    def _on_choice(self, change: dict) -> None:
        if self._busy:
            return
        if change["owner"] is self.env:
            self._explorer.view = _view({"env": self.env.value}, *(self._first(side) for side in ("a", "b")))
            return
        fields = self._fields()
        pair = [self._chosen(side, fields) for side in ("a", "b")]
        if change["owner"] is self.seed and self.seed.value is not None:
            pair = [_with_seed(text, self.seed.value) for text in pair]
        self._explorer.view = _view(fields, *pair)

    def _chosen(self, side: str, fields: dict[str, str]) -> str | None:
        """What a side is to show, as a link says it."""
        value = getattr(self, side).value
        if value == NONE:
            return None
        return fields.get(side) if value is None else self._text(self._explorer.checkpoints[value])

    def _follow(self, _: object = None) -> None:
        """Offer what the explorer has, and say what it shows."""
        fields, self._busy = self._fields(), True
        try:
            env = fields["env"]
            here = [(i, c) for i, c in enumerate(self._explorer.checkpoints) if c.env == env]
            _offer(self.env, self._explorer.environments, env)
            seeds = sorted({c.seed for _, c in here})
            _offer(self.seed, [(ELSEWHERE, None), *((str(seed), seed) for seed in seeds)], self._seed_of(fields, seeds))
            names = [(_name(c), i) for i, c in here]
            for side, first in (("a", []), ("b", [(NONE, NONE)])):
                control = getattr(self, side)
                shown: str | int | None = NONE
                if fields.get(side):
                    wanted = fields[side].split("~")[:4]
                    shown = next((i for i, c in here if self._text(c).split("~")[: len(wanted)] == wanted), None)
                _offer(control, [*first, (ELSEWHERE, None), *names], shown)
        finally:
            self._busy = False

    def _fields(self) -> dict[str, str]:
        """Parts of the present view; those of the first view where it does not say."""
        parts = [part.partition("=") for part in self._explorer.view.lstrip("#").split("&")[1:]]
        fields = {key: value for key, _, value in parts}
        if fields.get("env") not in self._explorer.environments:
            fields = {"env": self._explorer.environments[0]}
        if "a" not in fields:
            fields |= {side: self._first(side) for side in ("a", "b")}
        return fields

    @staticmethod
    def _first(side: str) -> str:
        arm = FIRST_ARMS[side]
        return f"{arm.model}~{arm.method}.{arm.form}.{arm.data}~{arm.train_frequency}"

    def _seed_of(self, fields: dict[str, str], seeds: Sequence[int]) -> int | None:
        parts = fields["a"].split("~")
        named = int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else None
        return named if named in seeds else seeds[0] if named is None and seeds else None

    def _text(self, checkpoint: Checkpoint) -> str:
        arm, several = checkpoint.arm, len({c.run for c in self._explorer.checkpoints}) > 1
        parts = [arm.model, f"{arm.method}.{arm.form}.{arm.data}", arm.train_frequency, str(checkpoint.seed)]
        return "~".join([*parts, checkpoint.run] if several else parts)


def _view(fields: dict[str, str], a: str | None, b: str | None) -> str:
    kept = {key: value for key, value in fields.items() if key not in ("a", "b")}
    named = {key: value for key, value in (("a", a), ("b", b)) if value}
    return "&".join([HEAD, *(f"{key}={value}" for key, value in {**kept, **named}.items())])


def _with_seed(text: str | None, seed: int) -> str | None:
    parts = text.split("~") if text else []
    return "~".join([*parts[:3], str(seed), *parts[4:]]) if len(parts) > 2 else text


def _name(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.arm.model}/{checkpoint.arm.folder}, seed {checkpoint.seed} ({checkpoint.run})"


def _offer(control: Choice, options: Sequence, value: object) -> None:
    if list(control.options) != list(options):
        control.options = list(options)
    if control.value != value:
        control.value = value
