"""Every option of every live figure, on the finished smoke run of `make test`, by the widgets themselves."""

import html
import re
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import pytest

from tdlib.figures.live_picture import LivePicture
from tdlib.study import live as study_live

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from live_cells import CELLS, FIRST_SYSTEM, NAMES, live_figure

STRIDE = 8  # in the long lists of the other systems, whose arms are those of the first


@pytest.mark.parametrize(("name", "parameters"), CELLS, ids=NAMES)
def test_every_option_of_a_live_figure_draws_it(name, parameters, runs, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(runs))
    with patch.object(study_live, "LivePicture", wraps=LivePicture) as made:
        figure, _ = live_figure(name, **parameters)
    asked = {name: value for name, value in made.call_args.kwargs.items() if value != ""}  # "": whatever comes first
    assert asked and figure._picture.first == {**figure._picture.first, **asked}  # what the notebook asks for is there
    assert figure._still.path.is_file()
    first, table, seen = figure._picture.first, figure._picture._table, []
    whole = parameters.get("env", FIRST_SYSTEM) == FIRST_SYSTEM
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # in JupyterLab a warning would stand in red below the figure
        for column, control in figure.choices.items():
            options = control.options if whole or len(control.options) <= STRIDE else control.options[::STRIDE]
            for value in options:
                control.value = value
                picture, words = re.search(r'src="([^"]+)" alt="([^"]+)"', figure.shown.value).groups()
                chosen = {**first, column: value}
                there = (table[list(chosen)] == list(chosen.values())).all(axis=1).any()
                assert ("not in this run (n = 0)" in words) == (not there) and "n = " in words
                assert str(value) in html.unescape(words)
                seen += [] if value == first[column] else [picture]
            control.value = first[column]
    assert len(set(seen)) == len(seen) > 0
