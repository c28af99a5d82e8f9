"""Predicted and true trajectories on disk: open-loop rollouts, and episodes under a planner."""
