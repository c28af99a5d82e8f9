"""The files of the page "Bring your own", copied as a reader has them, and Python beside them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / "book" / "own"


def copy_own_files(folder: Path) -> Path:
    """Copy the page's files into a folder of somebody's."""
    for path in [path for path in OWN.iterdir() if path.is_file()]:
        shutil.copy2(path, folder / path.name)
    return folder


def python(place: Path, *arguments: str, runs: str = "runs") -> subprocess.CompletedProcess:
    """Run Python in that folder; what it makes lies in a folder beside the files, named as somebody there would."""
    environment = {**os.environ, "TDLIB_RUNS": runs, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=place, env=environment, capture_output=True, text=True)
