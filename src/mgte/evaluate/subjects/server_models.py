"""ServerEncoder and ServerScorer: models behind the usual HTTP interfaces.

Embeddings: OpenAI's `/v1/embeddings` and TEI's `/embed`. Reranking: Cohere's and Jina's
`/v2/rerank` and `/v1/rerank`, and TEI's `/rerank`. Which of them a server has is found out by
asking, unless the address names one.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mgte.errors import ConfigError, DataError
from mgte.evaluate.subjects.http_client import HttpClient, ServerError
from mgte.evaluate.subjects.subject import Role, check_finite, check_scores
from mgte.vectors import Embeddings

_EMBED_ROUTES = ("/v1/embeddings", "/embeddings", "/embed")
_RERANK_ROUTES = ("/v1/rerank", "/v2/rerank", "/rerank")
# No such route here, or not for this model: TEI answers 424.
_NOT_HERE = frozenset({404, 405, 424})
_BAD_REQUEST = frozenset({400, 422, 500})
_PROBE = "What does this model make of these words?"

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class ServerEncoder:
    """An embedding model behind a server.

    Vectors get unit length here, whatever the server does. How many tokens a text has, and whether
    it was cut, is known only where the server says so per text (`tokens`, `truncated`).

    Args:
        client: What talks to the server; its address may end in the route.
        model: Name of the model for the server; "" for a server of one model.
        prompts: Text put before every text, by role.
        batch_size: Texts per request.
        num_parallel: Requests at once.
        show_progress: Progress bar; None means on a terminal.
    """

    max_length: int | None = None
    has_dense = True
    has_sparse = False
    is_cosine = True
    device = "cpu"
    revision = ""

    def __init__(
        self,
        client: HttpClient,
        model: str = "",
        *,
        prompts: Mapping[Role, str] | None = None,
        batch_size: int = 32,
        num_parallel: int = 4,
        show_progress: bool | None = None,
    ) -> None:
        self._client = client
        self._model = model
        self._prompts = dict(prompts or {})
        self._batch_size = batch_size
        self._num_parallel = num_parallel
        self._show_progress = show_progress

    @property
    def name(self) -> str:
        """Name of the model, or the address of the server."""
        return self._model or self._client.url

    @property
    def widths(self) -> tuple[int, ...]:
        """The full width: whether vectors may be cut, no server says."""
        return (len(self._probed[2]),)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of address, model, prompts and what the model makes of one text.

        The weights behind a name may change; digits that depend on the batch do not count.
        """
        vector = np.round(self._probed[2], 2) + 0.0
        parts = [self._client.url, self._model, repr(sorted(self._prompts.items()))]
        return sha256("\0".join(parts).encode() + vector.tobytes()).hexdigest()

    def encode(self, texts: Sequence[str], *, role: Role, sparse: bool = False) -> Embeddings:
        """Embed texts; see `TextEncoder.encode`. Empty texts are sent as one space.

        Args:
            texts: Texts.
            role: What they are.
            sparse: Whether sparse token weights are wanted, which servers do not give.

        Returns:
            Vectors in the order of the texts.

        Raises:
            ConfigError: Sparse weights are asked for.
            DataError: The server refuses, or answers with what is no vectors of the texts.
            BackendUnavailableError: The server cannot be reached.
        """
        if sparse:
            raise ConfigError(f"{self.name}: gives no sparse weights through its server")
        route, coding, probe = self._probed
        prompt = self._prompts.get(role, "")
        sent = [prompt + text or " " for text in texts]
        starts = range(0, len(sent), self._batch_size)
        batches = [sent[start : start + self._batch_size] for start in starts]
        ask = lambda batch: self._ask(route, coding, batch)  # noqa: E731
        parts = _in_parallel(ask, batches, self._num_parallel, self._show_progress)
        dense = np.zeros((len(texts), len(probe)), dtype=np.float32)
        facts = np.zeros((len(texts), 2), dtype=np.int64)
        for start, (vectors, told) in zip(starts, parts, strict=True):
            if vectors.shape[1] != len(probe):
                raise DataError(
                    f"{self.name}: got vectors of width {vectors.shape[1]}, expected {len(probe)}"
                )
            dense[start : start + len(vectors)] = vectors
            facts[start : start + len(vectors)] = told
        found = Embeddings(
            dense=dense,
            sparse=None,
            num_tokens=facts[:, 0],
            is_truncated=facts[:, 1].astype(np.bool_),
        )
        check_finite(found, texts, f"vectors of {self.name}", hint=None)
        dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)
        return found

    @cached_property
    def _probed(self) -> tuple[str, str, NDArray[np.float32]]:
        """The route that the server has, the coding that it takes, and a first vector."""
        routes = _routes(self._client.url, _EMBED_ROUTES, "/embeddings")
        for route in routes:
            for coding in ("", "base64", "float"):
                if (coding == "") != (self._client.url + route).endswith("/embed"):
                    continue
                try:
                    vectors, _ = self._ask(route, coding, [_PROBE])
                except ServerError as error:
                    if error.status in _NOT_HERE and route != routes[-1]:
                        break
                    if coding == "base64" and error.status in _BAD_REQUEST:
                        continue
                    raise
                return route, coding, vectors[0]
        raise DataError(f"{self._client.url}: has none of the routes {', '.join(routes)}")

    def _ask(
        self, route: str, coding: str, texts: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Vectors of one request, and tokens and truncation of its texts."""
        where = self._client.url + route
        if coding == "":
            answer = self._client.post(route, {"inputs": list(texts), "truncate": True})
            items = [{"embedding": vector} for vector in _list_of(answer, len(texts), where)]
        else:
            body = {"input": list(texts), "model": self._model, "encoding_format": coding}
            answer = self._client.post(route, body if self._model else _without_model(body))
            data = answer.get("data") if isinstance(answer, dict) else None
            items = _by_index(_list_of(data, len(texts), where), where)
        vectors = [_vector(item.get("embedding"), where) for item in items]
        if len({len(vector) for vector in vectors}) != 1:
            raise DataError(f"{where}: got vectors of several widths, expected one")
        told = [[int(item.get("tokens", 0)), bool(item.get("truncated"))] for item in items]
        return np.stack(vectors), np.array(told, dtype=np.int64)


class ServerScorer:
    """A reranker behind a server.

    Args:
        client: What talks to the server; its address may end in the route.
        model: Name of the model for the server; "" for a server of one model.
        batch_size: Documents per request.
        num_parallel: Requests at once.
        show_progress: Progress bar; None means on a terminal.
    """

    revision = ""
    # The server decides, and does not say.
    max_length = None

    def __init__(
        self,
        client: HttpClient,
        model: str = "",
        *,
        batch_size: int = 32,
        num_parallel: int = 4,
        show_progress: bool | None = None,
    ) -> None:
        self._client = client
        self._model = model
        self._batch_size = batch_size
        self._num_parallel = num_parallel
        self._show_progress = show_progress

    @property
    def name(self) -> str:
        """Name of the model, or the address of the server."""
        return self._model or self._client.url

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Score pairs; see `PairScorer.score`. Documents of one query travel together.

        Args:
            pairs: (query, document) texts.

        Returns:
            float32 `[num_pairs]`, on the server's scale.

        Raises:
            DataError: The server refuses, or answers with what is no scores of the pairs.
            BackendUnavailableError: The server cannot be reached.
        """
        requests: list[tuple[str, list[str]]] = []
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            documents = [document for _, document in group]
            for start in range(0, len(documents), self._batch_size):
                requests.append((query, documents[start : start + self._batch_size]))
        if not requests:
            return np.zeros(0, dtype=np.float32)
        route = self._route
        ask = lambda request: self._ask(route, *request)  # noqa: E731
        parts = _in_parallel(ask, requests, self._num_parallel, self._show_progress)
        return check_scores(np.concatenate(parts), pairs, f"scores of {self.name}")

    @cached_property
    def _route(self) -> str:
        routes = _routes(self._client.url, _RERANK_ROUTES, "/rerank")
        for route in routes:
            try:
                self._ask(route, "one", ["one", "two"])
            except ServerError as error:
                if error.status in _NOT_HERE and route != routes[-1]:
                    continue
                raise
            return route
        raise DataError(f"{self._client.url}: has none of the routes {', '.join(routes)}")

    def _ask(self, route: str, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        where = self._client.url + route
        sent = [document or " " for document in documents]
        body: dict[str, Any] = {"model": self._model, "query": query or " ", "documents": sent}
        if not where.endswith(("/v1/rerank", "/v2/rerank")):
            # TEI's names; raw scores, as the sigmoid of large ones is 1 for all.
            body |= {"texts": sent, "raw_scores": True, "truncate": True}
        answer = self._client.post(route, body if self._model else _without_model(body))
        results = answer.get("results") if isinstance(answer, dict) else answer
        items = _by_index(_list_of(results, len(documents), where), where)
        scores = [item.get("relevance_score", item.get("score")) for item in items]
        if not all(isinstance(score, int | float) for score in scores):
            raise DataError(f"{where}: got results without scores, expected one per document")
        return np.array(scores, dtype=np.float32)


def _routes(url: str, known: Sequence[str], last: str) -> tuple[str, ...]:
    """Routes to try below an address, which may be the whole route or end in its version."""
    if url.endswith(tuple(known)):
        return ("",)
    return (last,) if url.endswith(("/v1", "/v2")) else tuple(known)


def _in_parallel(
    ask: Callable[[Item], Answer], items: Sequence[Item], num: int, show_progress: bool | None
) -> list[Answer]:
    is_hidden = None if show_progress is None else not show_progress
    with ThreadPoolExecutor(num) as pool:
        futures = [pool.submit(ask, item) for item in items]
        try:
            return [
                future.result()
                for future in tqdm(futures, desc="requests", disable=is_hidden, leave=False)
            ]
        except BaseException:
            # What was not sent yet is not worth sending.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _list_of(values: Any, count: int, where: str) -> list[Any]:
    if not isinstance(values, list) or len(values) != count:
        got = f"{len(values)} entries" if isinstance(values, list) else type(values).__name__
        raise DataError(f"{where}: got {got} in the answer, expected a list of {count}")
    return values


def _by_index(items: Iterable[Any], where: str) -> list[dict[str, Any]]:
    """Entries in the order of what was sent."""
    found = list(items)
    if not all(isinstance(item, dict) for item in found):
        raise DataError(f"{where}: got entries that are no records, expected some with an index")
    indices = [item.get("index") for item in found]
    if sorted(index for index in indices if isinstance(index, int)) != list(range(len(found))):
        raise DataError(f"{where}: got the indices {indices[:8]}, expected each position once")
    return sorted(found, key=lambda item: item["index"])


def _vector(value: Any, where: str) -> NDArray[np.float32]:
    """A vector as a list of numbers, or as base64 of little-endian float32."""
    try:
        if isinstance(value, str):
            vector = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4")
        else:
            vector = np.array(value, dtype=np.float32)
    except (ValueError, TypeError, binascii.Error):
        vector = np.zeros(0, dtype=np.float32)
    if vector.ndim != 1 or not len(vector):
        raise DataError(f"{where}: got an embedding that is no vector, expected numbers or base64")
    return vector.astype(np.float32)


def _without_model(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "model"}
