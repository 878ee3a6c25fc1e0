from __future__ import annotations

import asyncio
import base64
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.testclient import TestClient

from bstsearch.answering.exported_folder import open_session
from bstsearch.serving.app import make_app
from bstsearch.serving.asked import AskReader
from bstsearch.serving.body import Bodies
from bstsearch.serving.door import Door
from bstsearch.serving.limits import BrokenError, ClientLeftError, Limits, RefusedError
from bstsearch.serving.service import Service

SMALL, LARGE = "w1of4-d1of4", "w1of2-d1of2"
QUESTION = "what color is it?"


def png(width: int = 90, height: int = 30) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def ask(client: TestClient, picture: bytes, question: str = QUESTION, **fields: Any) -> Any:
    return client.post("/ask", files={"image": ("a.png", picture)}, data={"question": question, **fields})


def outcomes(client: TestClient) -> dict[str, float]:
    found = re.findall(r'bstsearch_requests_total\{outcome="(.*)"\} (.*)', client.get("/metrics").text)
    return {name: float(count) for name, count in found if float(count)}


def test_a_question_is_answered_by_the_most_accurate_submodel(
    client: TestClient, service: Service, picture: bytes
) -> None:
    reply = ask(client, picture, top=2)
    assert reply.status_code == 200
    data = reply.json()
    assert data["submodel"] == service.bundle.most_accurate.id
    assert len(data["answers"]) == 2
    assert list(data["time_ms"]) == ["receive", "queue", "decode", "load", "model"]
    as_json = {"question": QUESTION, "image": base64.b64encode(picture).decode(), "top": 2}
    assert client.post("/ask", json=as_json).json()["answers"] == data["answers"]
    assert outcomes(client) == {"in time": 2}


@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_a_submodel_can_be_asked_for(client: TestClient, picture: bytes, name: str) -> None:
    assert ask(client, picture, submodel=name).json()["submodel"] == name


def test_what_is_in_memory_is_told_before_anything_is_asked(service: Service) -> None:
    service.sessions._bytes = dict.fromkeys(service.bundle.by_accuracy, 7)
    with TestClient(make_app(service)) as client:
        assert "bstsearch_resident_bytes 14.0" in client.get("/metrics").text


def test_every_stage_is_in_the_metrics(client: TestClient, picture: bytes) -> None:
    ask(client, picture)
    text = client.get("/metrics").text
    for stage in ("receive", "queue", "decode", "load", "model", "reply"):
        assert f'bstsearch_stage_seconds_count{{stage="{stage}"}} 1.0' in text
    assert 'bstsearch_answers_total{submodel="' in text
    assert "bstsearch_waiting 0.0" in text


@pytest.mark.parametrize(
    ("content", "question", "fields", "line"),
    [
        (b"no picture", QUESTION, {}, "the picture cannot be read as an image: Pillow knows no such kind"),
        (png()[:60], QUESTION, {}, "the picture cannot be read as an image"),
        (b"", QUESTION, {}, "the picture cannot be read as an image"),
        (png(5001, 5000), QUESTION, {}, "5001 x 5000 pixels; expected 25,000,000 at most"),
        (png(), "", {}, "the question is empty"),
        (png(), "?", {}, "no word of the question"),
        (png(), "red" * 400, {}, "the question has over 1,000 characters"),
        (png(), QUESTION, {"deadline_ms": "-1"}, "deadline_ms"),
        (png(), QUESTION, {"deadline_ms": "nan"}, "deadline_ms"),
        (png(), QUESTION, {"deadline_ms": "60001"}, "deadline_ms is over 60,000"),
        (png(), QUESTION, {"submodel": "w9"}, "there is no submodel 'w9'; choose one of w1of4-d1of4, "),
    ],
)
def test_bad_input_is_one_line_and_disturbs_nothing(
    client: TestClient, picture: bytes, content: bytes, question: str, fields: dict[str, str], line: str
) -> None:
    reply = ask(client, content, question, **fields)
    assert reply.status_code == 400
    assert line in reply.json()["error"]
    assert ask(client, picture).status_code == 200
    assert outcomes(client) == {"in time": 1, "invalid": 1}


def test_a_deadline_that_no_submodel_meets_is_refused_at_once(client: TestClient, picture: bytes) -> None:
    reply = ask(client, picture, deadline_ms="0.001")
    assert reply.status_code == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert "Connection" not in reply.headers  # there is more to be asked
    assert "no submodel can answer before the deadline" in reply.json()["error"]
    assert outcomes(client) == {"refused": 1}


def test_the_protocol_tells_what_there_is(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"/v2/models/{SMALL}/ready").json() == {"name": SMALL, "ready": True}
    assert client.get("/v2").json()["name"] == "bstsearch"
    for name in ("elastic", SMALL):
        assert client.get(f"/v2/models/{name}/ready").status_code == 200
        data = client.get(f"/v2/models/{name}").json()
        assert data["inputs"] == [
            {"name": "question", "datatype": "INT64", "shape": [1, 10]},
            {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3]},
        ]
        assert [one["name"] for one in data["outputs"]] == ["logits"]
    assert client.get("/v2/models/w9").status_code == 404
    assert client.get("/v2/models/w9/ready").status_code == 404
    assert client.get("/v2/models/elastic/versions/1/ready").json() == {"error": "Not Found"}
    assert client.get("/ask").json() == {"error": "Method Not Allowed"}


def tensors() -> list[dict[str, Any]]:
    return [
        {"name": "question", "datatype": "INT64", "shape": [1, 10], "data": list(range(10))},
        {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3], "data": [7] * (64 * 64 * 3)},
    ]


def test_tensors_are_answered_as_the_graph_answers_them(client: TestClient, service: Service) -> None:
    reply = client.post(f"/v2/models/{SMALL}/infer", json={"id": "7", "inputs": tensors()}).json()
    assert (reply["model_name"], reply["id"], reply["parameters"].pop("submodel")) == (SMALL, "7", SMALL)
    assert {type(one) for one in reply["parameters"].values()} == {float}
    feed = {
        "question": np.arange(10, dtype=np.int64)[None],
        "image": np.full((1, 64, 64, 3), 7, np.uint8),
    }
    session = open_session(service.bundle.path / f"{SMALL}.onnx", threads=1)
    assert reply["outputs"][0]["data"] == pytest.approx(session.run(None, feed)[0][0].tolist(), abs=1e-6)


def test_any_submodel_answers_tensors_within_a_deadline(client: TestClient) -> None:
    asked = {"inputs": tensors(), "parameters": {"deadline_ms": 20_000}}
    assert client.post("/v2/models/elastic/infer", json=asked).json()["parameters"]["submodel"] in (SMALL, LARGE)
    assert client.post("/v2/models/elastic/infer", json={"inputs": tensors()[:1]}).status_code == 400
    assert client.post("/v2/models/elastic/infer", content=b"{").status_code == 400
    assert client.post("/v2/models/elastic/infer", json={"inputs": tensors(), "parameters": None}).status_code == 200
    others = {"inputs": tensors(), "outputs": [{"name": "scores"}]}
    assert "no output 'scores'" in client.post("/v2/models/elastic/infer", json=others).json()["error"]
    binary = client.post("/v2/models/elastic/infer", json=asked, headers={"Inference-Header-Content-Length": "99"})
    assert (binary.status_code, "binary_data=False" in binary.json()["error"]) == (400, True)
    wild = [{**tensors()[0], "data": [10**9] * 10}, tensors()[1]]
    reply = client.post("/v2/models/elastic/infer", json={"inputs": wild})
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("ONNX Runtime refuses the inputs: ")
    assert client.post("/v2/models/w9/infer", json=asked).status_code == 404


def test_what_the_event_loop_does_not_see_is_taken_off_the_deadline(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(client, picture, deadline_ms="20000").status_code == 200
    monkeypatch.setattr(Door, "lag", 20.0)
    assert ask(client, picture, deadline_ms="20000").status_code == 503
    assert ask(client, picture, deadline_ms="50000").status_code == 200


def test_what_waited_too_long_to_be_read_is_refused(
    client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_turned_away(_: Door) -> bool:
        return False

    monkeypatch.setattr(Door, "enter", is_turned_away)
    reply = ask(client, picture)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert outcomes(client) == {"refused": 1}


def test_threads_come_back_from_a_model_though_the_loop_is_busy(service: Service) -> None:
    before = sys.getswitchinterval()
    with TestClient(make_app(service)):
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_a_large_picture_asks_for_more_time(client: TestClient) -> None:
    assert ask(client, png(4000, 5000), deadline_ms="400").status_code == 503  # to read it takes about half a second


def test_a_bug_is_told_and_counted(client: TestClient, picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AskReader, "answers", lambda *_: {}["nothing"])
    reply = ask(client, picture)
    assert (reply.status_code, reply.json()) == (500, {"error": "unexpected KeyError"})
    assert outcomes(client) == {"failed": 1}


def test_what_is_no_fault_of_the_client_s_is_no_400(
    client: TestClient, service: Service, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(name: str) -> Any:
        raise BrokenError("the bundle has changed")

    monkeypatch.setattr(service.sessions, "get", get)
    reply = ask(client, picture)
    assert (reply.status_code, reply.json()) == (500, {"error": "the bundle has changed"})
    assert outcomes(client) == {"failed": 1}


def test_a_server_that_refused_all_finds_its_way_back(client: TestClient, service: Service, picture: bytes) -> None:
    """By the second after the last answer it tries one; until then the way back was thought to take a minute."""
    service._reply.value = 60.0
    service.engine._queue._heard = -10.0
    assert [ask(client, picture, deadline_ms="20000").status_code for _ in range(3)] == [200] * 3
    service.engine._queue._is_trusted = False
    assert ask(client, picture, deadline_ms="20000").status_code == 503


def test_a_page_is_served_beside_what_is_asked(service: Service, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>Ask")
    (tmp_path / "weights.bin").write_bytes(b"0123456789")
    with TestClient(make_app(service, tmp_path)) as client:
        assert client.get("/").text == "<p>Ask"
        assert client.get("/weights.bin", headers={"Range": "bytes=2-4"}).content == b"234"
        assert client.get("/../app.py").status_code == client.get("/nothing").status_code == 404
        assert client.get("/v2/health/live").json() == {"live": True}


def test_a_server_that_ends_is_alive_but_not_ready(client: TestClient, service: Service) -> None:
    service.is_ready = False
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/health/live").status_code == 200


def test_a_body_is_refused_by_its_head_and_while_it_is_read(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield bytes(1 << 20)

    assert client.post("/ask", content=b"a", headers={"Content-Length": str(10**9)}).status_code == 413
    reply = client.post("/ask", content=chunks(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 413
    assert reply.headers["Connection"] == "close"
    assert outcomes(client) == {"invalid": 2}


# What only a request by itself shows


def request_of(*chunks: bytes | None) -> Request:
    """A request whose body comes in these chunks; at None nothing comes any more."""
    ahead = list(chunks)

    async def receive() -> dict[str, Any]:
        if not ahead:
            return {"type": "http.disconnect"}
        chunk = ahead.pop(0)
        if chunk is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": bool(ahead)}

    return Request({"type": "http", "method": "POST", "path": "/ask", "headers": []}, receive)


async def read(limits: Limits, *chunks: bytes | None) -> bytes:
    async with Bodies(limits).read(request_of(*chunks)) as body:
        return body


def test_a_slow_body_is_given_up() -> None:
    limits = Limits(slowest_s=0.01)
    with pytest.raises(RefusedError) as error:
        asyncio.run(read(limits, b"a", None))
    assert error.value.status == 408


def test_a_client_that_leaves_while_it_sends_has_left() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def leave() -> None:
        async with Bodies(Limits()).read(Request({"type": "http", "method": "POST", "headers": []}, receive)):
            pass

    with pytest.raises(ClientLeftError):
        asyncio.run(leave())


def test_all_bodies_together_are_bounded() -> None:
    bodies = Bodies(Limits(held=5))

    async def two() -> bytes:
        async with bodies.read(request_of(b"abc")), bodies.read(request_of(b"abc")) as body:
            return body

    async def one_after_the_other() -> None:
        for _ in range(3):
            async with bodies.read(request_of(b"abc")) as body:
                assert body == b"abc"

    with pytest.raises(RefusedError) as error:
        asyncio.run(two())
    assert error.value.status == 503
    asyncio.run(one_after_the_other())


def test_what_is_too_large_is_read_on_for_a_while_so_that_its_client_sees_the_answer() -> None:
    request = request_of(b"abc", b"def", b"ghi")
    bodies = Bodies(Limits(body=2))

    async def refused() -> None:
        async with bodies.read(request):
            pass

    with pytest.raises(RefusedError) as error:
        asyncio.run(refused())
    assert (error.value.status, error.value.is_read) == (413, False)
    assert asyncio.run(request.receive()) == {"type": "http.disconnect"}  # nothing of it is left


def test_a_client_that_leaves_is_forgotten(service: Service, picture: bytes) -> None:
    """The engine never starts, so that the job waits."""
    form = b'{"question": "what color is it?", "image": "' + base64.b64encode(picture) + b'"}'
    sent: list[Any] = []

    async def leave() -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/ask",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
        }
        messages = [{"type": "http.request", "body": form, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            while not service.engine.waiting:  # the client leaves once its request waits
                await asyncio.sleep(0)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await make_app(service)(scope, receive, send)

    asyncio.run(leave())
    assert service.engine.waiting == 0
    assert sent[0]["status"] == 499
    assert b'outcome="left"} 1.0' in service.metrics.text()
