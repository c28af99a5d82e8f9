"""Learned dynamics models when the sampling rate changes: systems, models, training, evaluation, planning, figures."""

__version__ = "0.1.0"
