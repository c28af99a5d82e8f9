"""The chapter on the rate doctor: one model, one log, and how often its verdicts are right."""

from tdlib.study.chapters.chapter import USE, Chapter, Notebook

RATE_DOCTOR = Chapter(
    notebooks={"21_rate_doctor": Notebook(USE, "whole", reads="book/measured")},
    tables={},
    figures={f"rate_doctor/{name}": None for name in ("verdict", "stamps", "rates", "finer", "trials")},
    shipped=lambda run, env: [],  # fitted in an instant, from records that lie beside the book
    max_bytes=2_000_000,
)
