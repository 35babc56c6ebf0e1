"""HttpClient: JSON to a server and back, tried again where that may help."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from mgte.errors import BackendUnavailableError, ConfigError, DataError

# Source: OpenAI's own client tries these again, and 500 and above.
_TRANSIENT = frozenset({408, 409, 425, 429})
_LONGEST_WAIT = 60.0
_SHOWN_CHARACTERS = 200


class ServerError(DataError):
    """A server refused a request for good.

    Args:
        message: One sentence: where, what we got, what we expect.
        status: HTTP status.
        hint: What to do next.
    """

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key that was given for one host goes to no other."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        """Follow nothing; the 3xx becomes an error that says where it pointed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpClient:
    """What talks to one server.

    Attributes:
        url: Address without a trailing slash, such as "http://localhost:8080".
        key: Sent as a bearer token; "" for none.
        timeout: Seconds to wait for one answer.
        num_tries: How often a request is sent at most.
        first_wait: Seconds before the second try; doubled for each later one.
        sleep: Waits; tests pass their own.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout: float = 300.0
    num_tries: int = 5
    first_wait: float = 0.5
    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(f"url: got {self.url!r}, expected http://HOST or https://HOST")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON and read JSON.

        Overload (429), faults of the server (500 and above) and broken connections are tried
        again, after the time that the server asks for or one that doubles.

        Args:
            path: Path below the address; "" for the address itself.
            body: What is sent.

        Returns:
            Plain values of the answer.

        Raises:
            ServerError: The server refuses; the message holds status and start of its answer.
            BackendUnavailableError: There is no server, or the connection keeps breaking.
            DataError: The answer is no JSON.
        """
        target = self.url + path
        for number in range(1, self.num_tries + 1):
            is_last = number == self.num_tries
            wait = self.first_wait * 2 ** (number - 1)
            try:
                return self._once(target, body)
            except urllib.error.HTTPError as error:
                if is_last or not _is_transient(error.code):
                    raise _refused(target, error) from None
                wait = _asked_wait(error.headers, wait)
                error.close()
            except (OSError, HTTPException) as error:
                # Refused at once: nobody listens there, and waiting does not change it.
                if is_last or _is_refusal(error):
                    reason = getattr(error, "reason", error)
                    raise BackendUnavailableError(
                        f"{target}: cannot be reached ({reason})", hint="is the server running?"
                    ) from error
            self.sleep(min(wait, _LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def _once(self, target: str, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        # ASCII escapes: lone surrogates, which no server takes, do not end up as broken UTF-8.
        content = json.dumps(body).encode("ascii")
        request = urllib.request.Request(target, data=content, headers=headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=self.timeout) as response:
            answer = response.read()
        try:
            return json.loads(answer)
        except ValueError:
            raise DataError(
                f"{target}: got {_start(answer)!r}, expected JSON",
                hint="is this the address of the API, and not of a page?",
            ) from None


def _is_transient(status: int) -> bool:
    return status in _TRANSIENT or status >= 500


def _is_refusal(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), ConnectionRefusedError)


def _refused(target: str, error: urllib.error.HTTPError) -> ServerError:
    with error:
        answer = error.read()
    hint = None
    if error.code in (401, 403):
        hint = "set MGTE_API_KEY to the server's key"
    return ServerError(
        f"{target}: got status {error.code}: {_start(answer)!r}, expected 200",
        status=error.code,
        hint=hint,
    )


def _asked_wait(headers: Message, otherwise: float) -> float:
    """Seconds of `retry-after`, where it is a number."""
    try:
        asked = float(headers.get("retry-after", ""))
    except ValueError:
        return otherwise
    return asked if 0 < asked <= _LONGEST_WAIT else otherwise


def _start(answer: bytes) -> str:
    text = " ".join(answer[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace").split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
