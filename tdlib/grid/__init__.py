"""The grid: jobs of a run, executed with papermill under Snakemake."""
