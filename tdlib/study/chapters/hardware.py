"""The chapter on measured records: whether the law holds where nothing is simulated."""

from tdlib.study.chapters.chapter import RESULTS, Chapter, Notebook
from tdlib.study.layout import PREDICTED, RECORDS

HARDWARE = Chapter(
    notebooks={"22_hardware": Notebook(RESULTS, "whole", reads=(PREDICTED, RECORDS))},
    tables={},
    figures={"hardware/law": None, "hardware/noise": None, "hardware/coverage": None, "hardware/own_rate": None},
    shipped=lambda run, env: [],  # fitted in seconds, from records that lie beside the book
    max_bytes=4_000_000,
    foretells=("hardware",),
)
