"""Servers of several interfaces on the loopback give what their models give."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from tests.unit.evaluate.conftest import write_folder
from tests.unit.evaluate.fake_encoders import HashEncoder, WordScorer

from mgte.errors import BackendUnavailableError, ConfigError, DataError
from mgte.evaluate.retrieval import evaluate_retrieval
from mgte.evaluate.subjects import HttpClient, ServerEncoder, ServerScorer, load_subject

MODEL = HashEncoder(has_sparse=False)
TEXTS = [f"text number {number} of some" for number in range(7)] + ["", "a b c d e f"]
PAIRS = [("a b", "a b c"), ("a b", "c"), ("a b", ""), ("c", "c d"), ("c", "x"), ("", "a")]


class Server:
    """What a test server answers, and what it was asked.

    Attributes:
        routes: Path to a function from a body to an answer, or to (status, headers, text).
        asked: (path, headers, body) of every request.
    """

    def __init__(self, routes) -> None:
        self.routes = routes
        self.asked = []
        self.url = ""


@contextmanager
def serving(routes):
    state = Server(routes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, dict(self.headers), body))
            status, headers, answer = 404, {}, '{"error": "no such route"}'
            if self.path in state.routes:
                found = state.routes[self.path](body)
                is_plain = isinstance(found, tuple)
                status, headers, answer = found if is_plain else (200, {}, json.dumps(found))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def vectors(texts) -> np.ndarray:
    # Not of unit length: that is made here.
    return 3.0 * MODEL.encode(texts, role="text").dense


def openai(body):
    found = vectors(body["input"])
    is_base64 = body["encoding_format"] == "base64"
    data = [
        {
            "index": i,
            "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
            if is_base64
            else row.tolist(),
        }
        for i, row in enumerate(found)
    ]
    return {"object": "list", "data": data[::-1], "model": body.get("model")}


def float_only(body):
    if body["encoding_format"] == "base64":
        return 400, {}, '{"error": {"message": "base64 is not known"}}'
    return openai(body)


def tei(body):
    return vectors(body["inputs"]).tolist()


@pytest.mark.parametrize(
    ("route", "answer", "address"),
    [
        ("/v1/embeddings", openai, ""),
        ("/v1/embeddings", openai, "/v1"),
        ("/v1/embeddings", openai, "/v1/embeddings"),
        ("/v1/embeddings", float_only, ""),
        ("/embeddings", openai, ""),
        ("/embed", tei, ""),
        ("/embed", tei, "/embed"),
    ],
)
def test_vectors_of_a_server(route, answer, address) -> None:
    with serving({route: answer}) as server:
        client = HttpClient(url=server.url + address, sleep=lambda seconds: None)
        encoder = ServerEncoder(client, "m", batch_size=2)
        found = encoder.encode(TEXTS, role="query")
        wanted = MODEL.encode([text or " " for text in TEXTS], role="query")
        np.testing.assert_allclose(found.dense, wanted.dense, atol=1e-6)
        assert encoder.widths == (8,)
        sizes = [len(body.get("input", body.get("inputs"))) for _, _, body in server.asked]
        assert max(sizes) == 2
        assert len(encoder.encode([], role="text")) == 0


def test_prompts_go_before_texts_and_change_the_fingerprint() -> None:
    with serving({"/v1/embeddings": openai}) as server:
        client = HttpClient(url=server.url, key="secret")
        plain = ServerEncoder(client)
        prompted = ServerEncoder(client, prompts={"query": "find: "})
        prompted.encode(["the sea"], role="query")
        assert server.asked[-1][2]["input"] == ["find: the sea"]
        assert "model" not in server.asked[-1][2]
        assert server.asked[-1][1]["Authorization"] == "Bearer secret"
        assert "secret" not in repr(client)
        prompted.encode(["the sea"], role="document")
        assert server.asked[-1][2]["input"] == ["the sea"]
        assert plain.fingerprint != prompted.fingerprint
        assert plain.fingerprint == ServerEncoder(client).fingerprint


def reranked(body, key="relevance_score"):
    documents = body.get("documents") or body["texts"]
    scores = WordScorer().score([(body["query"], document) for document in documents])
    found = [{"index": i, key: float(score)} for i, score in enumerate(scores)]
    return sorted(found, key=lambda one: -one[key])


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("/v1/rerank", lambda body: {"results": reranked(body)}),
        ("/v2/rerank", lambda body: {"results": reranked(body), "meta": {}}),
        (
            "/rerank",
            lambda body: reranked({"query": body["query"], "texts": body["texts"]}, "score"),
        ),
    ],
)
def test_scores_of_a_server(route, answer) -> None:
    with serving({route: answer}) as server:
        scorer = ServerScorer(HttpClient(url=server.url), "m", batch_size=2)
        assert scorer.score(PAIRS).tolist() == WordScorer().score(PAIRS).tolist()
        assert scorer.score([]).tolist() == []
        assert all(len(body["documents"]) <= 2 for _, _, body in server.asked)


def test_overload_is_waited_for() -> None:
    answers = [(429, {"Retry-After": "7"}, "busy"), (503, {}, "busy"), (500, {}, "oh")]
    waits: list[float] = []
    routes = {"/x": lambda body: answers.pop(0) if answers else {"is": "well"}}
    with serving(routes) as server:
        client = HttpClient(url=server.url, sleep=waits.append)
        assert client.post("/x", {}) == {"is": "well"}
    assert waits == [7.0, 1.0, 2.0]


def test_what_a_server_says_against_it_is_told() -> None:
    routes = {
        "/refused": lambda body: (401, {}, '{"error": "no such key"}'),
        "/busy": lambda body: (429, {}, "too much " * 100),
        "/page": lambda body: (200, {}, "<html>Welcome</html>"),
        "/moved": lambda body: (307, {"Location": "http://elsewhere.invalid/"}, ""),
    }
    with serving(routes) as server:
        client = HttpClient(url=server.url, sleep=lambda seconds: None, num_tries=2)
        with pytest.raises(DataError, match=r"/refused: got status 401: .*no such key.*API_KEY"):
            # The hint stands after a blank line.
            raise_flat(client, "/refused")
        with pytest.raises(DataError, match=r"/busy: got status 429: 'too much too .*…'"):
            client.post("/busy", {})
        with pytest.raises(DataError, match=r"/page: got '<html>Welcome</html>', expected JSON"):
            client.post("/page", {})
        with pytest.raises(DataError, match="/moved: got status 307"):
            client.post("/moved", {})
        assert [path for path, _, _ in server.asked].count("/busy") == 2
        url = server.url
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        HttpClient(url=url).post("/refused", {})
    with pytest.raises(ConfigError, match="url: got 'file:///etc'"):
        HttpClient(url="file:///etc")


def raise_flat(client, path) -> None:
    try:
        client.post(path, {})
    except DataError as error:
        raise DataError(" ".join(str(error).split())) from None


def with_data(data):
    return lambda body: {"data": data(len(body["input"]))}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (with_data(lambda n: []), "got 0 entries in the answer, expected a list of 1"),
        (with_data(lambda n: [{"index": 5, "embedding": [1.0]}] * n), "got the indices"),
        (with_data(lambda n: [{"index": 0, "embedding": "?"}]), "that is no vector"),
        (with_data(lambda n: [{"index": 0, "embedding": [[1.0], [2.0]]}]), "that is no vector"),
        (with_data(lambda n: [{"index": 0, "embedding": [1.0, float("nan")]}]), "'the moon'"),
        (lambda body: ["?"], "got NoneType in the answer"),
    ],
)
def test_answers_that_are_no_vectors(answer, message) -> None:
    with (
        serving({"/v1/embeddings": answer}) as server,
        pytest.raises(DataError, match=message),
    ):
        ServerEncoder(HttpClient(url=server.url), "m").encode(["the moon"], role="text")


def test_a_server_without_any_route() -> None:
    with serving({}) as server, pytest.raises(DataError, match="/embed: got status 404"):
        ServerEncoder(HttpClient(url=server.url)).encode(["a"], role="text")


def test_subjects_by_address(monkeypatch) -> None:
    monkeypatch.setenv("MGTE_API_KEY", "k")
    routes = {"/v1/embeddings": openai, "/v1/rerank": lambda body: {"results": reranked(body)}}
    with serving(routes) as server:
        subject = load_subject(f"{server.url}/v1#big", f"{server.url}#rank")
        assert subject.encoder.name == "big"
        assert subject.encoder.encode(["a"], role="text").dense.shape == (1, 8)
        assert server.asked[-1][2]["model"] == "big"
        assert subject.reranker.score([("a", "a b")]).tolist() == [1.0]
        assert server.asked[-1][1]["Authorization"] == "Bearer k"


def test_a_server_on_a_collection(tmp_path) -> None:
    import mgte

    folder = write_folder(tmp_path / "small")
    routes = {"/v1/embeddings": openai, "/v1/rerank": lambda body: {"results": reranked(body)}}
    with serving(routes) as server:
        found = mgte.evaluate(f"{server.url}#m", folder, reranker=server.url)
    wanted = evaluate_retrieval(MODEL, folder, reranker=WordScorer())
    assert found.modes == wanted.modes
