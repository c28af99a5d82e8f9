"""Learned dynamics models when the sampling rate changes: systems, models, training, evaluation, planning, figures."""

from tdlib.core.sources import record_sources

record_sources()  # results name the source that made them, as it was when it was imported
__version__ = "0.1.0"
