"""The phases of a run: each does what is missing and returns its tables."""
