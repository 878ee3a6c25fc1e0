from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from bstsearch.answering.asking import read_question
from bstsearch.model.supernet_folder import read_folder
from bstsearch.serving.asked import Asked, AskReader, read_asked
from bstsearch.serving.limits import Limits, RefusedError

LIMITS = Limits(question=40, deadline_ms=1000, pixels=10_000)


def form(**fields: bytes | str) -> bytes:
    parts = []
    for name, value in fields.items():
        file = '; filename="a.png"' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join([*parts, b"--x--\r\n"])


FORM = "multipart/form-data; boundary=x"


def as_json(**fields: object) -> bytes:
    return json.dumps({"question": "is it red?", "image": base64.b64encode(b"abc").decode(), **fields}).encode()


def test_json_and_forms_say_the_same() -> None:
    expected = Asked(question="is it red?", image=b"abc", deadline_ms=20.5, submodel="w1-d1", top=2)
    options = {"deadline_ms": "20.5", "submodel": "w1-d1", "top": "2"}
    assert read_asked(as_json(deadline_ms=20.5, submodel="w1-d1", top=2), "application/json", LIMITS) == expected
    assert read_asked(form(question="is it red?", image=b"abc", **options), FORM, LIMITS) == expected


def test_a_picture_of_any_bytes_comes_whole_through_a_form() -> None:
    content = bytes(range(256)) * 9000  # 2.3 MB, which a library might lay on the disk
    assert read_asked(form(question="12", image=content), FORM, LIMITS) == Asked(question="12", image=content)


@pytest.mark.parametrize("deadline", ["-1", "0", "nan", "inf", "1e400", "1001", "soon", ""])
def test_an_absurd_deadline_is_refused(deadline: str) -> None:
    with pytest.raises(RefusedError, match="deadline_ms") as error:
        read_asked(form(question="is it red?", image=b"abc", deadline_ms=deadline), FORM, LIMITS)
    assert error.value.status == 400


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"question": " "}, "the question is empty; write one"),
        ({"question": "red " * 11}, "the question has over 40 characters; write a shorter one"),
        ({"deadline_ms": -1}, "the request, deadline_ms: expected float > 0"),
        ({"top": 0}, "the request, top: expected int >= 1"),
        ({"top": 10**30}, "the request, top"),
        ({"colour": "red"}, "unknown field"),
        ({"image": 3}, "the request, image"),
        ({"image": "%%"}, "the request, image"),
        ({"question": None}, "the request, question: expected str, got null"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_line(fields: dict[str, object], line: str) -> None:
    with pytest.raises(RefusedError) as error:
        read_asked(as_json(**fields), "application/json", LIMITS)
    assert line in error.value.line
    assert error.value.status == 400
    assert "\n" not in error.value.line


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"--x", FORM, 400),
        (b"nothing of the kind", FORM, 400),
        (form(question="red?"), FORM, 400),
        (form(**{f"f{number}": "1" for number in range(20)}), FORM, 400),
        (form(question="red") * 9 + form(question="red", image=b"abc"), FORM, 400),
        (b"", "multipart/form-data", 400),
        (b"a", "", 415),
        (b"a", "text/plain", 415),
    ],
)
def test_a_malformed_body_is_refused(content: bytes, kind: str, status: int) -> None:
    with pytest.raises(RefusedError) as error:
        read_asked(content, kind, LIMITS)
    assert error.value.status == status


def test_inputs_are_those_of_ask(bundle_folder: Path, picture: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture)
    reader = AskReader.of(bundle_folder, LIMITS)
    assert reader is not None
    found = reader.inputs(*reader.read(Asked(question="what color is it?", image=picture)))
    expected = read_question("what color is it?", tmp_path / "a.png", read_folder(bundle_folder)).inputs
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in found)


def test_a_bundle_whose_models_read_no_pictures_has_no_reader(bundle_folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((bundle_folder / name).read_bytes())
    (tmp_path / "preprocessor.json").write_text('{"format": 1, "picture": null}')
    assert AskReader.of(tmp_path, LIMITS) is None
