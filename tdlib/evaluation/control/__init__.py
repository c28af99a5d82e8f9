"""Models in closed loop."""
