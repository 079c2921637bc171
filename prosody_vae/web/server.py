"""The page on this machine alone, and what it asks of Python: a recording made ready, a sentence chosen for.

It listens on 127.0.0.1 and nowhere else. A request must name that host (else another name could be pointed here), come
from the page itself where a browser says where it comes from, and be no larger than needed. Files are looked up in a
list made at the start, so that no path leads out of the folder.
"""

import json
import struct
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from copycat_jax.errors import UserError

HOST = "127.0.0.1"
LARGEST = {"/api/source": 4_000_000, "/api/sentence": 4_000}  # bytes: ten seconds of 16 bit at 192 kHz; a long sentence
LONGEST_TEXT = 500  # characters
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
# Isolation lets the runtime use threads; nothing is fetched from elsewhere.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Answer(NamedTuple):
    """What is sent back."""

    content: bytes
    kind: str = "text/plain; charset=utf-8"


Work = Callable[[Mapping[str, str], bytes], Answer]


class PageServer(ThreadingHTTPServer):
    """Serves the files of a folder and answers `works`, {path: work}, one at a time; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, folder: Path, works: Mapping[str, Work], port: int):
        self.files = {f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
        self.files["/"] = folder / "index.html"
        self.works, self.turn = works, threading.Lock()
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise UserError(f"port {port} is taken ({error.strerror})", "--port", "Give another, or 0.") from None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """A file."""
        if not self._is_own():
            return
        path = self.server.files.get(urlsplit(self.path).path)
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such file")
            return
        self._send(HTTPStatus.OK, Answer(path.read_bytes(), KINDS.get(path.suffix, "application/octet-stream")))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Work."""
        if not self._is_own():
            return
        place = urlsplit(self.path)
        work = self.server.works.get(place.path)
        if work is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of this name")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the length is not said")
            return
        if int(length) > LARGEST[place.path]:
            what = f"{int(length)} bytes are too many, at most {LARGEST[place.path]}"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what)
            return
        body = self.rfile.read(int(length))
        try:
            query = {name: values[-1] for name, values in parse_qs(place.query, max_num_fields=4).items()}
            with self.server.turn:
                answer = work(query, body)
        except (UserError, ValueError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(str(error).split()))
            return
        self._send(HTTPStatus.OK, answer)

    def _is_own(self) -> bool:
        """Whether the request names this host and, where it says where it comes from, comes from the page itself."""
        own = {f"{HOST}:{self.server.server_port}", f"localhost:{self.server.server_port}"}
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        foreign = origin is not None and origin not in {f"http://{host}" for host in own}
        foreign |= site not in ("none", "same-origin") and not self._is_visit()
        if self.headers.get("Host") not in own:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.address}")
        elif foreign:
            self._refuse(HTTPStatus.FORBIDDEN, "other pages are not answered")
        else:
            return True
        return False

    def _is_visit(self) -> bool:
        """Whether a person follows a link to the page, from wherever it is."""
        return self.command == "GET" and self.headers.get("Sec-Fetch-Mode") == "navigate"

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # what it still sends is not read
        self._send(status, Answer(f"{reason}\n".encode()))

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing of single requests."""

    def version_string(self) -> str:
        """Says nothing of versions."""
        return "copycat"


def source_work(synthesizer) -> Work:
    """Makes a recording of the page's user ready: a wav in, {"text"} asked; out the JSON's length, it, and numbers."""

    def work(query: Mapping[str, str], body: bytes) -> Answer:
        import io

        import soundfile

        from copycat_jax.audio.signal import Audio
        from copycat_jax.synthesis import LONGEST_S
        from prosody_vae.web.sources import page_source

        text = _text(query.get("text"))
        try:
            with soundfile.SoundFile(io.BytesIO(body)) as file:
                rate, most = file.samplerate, int((LONGEST_S + 1) * file.samplerate)  # a longer one is refused below
                samples = file.read(most, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            raise UserError("is no wav file", "recording", "Record it again.") from None
        source = page_source(synthesizer, Audio(samples.mean(axis=1), rate), text)
        about = json.dumps(source.about, allow_nan=False).encode()
        about += b" " * (-(4 + len(about)) % 4)  # numbers begin at a multiple of four
        return Answer(struct.pack("<I", len(about)) + about + source.numbers, "application/octet-stream")

    return work


def sentence_work(selector) -> Work:
    """Chooses for a sentence of the page's user, by every way whose parser and encoder are installed."""

    def work(query: Mapping[str, str], body: bytes) -> Answer:
        from prosody_vae.web.sentences import sentence_fields

        del query
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise UserError("is not JSON", "request", "") from None
        text = _text(fields.get("text") if isinstance(fields, dict) else None)
        made = sentence_fields(selector, text, missing_ok=True)
        return Answer(json.dumps(made, allow_nan=False).encode(), "application/json")

    return work


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError("no text", remedy="Say what is spoken.")
    if len(value) > LONGEST_TEXT:
        raise UserError(f"{len(value)} characters are too many", remedy=f"Give at most {LONGEST_TEXT}.")
    return value
