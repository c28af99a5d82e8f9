"""Latents that collapse: one predictor of pictures by our settings and by two of the founding documents."""

import pandas as pd

from tdlib.figures.save import Drawing
from tdlib.figures.style import (
    METHOD_COLORS,
    NothingToDrawError,
    new_figure,
    plain_log_axis,
    shared_legend,
    span_text,
    style,
)
from tdlib.figures.visual import BASELINES
from tdlib.figures.visual_words import MODEL
from tdlib.figures.words import number_text, seeds_text

USUAL = "hgn"
ROWS = {  # method of arms -> words at the left
    USUAL: "as elsewhere here",
    "mean_energy": "energy averaged",
    "raw_kl": "divergence undivided",
}
FORM = "spatial_hamiltonian"
PANELS = {  # column -> words below
    "latent_nats": "a latent says [nats]",
    "q_motion": "way / spread of starts",
    "followed": "all steps / one step",
    "mse": "MSE per value",
}
COLUMNS, HEIGHT = 2, 3.6
NARROW = 1.3  # decades that have room for labels between powers of ten


def draw_collapse(table: pd.DataFrame) -> Drawing:
    """Draw what a latent says, how far it moves, how it is followed and how it errs, at the rate of training.

    Args:
        table: Rows of `visual_dt_generalization`.

    Raises:
        NothingToDrawError: If a setting that lets latents collapse was not trained beside the usual one.
    """
    found = detectors(table)
    if not {USUAL} < set(found["method"]):
        raise NothingToDrawError("no setting that lets latents collapse was trained beside the usual one")
    methods = [method for method in ROWS if (found["method"] == method).any()]
    with style():
        figure, axes = new_figure(len(PANELS) // COLUMNS, COLUMNS, height=HEIGHT, sharey=True)
        for axis, (column, words) in zip(axes.flat, PANELS.items(), strict=True):
            for place, method in enumerate(methods):
                values = found.loc[found["method"] == method, column]
                color = METHOD_COLORS["ode" if method == USUAL else "baseline"]
                axis.plot(values, [place] * len(values), "|", color=color, markersize=9)
                axis.plot(values.mean(), place, "o", color=color, markersize=5)
            axis.set(xscale="log", xlabel=words)
            axis.margins(x=0.2)
            plain_log_axis(axis.xaxis, NARROW)
        for name, look in BASELINES.items():
            axes[-1, -1].axvline(found[name].mean(), **look)
        axes[0, 0].set_yticks(range(len(methods)), [ROWS[method] for method in methods])
        axes[0, 0].set_ylim(len(methods) - 0.5, -0.5)
        shared_legend(figure, axes)
    env = found["env"].iloc[0]
    caption = (
        f"{env}: a predictor of energies, trained end to end by {len(methods)} settings, asked open loop at the rate "
        f"of training; circles are means over n = {seeds_text(found['seed'].nunique())}, bars each of them, of "
        f"{span_text(found['n'])} motions. What the latent of a start says of its frames, how far its positions then "
        f"move, how many times as much all steps err as one does, and the error beside what knows no motion. "
        f"{_conclusion(found)}"
    )
    return Drawing(figure, caption, f"Four numbers of {len(methods)} settings of one model of {env}, as points.", found)


def detectors(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per setting and seed, of seeds that each setting has, with what `PANELS` names and the baselines."""
    kept = table["method"].isin(ROWS) & (table["form"] == FORM) & (table["protocol"] == "B")
    table = table[kept & (table["test_frequency"] == table["train_frequency"])]
    first = table.loc[table["method"] != USUAL, "env"].iloc[:1]
    table = table[table["env"].isin(first)]
    keys = ["env", "method", "seed"]
    errors = table.pivot_table(index=keys, columns="prediction", values="mse")
    own = table[table["prediction"] == MODEL].set_index(keys)[["latent_nats", "q_motion", "mse", "n"]]
    if own.empty:
        return own.reset_index()
    own = own.join(errors[list(BASELINES)]).assign(followed=own["mse"] / errors["model_teacher_forced"]).reset_index()
    counts = own.groupby("seed")["method"].nunique()
    return own[own["seed"].isin(counts.index[counts == own["method"].nunique()])]


def _conclusion(found: pd.DataFrame) -> str:
    mean = found.groupby("method")[["latent_nats", "q_motion"]].mean()
    parts = []
    if "raw_kl" in mean.index:
        nats = mean["latent_nats"]
        parts.append(f"undivided it says {number_text(nats['raw_kl'])} nats in place of {number_text(nats[USUAL])}")
    if "mean_energy" in mean.index:
        share = mean["q_motion"]["mean_energy"] / mean["q_motion"][USUAL]
        parts.append(f"averaged it moves {number_text(share)} times as far as summed")
    return f"With the divergence and the energy of the founding documents, {' and '.join(parts)}."
