"""JavaScript of models and physics, generated from their own graphs."""
