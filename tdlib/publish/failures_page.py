"""The page of failures: each way to fail with its film, or why this run has none."""

from pathlib import Path

from tdlib.evaluation.tables import read_table
from tdlib.study.phases.failure_films import TABLE


def failures_page(results: Path) -> str:
    """Write the page from `metrics/failures.csv` and the films beside it, below `results`."""
    lines = [
        "# Gallery: how it fails",
        "",
        "Each way to fail has a name, a cause, and one short film from this run's own rollouts and episodes. Which",
        "start is shown is computed, not chosen: the rule and the number that it looked at stand below the film.",
        "",
    ]
    table = results / "metrics" / f"{TABLE}.csv"
    if not table.is_file():
        return "\n".join([*lines, "This run was made before failures were filmed.", ""])
    for _, row in read_table(table).iterrows():
        film = results / "videos" / f"failure_{row['name']}.mp4"
        shown = (
            [f"```{{video}} ../results/videos/{film.name}", "```"] if film.is_file() else [f"*{_said(row['shown'])}*"]
        )
        lines += [f"## {row['title']}", "", row["cause"], "", *shown, ""]
    return "\n".join(lines)


def _said(text: str) -> str:
    return text[0].upper() + text[1:] + "."
