import http.client
import io
import json
import struct
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from copycat_jax.errors import UserError
from prosody_vae.web import sources
from prosody_vae.web.server import HOST, LARGEST, Answer, PageServer, sentence_work, source_work


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "page" / "js").mkdir(parents=True)
    (folder / "page" / "index.html").write_text("<!doctype html>page")
    (folder / "page" / "js" / "main.js").write_text("1")
    (folder / "secret.txt").write_text("secret")

    def echo(query, body):
        if body == b"bad":
            raise UserError("two\nlines")
        return Answer(json.dumps([dict(query), len(body)]).encode(), "application/json")

    with PageServer(folder / "page", {"/api/source": echo}, 0) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def ask(server, method, path, body=None, **headers):
    """(status, headers, content), with the header names' underscores as dashes."""
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and "Content-Length" not in own:
        own["Content-Length"] = str(len(body))
    for name, value in own.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def test_files_are_served_with_their_kind_and_isolated(server):
    status, headers, content = ask(server, "GET", "/")
    assert (status, content) == (200, b"<!doctype html>page")
    assert (
        headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        and "default-src 'self'" in headers["Content-Security-Policy"]
    )
    assert ask(server, "GET", "/js/main.js?x")[1]["Content-Type"].startswith("text/javascript")
    status, headers, content = ask(server, "HEAD", "/js/main.js")
    assert status == 200 and headers["Content-Length"] == "1" and content == b""


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/js/../../secret.txt", "/%2e%2e/secret.txt", "//secret.txt", "/js", "/js/", "/secret.txt"],
)
def test_no_path_leads_out_of_the_folder(server, path):
    status, _, content = ask(server, "GET", path)
    assert status == 404 and b"secret" not in content


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/api/source")])
def test_other_pages_are_not_answered(server, method, path, headers, status):
    assert ask(server, method, path, b"x", **headers)[0] == status


def test_the_page_itself_is_answered_and_a_link_to_it_works(server):
    own = server.address.rstrip("/")
    status, _, content = ask(
        server, "POST", "/api/source?text=a%20b", b"1234", Origin=own, Sec_Fetch_Site="same-origin"
    )
    assert status == 200 and json.loads(content) == [{"text": "a b"}, 4]
    assert ask(server, "GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_what_is_too_large_or_of_no_length_is_refused_unread(server):
    assert ask(server, "POST", "/api/source", None, Content_Length=str(LARGEST["/api/source"] + 1))[0] == 413
    assert ask(server, "POST", "/api/source", None)[0] == 411
    assert ask(server, "POST", "/api/source", None, Content_Length="-1")[0] == 411
    assert ask(server, "POST", "/api/other", b"x")[0] == 404
    assert ask(server, "PUT", "/", b"x")[0] == 501


def test_a_mistake_is_one_line(server):
    status, _, content = ask(server, "POST", "/api/source", b"bad")
    assert status == 422 and content == b"two lines\n"


def test_a_taken_port_is_said(server, tmp_path):
    (tmp_path / "index.html").write_text("")
    with pytest.raises(UserError, match="is taken"):
        PageServer(tmp_path, {}, server.server_port)


def test_a_recording_is_answered_with_its_numbers_in_place(monkeypatch):
    made = sources.PageSource({"text": "a"}, b"12345678")
    heard = []
    monkeypatch.setattr(sources, "page_source", lambda synthesizer, audio, text: heard.append((audio, text)) or made)
    work, file = source_work(SimpleNamespace()), io.BytesIO()
    soundfile.write(file, np.ones((800, 2)) / 2, 8000, "PCM_16", format="WAV")
    content = work({"text": "a b"}, file.getvalue()).content
    (size,) = struct.unpack("<I", content[:4])
    assert (4 + size) % 4 == 0 and json.loads(content[4 : 4 + size]) == made.about
    assert content[4 + size :] == made.numbers
    assert heard[0][1] == "a b" and heard[0][0].samples.shape == (800,) and heard[0][0].sample_rate == 8000
    for query, body in (({}, file.getvalue()), ({"text": "a" * 501}, file.getvalue()), ({"text": "a"}, b"RIFF")):
        with pytest.raises(UserError):
            work(query, body)


@pytest.mark.parametrize("body", [b"", b"[" * 5000, b"[1]", b'{"text": 3}', b'{"text": " "}'])
def test_what_is_no_sentence_is_refused(body):
    with pytest.raises(UserError):
        sentence_work(None)({}, body)
