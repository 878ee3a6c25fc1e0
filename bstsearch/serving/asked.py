"""A question with its picture as a client sends it, and how they become what the model reads (no torch)."""

from __future__ import annotations

import base64
import contextlib
import itertools
import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from numpy.typing import NDArray

from bstsearch.answering.asking import best_answers
from bstsearch.answering.questions import Inputs, QuestionReader
from bstsearch.errors import InputError
from bstsearch.inputs.pictures import decode_rgb, encoded_size
from bstsearch.model.supernet_folder import read_folder
from bstsearch.reading import Name, Positive, decoded, parsing
from bstsearch.serving.limits import BrokenError, Limits, RefusedError
from bstsearch.tasks.vocabulary import FILE

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what Pillow reads without a program of its own
BLANK = base64.b64decode(  # a white pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
SMALL, SECONDS_PER_PIXEL = 100_000, 25e-9  # to read it from PNG, JPEG or WebP: 9 to 45e-9
LARGE = 4_000_000  # pixels, of which decoding takes up to 100 MB
JSON, FORM = "application/json", "multipart/form-data"


class Asked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A question about a picture (its file's bytes; base64 in JSON)."""

    question: str
    image: bytes
    deadline_ms: Positive | None = None
    submodel: Name | None = None
    top: Annotated[int, Meta(ge=1, le=100)] = 3


def read_asked(content: bytes, content_type: str, limits: Limits) -> Asked:
    """What the body of a request asks; RefusedError tells what is wrong with it."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (JSON, FORM):
        raise RefusedError(415, f"the content type is neither {JSON} nor {FORM}; send one of them")
    try:
        asked: Asked = (
            decoded(content, Asked, "the request") if kind == JSON else _form(content, content_type, limits.parts)
        )
    except InputError as error:
        raise RefusedError(400, str(error)) from error
    if not asked.question.strip():
        raise RefusedError(400, 'the question is empty; write one such as "what color is the circle?"')
    if len(asked.question) > limits.question:
        raise RefusedError(400, f"the question has over {limits.question:,} characters; write a shorter one")
    check_deadline(asked.deadline_ms, limits)
    return asked


def check_deadline(deadline_ms: float | None, limits: Limits) -> None:
    """Passes where there is no deadline, or one that is near enough; else RefusedError."""
    if deadline_ms is not None and deadline_ms > limits.deadline_ms:
        raise RefusedError(400, f"deadline_ms is over {limits.deadline_ms:,.0f}; give a smaller one, or none")


def _form(content: bytes, content_type: str, most_parts: int) -> Asked:
    """What the fields of a form ask; InputError where it is malformed."""
    from python_multipart.multipart import create_form_parser

    fields, parts = dict[str, str | bytes](), itertools.count(1)

    def keep(name: bytes, value: str | bytes) -> None:
        if next(parts) > most_parts:
            raise InputError(f"it has over {most_parts} parts")
        fields[name.decode("utf-8")] = value

    def take_field(field: Any) -> None:
        value = field.value or b""
        keep(field.field_name, value if field.field_name == b"image" else value.decode("utf-8"))

    def take_file(file: Any) -> None:
        file.file_object.seek(0)
        keep(file.field_name, file.file_object.read())

    with parsing("the form"):
        config: Any = {"MAX_MEMORY_FILE_SIZE": len(content)}
        headers = {"Content-Type": content_type.encode("latin-1")}
        parser = create_form_parser(headers, take_field, take_file, config=config)
        parser.write(content)
        parser.finalize()
        return msgspec.convert(fields, Asked, strict=False)  # its numbers are texts


class AskReader:
    """How a bundle's models read questions about pictures."""

    def __init__(self, reader: QuestionReader, limits: Limits) -> None:
        self._reader, self._most = reader, limits.pixels
        self._turn = threading.Lock()  # of large pictures, so that memory holds one of them

    @classmethod
    def of(cls, path: Path, limits: Limits) -> AskReader | None:
        """The reader of the bundle at `path`, None where its models read something else; InputError for a bad file."""
        found = QuestionReader.of(read_folder(path)) if (path / FILE).is_file() else None
        if found is None:
            return None
        decode_rgb(BLANK, most_pixels=limits.pixels, kinds=KINDS)  # so that Pillow is there before the first request
        return cls(found, limits)

    def read(self, asked: Asked) -> tuple[Asked, int]:
        """What was asked, and how many pixels its picture has, by its head; InputError where it is none."""
        width, height = encoded_size(asked.image, most_pixels=self._most, kinds=KINDS)
        return asked, width * height

    def inputs(self, asked: Asked, pixels: int) -> Inputs:
        """The model's inputs, a batch of one; InputError where no word is known, or the picture is none."""
        with self._turn if pixels > LARGE else contextlib.nullcontext():
            return self._reader.inputs(asked.question, decode_rgb(asked.image, most_pixels=self._most, kinds=KINDS))

    def answers(self, logits: NDArray[Any], top: int) -> list[dict[str, Any]]:
        """The most probable answers to one question; BrokenError where the outputs are no finite numbers."""
        try:
            found = best_answers(logits[0], self._reader.vocabulary, top)
        except InputError as error:
            raise BrokenError(str(error)) from error
        return [{"answer": answer, "probability": probability} for answer, probability in found]


def extra_seconds(pixels: int) -> float:
    """How much longer a picture of so many pixels takes than a small one."""
    return max(0, pixels - SMALL) * SECONDS_PER_PIXEL
