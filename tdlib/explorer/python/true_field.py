"""The true field in a solver that one chooses: what is left of an error where nothing had to be learned."""

from torch import Tensor

from tdlib.core.solvers import integrate, solver_step
from tdlib.models import DynamicsModel
from tdlib.systems import System


class TrueField(DynamicsModel):
    """x' = what a solver makes of the true field f(x, a) in equal substeps: the error of the solver, and no other.

    Args:
        system: Whose equation is solved; limits of its state are left out.
        solver: Name in `tdlib.core.solvers.SOLVERS`.
        substeps: Equal steps inside every interval.
    """

    def __init__(self, system: System, solver: str = "euler", substeps: int = 1):
        super().__init__(system.spec, own_scales=False)
        solver_step(solver, system.spec.velocity_dims)  # names the solvers there are if this is none
        self.system, self.solver, self.substeps = system, solver, substeps

    def forward(self, state: Tensor, action: Tensor, delta_t: Tensor | float | None = None) -> Tensor:
        state, action, asked = self.broadcast(state, action, delta_t)
        inputs = self.spec.held_input(action)
        dims = self.system.spec.velocity_dims
        return integrate(lambda x: self.system.derivative(x, inputs), state, asked, self.solver, self.substeps, dims)

    def with_solver(self, solver: str, substeps: int = 1) -> "TrueField":
        """Return the same field in another solver."""
        return TrueField(self.system, solver, substeps)
