"""The library's folders in the order in which they may import each other: a layer imports only those before it."""

LAYERS = (
    "core",
    "systems",
    "envs",
    "models",
    "speed",
    "data",
    "pixels",
    "training",
    "planning",
    "evaluation",
    "figures",
    "doctor",
    "study",
    "dynamics_model_training",
    "explorer",
    "grid",
    "publish",
)
