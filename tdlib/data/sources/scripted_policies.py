"""Policies that are written down instead of learned: a walk through a maze, an arm that goes from posture to posture.

A policy is called with an environment's observation and returns an action; what it remembers is reset by `reset`.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

Policy = Callable[[Any], np.ndarray]
GAIN, DAMPING = 10.0, 1.0  # force per distance to the next cell, per speed
NOISE = 0.3  # standard deviation of what is added to an input of at most 1
REACH, STIFFNESS = 0.4, 2.0  # [rad] around the first posture, input per radian
HELD = 25  # decisions until another posture is drawn


class MazeWalk:
    """Walk to the goal the shortest way: pulled to the next free cell and damped, with noise on the force.

    Args:
        env: A `PointMaze` environment, which draws another goal where one is reached.
        generator: Of the noise.
    """

    def __init__(self, env: gymnasium.Env, generator: np.random.Generator):
        self._maze, self._generator = env.unwrapped.maze, generator

    def __call__(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        position, velocity = np.split(observation["observation"], 2)
        way = self._way(*(self._cell(observation[name]) for name in ("achieved_goal", "desired_goal")))
        target = observation["desired_goal"] if len(way) < 2 else self._center(way[1])
        force = GAIN * (target - position) - DAMPING * velocity
        return np.clip(force + NOISE * self._generator.standard_normal(2), -1, 1)

    def _cell(self, place: np.ndarray) -> tuple[int, int]:
        row, column = self._maze.cell_xy_to_rowcol(place)
        return int(row), int(column)

    def _center(self, cell: tuple[int, int]) -> np.ndarray:
        return self._maze.cell_rowcol_to_xy(np.array(cell))

    def _way(self, start: tuple[int, int], goal: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the cells of the shortest way, found breadth first from the goal."""
        following: dict[tuple[int, int], tuple[int, int] | None] = {goal: None}
        queue = deque([goal])
        while queue and start not in following:
            row, column = here = queue.popleft()
            for beside in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if beside not in following and self._maze.maze_map[beside[0]][beside[1]] != 1:
                    following[beside] = here
                    queue.append(beside)
        way, cell = [], start if start in following else None
        while cell is not None:
            way.append(cell)
            cell = following[cell]
        return way


class PostureWalk:
    """Move the joints of an arm to postures drawn around the first one, at speeds in proportion to the distance.

    Args:
        env: `FrankaKitchen`, whose inputs are speeds of nine joints.
        generator: Of the postures and of the noise.
    """

    def __init__(self, env: gymnasium.Env, generator: np.random.Generator):
        self._first, self._generator = np.array(env.unwrapped.robot_env.init_qpos[:9]), generator
        self._target, self._left = self._first, 0

    def __call__(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        if self._left == 0:
            self._target = self._first + REACH * self._generator.uniform(-1, 1, size=len(self._first))
            self._left = HELD
        self._left -= 1
        speed = STIFFNESS * (self._target - observation["observation"][: len(self._first)])
        return np.clip(speed + NOISE * self._generator.standard_normal(len(speed)), -1, 1)
