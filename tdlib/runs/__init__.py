"""Runs of the study: presets, folders, phases, checks, the grid, and the staged book site."""
