"""Tasks: one dataset with one protocol each."""

from mgte.evaluate.tasks.task import Task, TaskContext

__all__ = ["Task", "TaskContext"]
