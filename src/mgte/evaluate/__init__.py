"""Measuring models on retrieval collections."""
