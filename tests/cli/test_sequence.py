"""The commands one after the other: what one leaves is what the next one takes, and every hint works."""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import load_profile, save_profile
from bstsearch.score import ACCURACY, Accuracy
from bstsearch.searching.front_file import read_front
from bstsearch.searching.scoring import NO_RIVALS, Outcome
from bstsearch.space import Submodel
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.split import ImageSplit

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]
FRONT = Path("front/front.json")
MEMORY = Path(".bstsearch.json")

pytestmark = pytest.mark.usefixtures("few_questions", "without_published")


@pytest.fixture(scope="module")
def score(yes_folder: Path, small_split: ImageSplit) -> Callable[[Submodel], Accuracy]:
    supernet = Supernet.load(yes_folder)
    return functools.cache(lambda submodel: evaluate(supernet, submodel, small_split))


@pytest.fixture(autouse=True)
def scored(score: Callable[[Submodel], Accuracy], monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each submodel has been scored, on few questions; like the real scorer once in a command."""
    counts: Counter[str] = Counter()

    class Scorer:
        metric = ACCURACY

        def load(self) -> None:
            pass

        def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
            return self._score(submodel)

        @functools.cache  # noqa: B019 (it lives as long as one command)
        def _score(self, submodel: Submodel) -> Outcome:
            counts[submodel.id] += 1
            return Outcome(score=score(submodel))

        def test(self, submodel: Submodel) -> None:
            """There is no test part."""

    monkeypatch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Scorer())
    return counts


@pytest.fixture
def run(
    invoke: Invoke, yes_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile, tmp_path: Path
) -> Invoke:
    """Runs a line typed in a folder with a supernet, and profiles of two estimated devices and a measured one."""
    shutil.copytree(yes_folder, tmp_path / "net")
    for name in ("phone", "tablet"):
        rates = {"gflops_per_s": 10.0 if name == "phone" else 3.0, "exponent": 1.0, "gb_per_s": 1.0}
        ends = {"smallest_gflops": 0.6, "largest_gflops": 6.0, "arithmetic": "made up"}
        save_profile(make_estimated(yes_folder, name, rates=rates | ends), tmp_path / "profiles")
    save_profile(make_profile(yes_folder, "desk"), tmp_path / "profiles")
    return lambda line: invoke(*shlex.split(line))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, make_profile: MakeProfile) -> list[str]:
    """The names under which this machine was measured, at once, with made-up numbers."""
    names: list[str] = []

    def measure(folder: SupernetFolder, device: str, profiles: Path | None, *_: object, **__: object) -> Path:
        names.append(device)
        return save_profile(make_profile(folder.path, device), profiles or Path("profiles"))

    monkeypatch.setattr("bstsearch.measuring.run.measure_device", measure)
    return names


def done(result: Any) -> Any:
    assert result.exit_code == 0, result.output + result.stderr
    return result


def hint(result: Any) -> str:
    """The next command that the result names."""
    (found,) = re.findall(r"^hint: next: bstsearch (.*)$", done(result).stderr, re.MULTILINE)
    return str(found)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_three_commands(run: Invoke) -> None:
    done(run("profile --supernet net --device phone"))
    result = done(run("pareto --budget-ms 60"))
    assert "device: phone, profiled last; --device changes it\n" in result.stderr
    assert "supernet: net, profiled last; --supernet changes it\n" in result.stderr
    assert read_front(FRONT).origin.device["name"] == "phone"
    result = done(run("export --pick 1"))
    assert re.match(r"took \S+ \(row 1 of front/front.json\): .* estimated on phone\n", result.stderr)


def test_each_hint_is_a_command_that_works_up_to_the_last(run: Invoke) -> None:
    line = hint(run("profile --supernet net --device phone"))
    assert line == "pareto"
    line = hint(run(line))
    assert line.startswith("export --pick ")
    line = hint(run(line))
    assert line.startswith("eval --model export/")
    assert line.endswith("--split test")
    done(run(line))


def test_a_second_device_takes_the_scores_over_and_leaves_the_first_front_alone(
    run: Invoke, scored: Counter[str]
) -> None:
    done(run("profile --supernet net --device phone"))
    done(run(hint(run("pareto"))))
    before, exported = contents(Path("front")), contents(Path("export"))
    scored.clear()
    result = run(hint(run("profile --supernet net --device tablet")))
    assert not scored
    assert "answered from front/front.json: nothing had to be scored" in result.stderr
    first, second = read_front(FRONT), read_front(Path("front/tablet/front.json"))
    assert second.origin.device["name"] == "tablet"
    assert {one.id: one.accuracy for one in first.candidates} == {one.id: one.accuracy for one in second.candidates}
    assert all(one.latency.ms > first.get(one.id).latency.ms for one in second.candidates)
    assert before.items() <= contents(Path("front")).items()
    result = done(run(hint(result)))
    assert "of front/tablet/front.json): " in result.stderr
    assert " on tablet\n" in result.stderr
    assert exported.items() <= contents(Path("export")).items()


@pytest.mark.slow
def test_back_to_the_first_device_is_answered_from_its_front(run: Invoke) -> None:
    for device in ("phone", "tablet", "phone"):
        result = run(hint(run(f"profile --supernet net --device {device}")))
    assert "answered from front/front.json: nothing had to be scored" in result.stderr
    assert "row 1 of front/front.json" in done(run("export --pick 1 --out a")).stderr


@pytest.mark.slow
def test_a_device_that_is_measured_again_gets_a_new_front(run: Invoke, scored: Counter[str]) -> None:
    done(run("profile --supernet net --device desk"))
    done(run("pareto"))
    before = contents(Path("front"))
    scored.clear()
    for number, place in enumerate(("front/desk", "front/desk-2"), start=2):
        profile = load_profile(Path("profiles/desk.json"))
        save_profile(structs.replace(profile, notes=(f"time {number}",)), Path("profiles"))
        assert f"written to {place}: " in done(run("pareto")).stderr
    assert not scored
    assert before.items() <= contents(Path("front")).items()


@pytest.mark.slow
def test_another_supernet_or_split_does_not_get_the_scores_of_the_first(run: Invoke, scored: Counter[str]) -> None:
    done(run("pareto --supernet net --device desk"))
    scored.clear()
    assert "written to front/desk: " in done(run("pareto --supernet net --device desk --split test")).stderr
    assert scored.total() == 10
    weights = Path("net/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    scored.clear()
    assert "written to front/desk-2: " in done(run("pareto --supernet net --device desk")).stderr
    assert scored.total() == 10


def test_an_interrupted_search_goes_on_in_its_folder_and_lends_its_scores(
    run: Invoke, scored: Counter[str], score: Callable[[Submodel], Accuracy], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopping:
        metric = ACCURACY

        def load(self) -> None:
            pass

        def score(self, submodel: Submodel, rivals: Mapping[str, str] = NO_RIVALS) -> Outcome:
            if len(scored) == 4:
                raise KeyboardInterrupt
            scored[submodel.id] += 1
            return Outcome(score=score(submodel))

        def test(self, submodel: Submodel) -> None:
            """There is no test part."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bstsearch.searching.run.make_scorer", lambda *_: Stopping())
        assert run("pareto --supernet net --device phone").exit_code == 130
    assert "written to front/tablet: " in done(run("pareto --supernet net --device tablet")).stderr
    assert "written to front: " in done(run("pareto --supernet net --device phone")).stderr
    assert set(scored.values()) == {1}
    assert scored.total() == 10


@pytest.mark.slow
def test_force_scores_anew(run: Invoke, scored: Counter[str]) -> None:
    done(run("pareto --supernet net --device phone"))
    done(run("pareto --supernet net --device tablet --force"))
    assert set(scored.values()) == {2}
    assert read_front(FRONT).origin.device["name"] == "phone"


def test_options_that_are_given_win(run: Invoke) -> None:
    done(run("profile --supernet net --device phone"))
    result = done(run("pareto --device tablet --supernet net"))
    assert "profiled last" not in result.stderr
    assert read_front(FRONT).origin.device["name"] == "tablet"
    done(run("pareto --out second"))
    assert " on phone\n" in done(run("export --pick recommended")).stderr
    assert " on tablet\n" in done(run("export --pick recommended --front front/front.json --out x")).stderr


@pytest.mark.slow
def test_a_front_made_beside_others_is_found_again(run: Invoke, scored: Counter[str]) -> None:
    done(run("pareto --supernet net --device phone,tablet"))
    assert "written to front/tablet: " in done(run("pareto --supernet net --device tablet --budget-ms 90%")).stderr
    assert "written to front: " in done(run("pareto --supernet net --device desk")).stderr
    assert scored.total() == 10


@pytest.mark.slow
def test_several_devices_leave_the_first_ones_front_to_export_from(run: Invoke) -> None:
    line = hint(run("pareto --supernet net --device phone,tablet"))
    assert "--front front/phone/front.json" in line
    assert " on phone\n" in done(run("export --pick 1 --out a")).stderr
    done(run(line))


def test_ask_takes_the_device_that_was_profiled_last(run: Invoke) -> None:
    import easy_vqa

    accuracies = '{"validation": {"w1-d1": {"correct": 9, "total": 10}, "w1of4-d1of4": {"correct": 5, "total": 10}}}'
    Path("net/metrics.json").write_text(accuracies)
    done(run("profile --supernet net --device desk"))
    question = f'ask "is there a circle?" --image {easy_vqa.get_test_image_paths()[0]} --model net'
    result = done(run(f"{question} --budget-ms 50%"))
    assert "device: desk, profiled last; --device changes it\n" in result.stderr
    assert "measured on desk with" in result.stderr
    assert "device:" not in done(run(question)).stderr  # which needs none


# From nothing


def test_pareto_alone_measures_this_machine_first_and_says_so(run: Invoke, measured: list[str]) -> None:
    result = done(run("pareto --supernet net"))
    assert measured == ["local"]
    first = result.stderr.splitlines()[0]
    assert first == "no device has been profiled here: this machine is measured first, as local; --device takes another"
    assert read_front(FRONT).origin.device["name"] == "local"
    done(run(hint(result)))
    assert "device: local, profiled last" in done(run("pareto")).stderr
    assert measured == ["local"]


def test_a_stored_profile_of_this_machine_is_used_and_said(
    run: Invoke, measured: list[str], yes_folder: Path, make_profile: MakeProfile
) -> None:
    save_profile(make_profile(yes_folder, "local"), Path("profiles"))
    result = done(run("pareto --supernet net"))
    assert "device: local, read from profiles/local.json; --device changes it\n" in result.stderr
    assert measured == []


def test_a_stored_profile_of_this_machine_for_another_model_is_no_obstacle(
    run: Invoke, measured: list[str], tiny_folder: Path, make_profile: MakeProfile
) -> None:
    save_profile(make_profile(tiny_folder, "local"), Path("profiles"))
    done(run("pareto --supernet net"))
    assert measured == ["local"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("pareto --supernet net --budget-ms fast", 2),
        ("pareto --supernet nowhere", 4),
        ("pareto --supernet net --device iphone15", 4),
    ],
)
def test_nothing_is_measured_for_a_command_that_cannot_be_right(
    run: Invoke, measured: list[str], line: str, code: int
) -> None:
    assert (run(line).exit_code, measured) == (code, [])


def test_a_name_that_was_never_measured_here_is_not_this_machine(run: Invoke, measured: list[str]) -> None:
    result = run("profile --supernet net --device iphone15")
    assert (result.exit_code, measured) == (4, [])
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: no profile of device 'iphone15'; ")
    assert all(way in line for way in ("--via local if it is this machine", "browser", "ssh", "adb"))
    done(run("profile --supernet net --device iphone15 --via local"))
    done(run("profile --supernet net --device iphone15"))
    done(run("profile --supernet net --device iphone15 --measure"))
    assert measured == ["iphone15"] * 2
    result = run("pareto --device iphone16")
    assert result.exit_code == 4
    assert "error: no profile of device 'iphone16'; did you mean iphone15" in result.stderr
    assert "'bstsearch profile --device iphone16 --via browser --lan' measures it" in result.stderr


def test_what_another_computer_measured_is_not_measured_here_under_its_name(run: Invoke, measured: list[str]) -> None:
    """It is shipped, and says `via: local`: of the machine where it was made."""
    result = run("profile --supernet net --device x86-xeon-2core --measure")
    assert (result.exit_code, measured) == (2, [])
    assert "is not known to be this machine" in result.stderr


# What may be wrong


def test_a_current_device_whose_profile_is_gone(run: Invoke) -> None:
    done(run("profile --supernet net --device desk"))
    Path("profiles/desk.json").unlink()
    result = run("pareto")
    assert result.exit_code == 4
    *notes, line = result.stderr.splitlines()
    assert "device: desk, profiled last; --device changes it" in notes
    assert line.startswith("error: no profile of device 'desk'; ")
    assert "'bstsearch profile --device desk" in line
    assert not FRONT.exists()


def test_a_current_device_of_another_model(run: Invoke, tiny_folder: Path, make_profile: MakeProfile) -> None:
    done(run("profile --supernet net --device desk"))
    save_profile(make_profile(tiny_folder, "desk"), Path("profiles"))
    result = run("pareto")
    assert result.exit_code == 4
    assert "'desk' holds no measurement of this model" in result.stderr.splitlines()[-1]


def test_a_supernet_that_is_gone(run: Invoke) -> None:
    done(run("profile --supernet net --device desk"))
    shutil.rmtree("net")
    result = run("pareto")
    assert result.exit_code == 4
    assert "supernet: net, profiled last; --supernet changes it" in result.stderr
    assert "error: net does not exist" in result.stderr


def test_a_front_that_is_gone(run: Invoke) -> None:
    done(run("profile --supernet net --device phone"))
    done(run("pareto --out mine"))
    shutil.rmtree("mine")
    result = run("export --pick 1")
    assert result.exit_code == 4
    assert "mine/front.json does not exist; 'bstsearch pareto --out mine' makes one" in result.stderr


def test_dates_in_the_future_do_not_matter(run: Invoke) -> None:
    profile = load_profile(Path("profiles/desk.json"))
    later = profile.date.replace(year=2999)
    models = (structs.replace(profile.models[0], date=later),)
    save_profile(structs.replace(profile, date=later, models=models), Path("profiles"))
    done(run(hint(run(hint(run("profile --supernet net --device desk"))))))


def test_in_a_folder_that_cannot_be_written_to_it_works_and_says_that_nothing_is_remembered(
    run: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.touch

    def refuse(path: Path, **options: bool) -> None:
        if path.parent.resolve() == tmp_path:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        make(path, **options)

    monkeypatch.setattr(Path, "touch", refuse)
    result = run("profile --supernet net --device phone")
    assert "nothing is remembered in this folder: cannot write .bstsearch.json: Read-only file system" in result.stderr
    line = hint(result)
    assert line == "pareto --device phone --supernet net"
    result = run(f"{line} --out {tmp_path}/elsewhere")
    assert hint(result).endswith(f" --front {tmp_path}/elsewhere/front.json")
    done(run(hint(result)))
    assert not MEMORY.exists()


@pytest.mark.parametrize("text", ["", "{", '{"format": 2, "device": "phone"}'])
def test_a_memory_that_cannot_be_read_is_no_obstacle(run: Invoke, text: str) -> None:
    MEMORY.write_text(text)
    line = "profile --supernet net --device phone"
    for _ in range(2):
        result = done(run(line))
        assert result.stderr.count("warning: nothing is remembered in this folder") == 1
        line = hint(result)
    done(run(line))
    assert MEMORY.read_text() == text


def test_two_terminals_say_what_they_take(run: Invoke) -> None:
    done(run("profile --supernet net --device phone"))
    done(run("profile --supernet net --device tablet"))  # in the other terminal
    assert "device: tablet, profiled last" in done(run("pareto")).stderr
    done(run("profile --supernet net --device phone"))
    assert "device: phone, profiled last" in done(run("pareto")).stderr
    assert " on phone\n" in done(run("export --pick 1")).stderr


@pytest.mark.slow
def test_the_three_commands_as_typed(tmp_path: Path) -> None:
    """In processes of their own, in an empty folder, with the demo supernet and its questions."""
    environment = {name: value for name, value in os.environ.items() if name != "BSTSEARCH_PROFILES"}
    for line in ("profile --device pixel7", "pareto --budget-ms 60", "export --pick 3"):
        finished = subprocess.run(
            [sys.executable, "-m", "bstsearch", *line.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
    assert re.match(r"took \S+ \(row 3 of front/front.json\): .* estimated on pixel7\n", finished.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {".bstsearch.json", "front", "export"}
