"""The files that a page is served."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from phone import Meeting, Phone

from bstsearch.errors import DeviceError, InputError
from bstsearch.measuring.driver import Workload
from bstsearch.measuring.drivers.browser import driver as browser
from bstsearch.measuring.drivers.browser.files import PROVIDERS, find_dist, ort_files, read_inputs


def test_a_folder_of_onnxruntime_web_is_served_in_place_of_the_cdn(workload: Workload, tmp_path: Path) -> None:
    package = tmp_path / "onnxruntime-web"
    (package / "dist").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no ort\.wasm\.bundle\.min\.mjs and .*'npm install onnxruntime-web@"):
        find_dist(package, "wasm")
    for name in PROVIDERS["wasm"]:
        (package / "dist" / name).write_bytes(name.encode())
    assert find_dist(package, "wasm") == find_dist(package / "dist", "wasm") == package / "dist"
    with Opened(workload, package) as phone:
        for file in ort_files(package, "wasm").values():
            status, headers, content = phone.get(file.url)
            assert (status, content.decode(), file.integrity) == (200, file.url.removeprefix("ort/"), None)
        assert headers["Content-Type"] == "application/wasm"


class Opened:
    """A session with a folder of onnxruntime-web; its phone fails at the end."""

    def __init__(self, workload: Workload, ort_web: Path) -> None:
        self.session = Meeting(workload, lambda driver: None, ort_web=ort_web, arrival_s=20)

    def __enter__(self) -> Phone:
        return self.session.phone

    def __exit__(self, *_: object) -> None:
        self.session.phone.hello()
        self.session.phone.post("failed", message="the end")
        with pytest.raises(DeviceError, match="the end"):
            self.session.end()


def test_inputs_become_a_header_and_bytes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(4, dtype=np.int64).reshape(2, 2), "b": np.ones(3, np.float32)}
    np.savez(tmp_path / "in.npz", **arrays)  # type: ignore[arg-type]
    header, content = read_inputs(tmp_path / "in.npz")
    assert header == [
        {"name": "a", "type": "int64", "dims": [2, 2], "start": 0, "end": 32},
        {"name": "b", "type": "float32", "dims": [3], "start": 32, "end": 44},
    ]
    assert content == arrays["a"].tobytes() + arrays["b"].tobytes()
    np.savez(tmp_path / "in.npz", a=np.ones(2, np.float64))
    with pytest.raises(InputError, match="input 'a' is of type float64; a browser takes only bool, float32, int32"):
        read_inputs(tmp_path / "in.npz")


def test_no_page_file_names_another_server() -> None:
    folder = Path(browser.__file__).parent / "page"
    assert sorted(os.listdir(folder)) == ["index.html", "page.css", "page.js", "screen.js", "worker.js"]
    for path in folder.iterdir():
        assert "://" not in path.read_text(encoding="utf-8")
