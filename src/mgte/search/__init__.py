"""Finding things with models: hard negatives."""
