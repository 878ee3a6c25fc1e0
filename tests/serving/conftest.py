"""A bundle that is being served, without a socket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from bstsearch.answering.bundle_folder import read_bundle
from bstsearch.serving.app import make_app
from bstsearch.serving.server import Options, make_service
from bstsearch.serving.service import Service


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A red picture, as a PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (90, 30), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def service(bundle_folder: Path) -> Service:
    """The bundle of two submodels, one thread."""
    return make_service(read_bundle(bundle_folder), Options(bundle=bundle_folder, threads=1))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    """Talks to it."""
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield client
