"""Objectives: what a stage optimises."""
