"""Pictures and films of a staged book: from files, in both themes, each with the notebook that made it.

An executed notebook holds its pictures as data inside the page. Staged, it also holds a directive that shows the file,
which the page prefers; a downloaded notebook still holds the data.
"""

import base64
import json
import re
from pathlib import Path

from tdlib.core.files import write_bytes, write_text
from tdlib.figures.dark import dark_png

DATA = re.compile(r'src="data:(?:image/png|video/mp4);base64,([^"]+)"')
DIRECTIVES = {".png": "result-figure", ".mp4": "video"}
ORIGINS = "origins.json"  # in results/: which notebook shows a picture or film first
DARK = ".dark.png"


def stage_media(site: Path) -> None:
    """Write dark figures, let notebooks show files, and note who made what, in a staged site."""
    write_dark_figures(site / "results" / "figures")
    origins = show_files(site / "notebooks", site / "results")
    write_text(site / "results" / ORIGINS, json.dumps(origins, indent=1) + "\n")


def write_dark_figures(figures: Path) -> int:
    """Write `name.dark.png` beside every figure; return how many."""
    paths = [path for path in sorted(figures.rglob("*.png")) if not path.name.endswith(DARK)]
    for path in paths:
        write_bytes(path.with_suffix(DARK), dark_png(path.read_bytes()))
    return len(paths)


def show_files(notebooks: Path, results: Path) -> dict[str, str]:
    """Let notebooks show files of `results` instead of data; return the first notebook of each file.

    Args:
        notebooks: Folder of staged notebooks, changed in place.
        results: Folder with `figures` and `videos`, beside `notebooks`.
    """
    files: dict[str, list[Path]] = {}
    for folder in ("figures", "videos"):
        for path in sorted((results / folder).rglob("*")):
            if path.suffix in DIRECTIVES and not path.name.endswith(DARK):
                files.setdefault(base64.b64encode(path.read_bytes()).decode(), []).append(path)
    origins: dict[str, str] = {}
    named: set[Path] = set()  # a label stands once in a book
    for notebook in sorted(notebooks.glob("[!.]*.ipynb")):
        content = json.loads(notebook.read_text(encoding="utf-8"))
        for output in (output for cell in content["cells"] for output in cell.get("outputs", ())):
            found = DATA.search("".join(output.get("data", {}).get("text/html", "")))
            same = files.get(found[1], []) if found else []
            for path in same:  # one picture may be stored under two names
                origins.setdefault(path.relative_to(results).as_posix(), notebook.stem)
            if same:
                name = same[0].relative_to(results.parent).as_posix()
                output["data"]["text/markdown"] = shown(same[0], name, first=same[0] not in named)
                named.add(same[0])
        write_text(notebook, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return origins


def shown(file: Path, name: str, *, first: bool) -> str:
    """Return the directive that shows a file; a figure has its label where it is shown first."""
    labeled = first and DIRECTIVES[file.suffix] == "result-figure"
    label = f":name: {label_of(name.removeprefix('results/'))}\n" if labeled else ""
    return f"```{{{DIRECTIVES[file.suffix]}}} ../{name}\n{label}```\n"


def label_of(name: str) -> str:
    """Return the label of a figure in the notebook that made it, by its path below `results/`."""
    return "made-" + re.sub(r"[^a-z0-9]+", "-", Path(name).with_suffix("").as_posix().removeprefix("figures/").lower())
