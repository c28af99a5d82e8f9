# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where does Δt hide?
#
# Encoder, predictor and decoder, over systems and seeds. Predictions were written before; a seed is its own motions,
# split and weights, and intervals are Student's t over seeds,
#
# $$\bar r \pm t_{0.975,\,m-1}\, s / \sqrt m .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "visual_smoke"  # name of a preset of the chapter of visual world models in params/, or a path

# %% tags=["part:imports"]
from tdlib.figures import WholeTable
from tdlib.figures import visual as drawn
from tdlib.figures.collapse import draw_collapse
from tdlib.figures.visual_words import with_causes
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_predictions, merge_parts, summarize

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Over time

# %%
over_time = tables.get("visual_metrics")
run.save_figure("visual", "visual_metrics", drawn.draw_visual_metrics, over_time)

# %% [markdown]
# ## Over rates

# %%
over_rates = tables.get("visual_dt_generalization")
draw = drawn.draw_visual_dt_generalization
run.save_figure("visual", "visual_dt_generalization", draw, over_rates)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any $\Delta t$ of systems whose state is seen.

# %%
arm = "visual world model: end to end spatial_jump, 10 Hz"
first = {"env": run.preset.environments[0], "arm": arm, "protocol": "A"}
live(run, "pictures_rates", drawn.live_visual_rates, over_rates, **first)

# %% [markdown]
# ## Encoder, one step, all steps

# %%
run.save_figure("visual", "where", drawn.draw_where, over_rates, rates=("10", "5", "20"))

# %% [markdown]
# ## Where a copy of the last frame is not beaten
#
# At the rate of training the detectors name a cause, in the order in which the parts of a model stand. Of a model that
# beats the copy there, the predictor is the cause where test A of another rate is lost, the encoder's window where only
# test B is. A ratio is the squared error over that of the copy.

# %%
causes = with_causes(over_rates)
WholeTable(causes.round(3)) if causes is not None else "nothing was asked"

# %% [markdown]
# ## When a latent collapses
#
# Two settings of the founding documents, beside the usual ones: an energy that is averaged over places, and a
# divergence that is summed beside an error that is averaged.

# %%
run.save_figure("visual", "collapse", draw_collapse, over_rates)

# %%
statistics = summarize(run, tables)
kept = statistics[statistics["metric"].str.startswith("visual.")]
f"{len(kept)} numbers of {kept['metric'].nunique()} kinds"

# %% [markdown]
# ## Predictions

# %%
predictions = evaluate_predictions(run, tables)
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
WholeTable(predictions[["prediction", "env", "what", "expected", *found]].round(3))

# %% [markdown]
# ## Finding, limits, next
#
# * What a field carries over, an encoder that counts frames may lose again: test A asks the predictor, test B both.
# * Equal optimizer steps, one width, two systems of one body; a camera that stands still, and no noise.
# * One more predictor: any class on the same contract, by its name in the registry of predictors.
# * Next: `27_visual_visualize`, what the camera sees.
