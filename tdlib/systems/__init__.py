"""Physical truth: one differential equation per system, and its flow under a zero-order hold.

A system of one's own is made known by `tdlib.envs.register_system`.
"""

from tdlib.systems.bouncing_ball import BOUNCING_BALL
from tdlib.systems.cartpole import CARTPOLE, CARTPOLE_CONTINUOUS
from tdlib.systems.chaotic_pendulum import CHAOTIC_PENDULUM
from tdlib.systems.double_cart_pole import DOUBLE_CART_POLE
from tdlib.systems.hanging_pendulum import HANGING_PENDULUM
from tdlib.systems.hgn_gravity import HGN_THREE_BODY, HGN_TWO_BODY
from tdlib.systems.hgn_pendulum import HGN_PENDULUM
from tdlib.systems.hgn_spring import HGN_SPRING, HGN_SPRING_DAMPED
from tdlib.systems.oscillator import OSCILLATOR
from tdlib.systems.pendulum import PENDULUM
from tdlib.systems.spaceship import SPACESHIP
from tdlib.systems.system import IntervalOutcome, System
from tdlib.systems.three_body import THREE_BODY

SYSTEMS: dict[str, System] = {
    system.spec.name: system
    for system in (
        PENDULUM,
        CARTPOLE,
        CARTPOLE_CONTINUOUS,
        OSCILLATOR,
        HANGING_PENDULUM,
        SPACESHIP,
        THREE_BODY,
        DOUBLE_CART_POLE,
        BOUNCING_BALL,
        HGN_PENDULUM,
        HGN_SPRING,
        HGN_SPRING_DAMPED,
        HGN_TWO_BODY,
        HGN_THREE_BODY,
        CHAOTIC_PENDULUM,
    )
}

__all__ = ["SYSTEMS", "IntervalOutcome", "System", "get_system"]


def get_system(name: str) -> System:
    """Look a system up by name.

    Raises:
        ValueError: If there is no such system; the message lists the names.
    """
    if name not in SYSTEMS:
        raise ValueError(f"environment must be one of {sorted(SYSTEMS)}, got {name!r}")
    return SYSTEMS[name]
