"""A model from a TorchScript archive; of the file only its checked program is executed (`tdlib.speed.scripted`)."""

from pathlib import Path

from torch import Tensor, nn

from tdlib.doctor.as_rows import as_rows
from tdlib.speed.scripted import load_scripted

DEPRECATED = "TorchScript is deprecated in the torch that is pinned here, though still read; .onnx will last longer"
INPUTS = (2, 3)  # state and action, or these and delta_t


class ScriptedModel(nn.Module):
    """A model of one interval: (N, D), (N, A), (N) [s] -> (N, D).

    Args:
        path: An archive whose `forward` takes state, action and, where it has a third, delta_t.

    Raises:
        ValueError: If the file is no such archive.
    """

    def __init__(self, path: Path | str):
        super().__init__()
        self.script = load_scripted(path)
        self.inputs = len(self.script.forward.schema.arguments) - 1  # without itself
        if self.inputs not in INPUTS:
            raise ValueError(f"forward of {path} must take state, action and perhaps delta_t, got {self.inputs} inputs")

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor) -> Tensor:
        """Predict the state `delta_t` seconds later: (..., D), (..., A), (...) [s] -> (..., D)."""
        rows, batch = as_rows(state, action, delta_t)
        return self.script(*rows[: self.inputs]).reshape(*batch, -1)
