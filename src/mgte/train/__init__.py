"""Training: recipes, objectives, the engine, checkpoints."""
