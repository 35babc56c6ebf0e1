"""CollectionConfig: which collection, in which layout its files lie, and what of it is used."""

from dataclasses import dataclass, replace
from typing import Literal

from mgte.errors import ConfigError
from mgte.evaluate.collection import OwnDocuments

Layout = Literal["beir", "miracl", "mldr", "mkqa", "loco", "bright", "longembed"]
LAYOUTS: tuple[Layout, ...] = ("beir", "miracl", "mldr", "mkqa", "loco", "bright", "longembed")

_SUBSET = "{subset}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionConfig:
    """A published collection.

    Attributes:
        layout: How its files are named and what stands in them; see `collections/layouts.py`.
        data: Dataset with the documents: a folder below the data root, or a hub id; `{subset}` in
            it stands for the subset, where each is a dataset of its own.
        queries: Dataset with queries and judgements; "" where `data` has them. For the layout
            "beir" it holds the judgements alone.
        subset: Language, domain or task inside the dataset; "" where there is one.
        subsets: Several of them, measured one by one; of the layout "mkqa", whose languages search
            the same documents, all at once.
        split: Which judgements.
        revision: Commit, tag or branch of `data` on the hub; "" means the newest.
        queries_revision: The same of `queries`.
        join_titles: Whether a document is its title and its text, as in BEIR and mteb, or its text
            alone, as in the CoIR library.
        own_documents: Which document is the query itself; see `make_collection`.
        max_queries: Queries used at most, drawn at random; 0 means all.
        max_documents: Documents used at most beside the judged ones, drawn at random; 0 means all.
    """

    layout: Layout
    data: str
    queries: str = ""
    subset: str = ""
    subsets: tuple[str, ...] = ()
    split: str = "test"
    revision: str = ""
    queries_revision: str = ""
    join_titles: bool = True
    own_documents: OwnDocuments = "same-id"
    max_queries: int = 0
    max_documents: int = 0

    def __post_init__(self) -> None:
        if self.subset and self.subsets:
            raise ConfigError("subsets: got both subset and subsets, expected one of them")
        if len(set(self.subsets)) != len(self.subsets):
            raise ConfigError("subsets: one stands twice, expected each once")
        if not self.data:
            raise ConfigError("data: got '', expected a folder or a hub id")
        for name in ("max_queries", "max_documents"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 or more")

    @property
    def joint_subsets(self) -> tuple[str, ...]:
        """Subsets that search the same documents, and so are searched at once."""
        return self.subsets if self.layout == "mkqa" else ()

    @property
    def resolved(self) -> "CollectionConfig":
        """The same with the subset written into the names of datasets that ask for it."""
        if _SUBSET not in self.data:
            return self
        data, queries = (text.replace(_SUBSET, self.subset) for text in (self.data, self.queries))
        return replace(self, data=data, queries=queries, subset="")
