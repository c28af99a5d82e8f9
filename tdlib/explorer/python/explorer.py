"""The Δt explorer in JupyterLab: the page's own canvas carried by anywidget, with torch behind it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import traitlets

from tdlib.explorer.assets import engine_script, explorer_script, read_asset
from tdlib.explorer.python.answers import Answers, pack_arrays
from tdlib.explorer.python.checkpoints import Checkpoint, find_checkpoints
from tdlib.explorer.python.entries import entry_of
from tdlib.explorer.python.pack import packed_model
from tdlib.explorer.python.page import page_element
from tdlib.explorer.python.widget import ScriptWidget
from tdlib.systems import SYSTEMS


class Explorer(ScriptWidget):
    """Move Δt and see what trained models predict; one object in JupyterLab and on a published page.

    In JupyterLab every picture asks torch. A published page has no kernel: there the same object becomes an element
    which runs the same models from the weight files beside the page, and shows a figure and a table without scripts.

    Args:
        source: Folder of a run, of models, or of one checkpoint; or several.
        view: Part of a link after "#" that names the first view; the default view if empty. Follows the controls.
        env: Environment of the first view if `view` names none.
        heatmap: Environment -> rows for the train × test map, from `tdlib.explorer.python.page.heatmap_rows`; what
            has no row is computed.
        heatmap_note: Where those rows come from, for the caption.

    Raises:
        ValueError: If a folder holds no models, or the environment is not among theirs.
    """

    view = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        source: Path | str | Sequence[Path | str],
        view: str = "",
        env: str | None = None,
        *,
        heatmap: Mapping[str, Sequence[Mapping]] | None = None,
        heatmap_note: str = "",
    ):
        super().__init__(widget_script(), view=view, config=self._read(source, env, heatmap, heatmap_note))
        self.on_msg(self._on_message)

    def switch(
        self,
        source: Path | str | Sequence[Path | str],
        *,
        heatmap: Mapping[str, Sequence[Mapping]] | None = None,
        heatmap_note: str = "",
    ) -> None:
        """Show the models of another source in the same place; the view stays as far as the source has its models.

        Raises:
            ValueError: If a folder holds no models; then nothing changes.
        """
        self.config = self._read(source, None, heatmap, heatmap_note)

    def _read(
        self,
        source: Path | str | Sequence[Path | str],
        env: str | None,
        heatmap: Mapping[str, Sequence[Mapping]] | None,
        heatmap_note: str,
    ) -> dict:
        """Find the models of a source, and say to the script which they are."""
        checkpoints = find_checkpoints([source] if isinstance(source, (str, os.PathLike)) else list(source))
        found = [name for name in SYSTEMS if any(c.env == name for c in checkpoints)]
        if env is not None and env not in found:
            raise ValueError(f"env must be one of {found}, got {env!r}")
        self.checkpoints = checkpoints
        # the first environment is the one that a view without a name opens
        self.environments = sorted(found, key=lambda name: name != env)
        folders = {str(i): c.folder for i, c in enumerate(self.checkpoints)}
        known = folders, {name: SYSTEMS[name].spec for name in found}
        self.answers, self.page_answers = Answers(*known), Answers(*known, prepare=packed_model)
        models = {env: self._entries(env) for env in self.environments}
        return {"heatmap": dict(heatmap or {}), "heatmapNote": heatmap_note, "models": models}

    def _entries(self, env: str) -> list[dict]:
        several = len({c.run for c in self.checkpoints}) > 1
        return [
            {
                **entry_of(c.arm, mixture=c.mixture),
                "id": str(i), "path": _from_here(c.folder), "run": c.run if several else "", "seed": c.seed,
            }
            for i, c in enumerate(self.checkpoints)
            if c.env == env
        ]  # fmt: skip

    def _on_message(self, widget: object, content: Mapping, buffers: object) -> None:
        if content.get("kind") == "run":
            reply, numbers = self.respond(content)
            self.send(reply, buffers=[numbers])

    def respond(self, request: Mapping) -> tuple[dict, bytes]:
        """Answer one request of the page: its `id` and the shapes of the answers, and all numbers as doubles.

        A bad request is answered with a sentence, not raised, so that the page can show it.
        """
        try:
            shapes, numbers = pack_arrays([self.answers.answer(request["env"], job) for job in request["jobs"]])
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            return {"id": request.get("id"), "error": str(error)}, b""
        return {"id": request.get("id"), "shapes": shapes}, numbers

    def find(self, env: str, **keys: object) -> tuple[str, Checkpoint]:
        """Return the name in requests and the checkpoint of the first model whose arm has these keys.

        Raises:
            ValueError: If there is none.
        """
        for i, checkpoint in enumerate(self.checkpoints):
            if checkpoint.env == env and all(getattr(checkpoint.arm, name) == value for name, value in keys.items()):
                return str(i), checkpoint
        raise ValueError(f"keys must name a model found for {env}, got {keys}")

    def page_element(self) -> str:
        """Return the element for a page without a kernel, with a figure and a table for readers without scripts.

        Their numbers are those of the page's weights, which are rounded to 16 bits.
        """
        return page_element(self.environments[0], self.page_answers, self.find, self.view)


def widget_script() -> str:
    """Return the module that anywidget loads: engine, explorer and the messages to Python."""
    head, widget = "globalThis.tdExplorerWidget = true;", read_asset("explorer_widget.js")
    return "\n".join([head, engine_script(), explorer_script(), widget])


def _from_here(folder: Path) -> str:
    """Path for the Python lines, seen from where the kernel runs."""
    return Path(os.path.relpath(folder)).as_posix()
