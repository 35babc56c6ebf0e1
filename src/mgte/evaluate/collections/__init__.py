"""Collections of published benchmarks, from the hub or from a local folder of the same layout."""

from mgte.evaluate.collections.config import LAYOUTS, CollectionConfig, Layout
from mgte.evaluate.collections.files import DatasetFiles
from mgte.evaluate.collections.load import load_collection

__all__ = ["LAYOUTS", "CollectionConfig", "DatasetFiles", "Layout", "load_collection"]
