"""Measures of prediction, one file each."""
