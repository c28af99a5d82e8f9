"""The explorer's files: one script and one style sheet for a published page and for JupyterLab."""

import json
from functools import cache
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.explorer.python.entries import first_choices
from tdlib.explorer.python.generate.systems import systems_script
from tdlib.explorer.python.scenes import scene_values

FOLDER = Path(__file__).parent / "js"
ENGINE_PARTS = (  # in the order they build on
    "engine_numbers.js", "engine_solvers.js", "engine_systems.js", "engine_models.js", "engine_weights.js", "engine.js",
)  # fmt: skip
EXPLORER_PARTS = (  # in the order they build on
    "explorer_rates.js", "explorer_entries.js", "explorer_link.js", "explorer_inputs.js", "explorer_errors.js",
    "explorer_work.js", "explorer_requests.js", "explorer_python.js",
    "explorer_dom.js", "explorer_axes.js", "explorer_plots.js", "explorer_energy.js", "explorer_scene.js",
    "explorer_map.js", "explorer_strip.js", "explorer_controls.js", "explorer_hands.js", "explorer_push.js",
    "explorer_change.js", "explorer_update.js", "explorer_look.js", "explorer_words.js", "explorer_describe.js",
    "explorer_motion.js", "explorer_share.js", "explorer_guide.js", "explorer.js", "explorer_page.js",
)  # fmt: skip
FOUND_PARTS = ("explorer_dom.js", "explorer_axes.js", "found.js")  # likewise, of explorers of what torch found
STATE_PARTS = EXPLORER_PARTS[:8]  # those that need no page


def read_asset(name: str) -> str:
    """Return the text of one of the explorer's files: `engine*` lie in `js/engine`, all others in `js/view`."""
    return (FOLDER / ("engine" if name.startswith("engine") else "view") / name).read_text(encoding="utf-8")


@cache
def engine_script() -> str:
    """Return `tdEngine` as one classic script: the driver of models, and the systems generated from their equations."""
    return "\n".join([*(read_asset(name) for name in ENGINE_PARTS), systems_script()])


@cache
def explorer_script(parts: tuple[str, ...] = EXPLORER_PARTS) -> str:
    """Return the explorer as one classic script; it expects `tdEngine` to be there."""
    known, guided = (json.dumps(x, separators=(",", ":")) for x in (first_choices(), scene_values()))
    head = f"globalThis.tdExplorer = {{DEFAULTS: {known}, SCENES: {guided}}};"
    return "\n".join([head, *(read_asset(name) for name in parts)])


@cache
def found_script(kind: str) -> str:
    """Return the explorer of what torch found of a kind, of beliefs for example, as one classic script."""
    return "\n".join(read_asset(name) for name in (*FOUND_PARTS, f"{kind}_numbers.js", f"{kind}.js"))


def write_assets(folder: Path | str) -> list[Path]:
    """Write scripts and `explorer.css` into a folder of a page; return their paths."""
    contents = {
        "engine.js": engine_script(),
        "explorer.js": explorer_script(),
        "beliefs.js": found_script("beliefs"),
        "pictures.js": found_script("pictures"),
        "explorer.css": read_asset("explorer.css"),
    }
    return [write_text(Path(folder) / name, text) for name, text in contents.items()]
