"""Columns by places: the same as a list as index, as slices."""

import pytest
import torch

from tdlib.core.columns import Columns

X = torch.arange(24.0).view(2, 2, 6)


@pytest.mark.parametrize(
    ("places", "slices"),
    [
        ([0, 1, 2], 1), ([0, 2, 4], 1), ([5], 1), ([1, 3], 1), ([0, 0, 1], 2), ([0, 2, 1, 3], 2), ([5, 4, 3], 3),
        ([2, 2, 2], 3), ([0, 1, 3, 5, 4], 3),
    ],
)  # fmt: skip
def test_columns_are_those_of_a_list(places, slices):
    take = Columns(places)
    assert torch.equal(take(X), X[..., places]) and len(take) == len(places) and len(take._slices) == slices
    same_memory = take(X).untyped_storage().data_ptr() == X.untyped_storage().data_ptr()
    assert same_memory == (slices == 1)  # a view where one slice is enough
    torch.testing.assert_close(
        torch.func.grad(lambda x: take(x).square().sum())(X),
        torch.func.grad(lambda x: x[..., places].square().sum())(X),
    )


@pytest.mark.parametrize("places", [[], [-1], [2, -1]])
def test_places_are_counted_from_zero(places):
    with pytest.raises(ValueError, match="places must be at least one column counted from 0, got"):
        Columns(places)
