"""The explorer in JupyterLab, and the weights of the published page."""
