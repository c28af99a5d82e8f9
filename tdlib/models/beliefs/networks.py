"""Networks between numbers and Gaussians: encoders with a variance, the decoder of a belief, the effect of an input."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tdlib.models.beliefs.belief import Belief


def softplus_above(x: Tensor) -> Tensor:
    """Return log(1 + eˣ) + 10⁻⁴."""
    return nn.functional.softplus(x) + 1e-4


def elu_plus_one(x: Tensor) -> Tensor:
    """Return x + 1 where x >= 0 and eˣ elsewhere; positive in any precision, as elu(x) + 1 is not."""
    return torch.where(x >= 0, x + 1, x.clamp(max=0).exp())


VARIANCES: dict[str, Callable[[Tensor], Tensor]] = {"softplus": softplus_above, "elup1": elu_plus_one}
NORMS = ("none", "pre", "post", "unit")


def unit_length(x: Tensor) -> Tensor:
    """Bring vectors to length one: (..., n) -> (..., n)."""
    return nn.functional.normalize(x, dim=-1, eps=1e-8)


class GaussianEncoder(nn.Module):
    """Mean and variance by two linear heads on one hidden layer, h = ReLU(W x + b).

    Args:
        input_dim: Length of x.
        hidden_dim: Length of h.
        output_dim: Length of mean and variance.
        norm: `none`; `pre` or `post`, a layer norm of h or of the mean; `unit`, a mean of length one.
        variance: What makes the second head positive, a name in `VARIANCES`.

    Source:
        Shaj et al. (2023), MTS3 (`none`), and the baselines there (`post`); Shaj et al. (2020), Ac-RKN (`unit`).
    """

    def __init__(
        self, input_dim: int, hidden_dim: int, output_dim: int, norm: str = "none", variance: str = "softplus"
    ):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)
        self.mean = nn.Linear(hidden_dim, output_dim)
        self.variance = nn.Linear(hidden_dim, output_dim)
        self.pre = nn.LayerNorm(hidden_dim) if norm == "pre" else nn.Identity()
        self.post = {"post": nn.LayerNorm(output_dim)}.get(norm, nn.Identity())
        self.unit, self.positive = norm == "unit", VARIANCES[variance]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., input_dim) -> mean and variance (..., output_dim)."""
        hidden = self.pre(torch.relu(self.hidden(x)))
        mean = self.post(self.mean(hidden))
        return unit_length(mean) if self.unit else mean, self.positive(self.variance(hidden))


class BeliefDecoder(nn.Module):
    """What is expected to be observed, from the mean alone, and its variance, from the covariance alone.

    Args:
        latent_dim: d.
        hidden_dim: Width of both hidden layers.
        output_dim: Length of an observation.
        variance: What makes variances positive, a name in `VARIANCES`.

    Source:
        Becker et al. (2019), RKN, section 3.3; as in Shaj et al. (2023), MTS3.
    """

    def __init__(self, latent_dim: int, hidden_dim: int, output_dim: int, variance: str = "softplus"):
        super().__init__()
        self.mean = _one_hidden_layer(2 * latent_dim, hidden_dim, output_dim)
        self.variance = _one_hidden_layer(3 * latent_dim, hidden_dim, output_dim)
        self.positive = VARIANCES[variance]

    def forward(self, belief: Belief) -> tuple[Tensor, Tensor]:
        """(..., 2d) and (..., 3d) -> mean and variance (..., output_dim)."""
        return self.mean(belief.mean), self.positive(self.variance(belief.covariance))


class Control(nn.Sequential):
    """Effect of a held input on the mean, b(a) = W₂ LayerNorm(ReLU(W₁ a + b₁)) + b₂: (..., A) -> (..., 2d).

    Args:
        action_dim: A.
        hidden_dim: Width of the hidden layer.
        latent_dim: d.

    Source:
        Shaj et al. (2020), Ac-RKN, section 3.2; layers as in Shaj et al. (2023), MTS3.
    """

    def __init__(self, action_dim: int, hidden_dim: int, latent_dim: int):
        hidden = nn.Linear(action_dim, hidden_dim)
        super().__init__(hidden, nn.ReLU(), nn.LayerNorm(hidden_dim), nn.Linear(hidden_dim, 2 * latent_dim))


def _one_hidden_layer(input_dim: int, hidden_dim: int, output_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, output_dim))
