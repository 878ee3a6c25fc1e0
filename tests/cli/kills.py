"""Ends real commands by KILL, TERM, HUP and INT at random moments, and looks at what is left.

    python tests/cli/kills.py FOLDER [--kills N] [--seed N] [--only VERB]

After each: the output is the old one or the new one (or none yet), and the same command, run to its end, gives what it
gives undisturbed: the same weights, rows and scores, each score once, and no temporary. Commands are forked from this
process, so that only what they do is timed, not the loading of libraries. They train, score and export on 48 questions.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "families")]

import easy_vqa  # noqa: E402
import torch  # noqa: E402
from checkpoints import weights  # noqa: E402
from crashing import contents, restore  # noqa: E402

from bstsearch.cli.app import main  # noqa: E402
from bstsearch.holding import tidy  # noqa: E402
from bstsearch.searching.study_file import read_study  # noqa: E402
from bstsearch.tasks.easy_vqa import EasyVqa  # noqa: E402

QUESTIONS = 48
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
SIZES = {
    **dict.fromkeys(("hidden", "flat_out"), 16),
    **dict.fromkeys(("head_dim", "word_dim"), 4),
    **dict.fromkeys(("lstm_hidden", "flat_mlp"), 8),
    **{f"{part}_heads": [4] * 4 for part in ("encoder", "decoder")},
    **{f"{part}_ffn": [16] * 4 for part in ("encoder", "decoder")},
    "stem_channels": [4, 4, 8],
}
SETTINGS = " ".join(f"--set {name}={json.dumps(value, separators=(',', ':'))}" for name, value in SIZES.items())
TRAIN = f"train --teacher-epochs 2 --epochs 2 --batch-size 8 --threads 1 --device cpu {SETTINGS}"
PARETO = "pareto --supernet net --profiles profiles --device local"
EXPORT = "export --front front/front.json"
IMPORT = "import --family mcan --checkpoint model.pt --heads 4"
PROFILE = "profile --supernet net --profiles profiles --threads 1"

Result = Callable[[Path], Any]


def whole(out: Path) -> Any:
    """Every byte, but for what only training needs."""
    return contents(out, ["*.*", "training/*.csv"]) if (out / "config.json").exists() else None


def front(out: Path) -> Any:
    """The front but for its date, and the scores: each once, and none of another search."""
    if not (out / "front.json").exists():
        return None
    data = json.loads((out / "front.json").read_text())
    assert data.pop("created") in (out / "front.html").read_text(), "the page shows another front"
    ids = [one.id for one in read_study(out / "study.db")[2]]
    assert len(set(ids)) == len(ids), "a score is there twice"
    assert {one["id"] for one in data["candidates"]} == set(ids), "scores of another search"
    return data, contents(out, ["*.csv"])


def exported(out: Path) -> Any:
    """All but for measured times."""
    return contents(out, ["*.onnx", "*.safetensors", "config.json", "sample.json"]) if out.exists() else None


def profiled(out: Path) -> Any:
    """Which rows there are: times differ each time."""
    path = out / "local.json"
    if not path.exists():
        return None
    (model,) = json.loads(path.read_text())["models"]
    return [row["id"] for row in model["submodels"]], len(model["blocks"])


# A name: the command, its output, what is compared, what makes an older output first (or none), and its share of kills.
CASES: dict[str, tuple[str, str, Result, str | None, int]] = {
    "train": (f"{TRAIN} --out new", "new", whole, None, 18),
    "train --force": (f"{TRAIN} --out new --force", "new", whole, f"{TRAIN} --seed 1 --out new", 18),
    "pareto": (f"{PARETO} --out f", "f", front, None, 14),
    "pareto --force": (f"{PARETO} --out f --force", "f", front, f"{PARETO} --split test --out f", 14),
    "import": (f"{IMPORT} --out i", "i", whole, None, 8),
    "import --force": (f"{IMPORT} --out i --force", "i", whole, f"{TRAIN} --out i", 8),
    "export": (f"{EXPORT} --pick 1 --out e", "e", exported, None, 6),
    "export --force": (f"{EXPORT} --pick 1 --out e --force", "e", exported, f"{EXPORT} --pick w1-d1 --out e", 6),
    "profile --measure": (f"{PROFILE} --measure", "profiles", profiled, None, 8),
}


def start(command: str, folder: Path) -> int:
    """The number of a process that runs the command in `folder`."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.chdir(folder)
            log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(log, stream)
            sys.argv = ["bstsearch", *command.split()]
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return child


def run(command: str, folder: Path) -> int:
    """The exit code of the command, run to its end."""
    _, status = os.waitpid(start(command, folder), 0)
    return os.waitstatus_to_exitcode(status)


def end(command: str, folder: Path, number: int, after_s: float) -> int:
    """The exit code of the command where it gets that signal so many seconds later."""
    child = start(command, folder)
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def take_few_questions() -> None:
    """Has every command, and this process, know few questions, read once, and use one thread."""
    split, kept = EasyVqa.split, dict[tuple[str, str], Any]()

    def few(self: EasyVqa, name: str, reader: Any) -> Any:
        key = (name, repr(reader))
        if key not in kept:
            kept[key] = split(self, name, reader).head(QUESTIONS)  # type: ignore[attr-defined]
        return kept[key]

    EasyVqa.split = few  # type: ignore[method-assign]
    for name in ("get_train_questions", "get_train_image_paths", "get_test_questions", "get_test_image_paths"):
        setattr(easy_vqa, name, functools.cache(getattr(easy_vqa, name)))
    torch.set_num_threads(1)


def warm_up(folder: Path) -> None:
    """Runs some commands in this process, so that its children need not load what these do."""
    os.chdir(folder)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for command in (f"{TRAIN} --out warm/net", f"{PARETO} --out warm/front", f"{EXPORT} --pick 1 --out warm/small"):
            sys.argv = ["bstsearch", *command.split()]
            with contextlib.suppress(SystemExit):
                main()
    shutil.rmtree(folder / "warm")
    (folder / ".bstsearch.json").unlink(missing_ok=True)


def prepare(folder: Path) -> None:
    """What the commands read: a supernet, its profile and front, and a checkpoint."""
    torch.save(weights("mcan"), folder / "model.pt")
    for command in (f"{TRAIN} --out net", PROFILE, f"{PARETO} --out front"):
        assert run(command, folder) == 0, folder.with_suffix(".log").read_text()
    (folder / ".bstsearch.json").unlink(missing_ok=True)


def try_case(name: str, kills: int, base: Path, draw: random.Random) -> Counter[str]:
    """Ends that command so many times; how often which output was found, by signal."""
    command, place, result, before, _ = CASES[name]
    kept, folder = base.with_name(f"{base.name}-kept"), base.with_name("work")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(base, kept)
    if before:
        assert run(before, kept) == 0, kept.with_suffix(".log").read_text()
    folder.mkdir(exist_ok=True)
    restore(folder, kept)
    old, begin = result(folder / place), time.perf_counter()
    assert run(command, folder) == 0, folder.with_suffix(".log").read_text()
    seconds, new = time.perf_counter() - begin, result(folder / place)
    found: Counter[str] = Counter()
    for turn in range(kills):
        restore(folder, kept)
        number = SIGNALS[turn % len(SIGNALS)]
        after = draw.uniform(0, 1.05 * seconds)
        code = end(command, folder, number, after)
        where = f"{name}: {number.name} after {after:.2f} of {seconds:.2f} s, exit code {code}"
        assert code in (0, -number, 128 + number), f"{where}: {folder.with_suffix('.log').read_text()}"
        for one in (folder, folder / place):
            tidy(one)
        left = result(folder / place)
        assert left in (None, old, new), f"{where}: half a result"
        again = run(command, folder)
        assert again == 0 or (left == new and again == 2), f"{where}: {folder.with_suffix('.log').read_text()}"
        assert result(folder / place) == new, f"{where}: another result"
        hidden = [path for path in folder.rglob(".*") if path.name != ".bstsearch.json"]
        hidden += [path for path in folder.rglob("*") if ".new" in path.name]
        assert not hidden, f"{where}: left {hidden}"
        is_old = left == old and old != new
        found[f"{number.name} {'finished' if code == 0 else 'old' if is_old else 'new' if left else 'none yet'}"] += 1
    shutil.rmtree(folder)
    return found


def ask() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, help="of each command; by default its share of 100")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    return parser.parse_args()


if __name__ == "__main__":
    asked = ask()
    ground = asked.folder.resolve() / "ground"
    take_few_questions()
    if not ground.exists():
        ground.mkdir(parents=True)
        prepare(ground)
    warm_up(ground)
    for case in asked.only:
        begun = time.perf_counter()
        counts = try_case(case, asked.kills or CASES[case][4], ground, random.Random(asked.seed))
        words = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
        seconds = time.perf_counter() - begun
        sys.stdout.write(f"{case:18} {counts.total():3} kills, all whole, {seconds:.0f} s: {words}\n")
        sys.stdout.flush()
