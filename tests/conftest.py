"""Shared by all tests: one torch thread, so that two test processes do not fight for two cores."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
