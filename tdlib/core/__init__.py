"""What every layer stands on: names and units, time grids, solvers, seeds, files."""
