"""The registered models as parameters of tests on states; those that read something else are skipped, and say so."""

import pytest

from tdlib.models import MODELS

OWN_TESTS = "tests/test_visual_models.py and tests/test_visual_training.py keep its contract"
BY_STATES = [
    name
    if "state" in family.reads
    else pytest.param(name, marks=pytest.mark.skip(reason=f"{name} reads {', '.join(family.reads)}: {OWN_TESTS}"))
    for name, family in MODELS.items()
]
