from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from bstsearch.data.split import Split
from bstsearch.errors import InputError
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.supernet import Supernet
from bstsearch.training import Recipe, Stage, sandwich_stage, teacher_stage

RECIPE = Recipe(teacher_epochs=2, epochs=2, batch_size=8, checkpoint_every=3)


def little_data(config: McanConfig, questions: int = 40) -> Split:
    inputs = FAMILY.example_inputs(config, questions)
    answers = inputs["question"][:, 0] % 2
    return Split(
        questions=inputs["question"], image_of=torch.arange(questions), images=inputs["image"], answers=answers
    )


def stage_in(folder: Path, config: McanConfig, recipe: Recipe = RECIPE) -> Stage:
    torch.manual_seed(1)
    teacher, supernet = Supernet(FAMILY, config), Supernet(FAMILY, config)
    return sandwich_stage(supernet, teacher, recipe, folder)


def weights_after(stage: Stage, split: Split, steps: int | None = None) -> dict[str, torch.Tensor]:
    for done, _ in enumerate(stage.run(split), start=1):
        if done == steps:
            break
    return {name: tensor.clone() for name, tensor in stage.supernet.model.state_dict().items()}


@pytest.mark.parametrize("stopped_after", [1, 3, 4, 8])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, tiny_config: McanConfig, stopped_after: int) -> None:
    split = little_data(tiny_config)
    expected = weights_after(stage_in(tmp_path / "whole", tiny_config), split)
    weights_after(stage_in(tmp_path / "parts", tiny_config), split, stopped_after)
    resumed = weights_after(stage_in(tmp_path / "parts", tiny_config), split)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    logs = [(tmp_path / part / "sandwich-log.csv").read_text() for part in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert logs[0].count("\n") == 1 + 10


@pytest.mark.slow
def test_a_run_killed_in_the_middle_resumes_exactly(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys, torch
        from pathlib import Path
        from bstsearch.data.split import Split
        from bstsearch.families.mcan import FAMILY, McanConfig
        from bstsearch.files import digest
        from bstsearch.supernet import Supernet, save_weights
        from bstsearch.training import Recipe, teacher_stage

        folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
        torch.set_num_threads(1)
        torch.manual_seed(0)
        config = McanConfig(
            vocab=9, answers=3, question_length=4, word_dim=4, lstm_hidden=4, hidden=8, head_dim=2,
            encoder_heads=(4, 4), encoder_ffn=(8, 8), decoder_heads=(4, 4), decoder_ffn=(8, 8),
            flat_mlp=8, flat_out=8, dropout=0.1, image_side=8, stem_channels=(4,),
        )
        from bstsearch.space import Space
        from fractions import Fraction
        space = Space(
            widths=(Fraction(1, 2), Fraction(1)), depths=(Fraction(1, 2), Fraction(1)), stacks=(2, 2)
        )
        inputs = FAMILY.example_inputs(config, 24)
        split = Split(
            questions=inputs["question"], image_of=torch.arange(24), images=inputs["image"],
            answers=inputs["question"][:, 0] % 3,
        )
        stage = teacher_stage(
            Supernet(FAMILY, config, space),
            Recipe(teacher_epochs=3, batch_size=4, checkpoint_every=4), folder,
        )
        for progress in stage.run(split):
            if progress.step == kill_at:
                os.kill(os.getpid(), 9)
        save_weights(stage.supernet.model, folder / "end.safetensors")
        print(digest(folder / "end.safetensors"))
    """)

    def run(folder: str, kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(tmp_path / folder), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    whole, killed, resumed = run("whole", -1), run("parts", 10), run("parts", -1)
    assert whole.returncode == 0, whole.stderr
    assert killed.returncode == -9
    assert resumed.stdout == whole.stdout != ""


def test_a_teacher_learns_what_the_first_word_decides(tmp_path: Path, tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    recipe = Recipe(teacher_epochs=30, batch_size=20, learning_rate=1e-2)
    stage = teacher_stage(Supernet(FAMILY, tiny_config), recipe, tmp_path)
    losses = [progress.losses["w1-d1"] for progress in stage.run(little_data(tiny_config))]
    assert losses[-1] < 0.3 * losses[0]


def test_students_start_from_the_teacher_which_stays_as_it_is(tmp_path: Path, tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    teacher, supernet = Supernet(FAMILY, tiny_config), Supernet(FAMILY, tiny_config)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    stage = sandwich_stage(supernet, teacher, RECIPE, tmp_path)
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.state_dict().items())
    weights_after(stage, little_data(tiny_config))
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    assert not torch.equal(before["model.proj.weight"], supernet.state_dict()["model.proj.weight"])


def test_progress_tells_the_running_accuracy_of_three_sizes(tmp_path: Path, tiny_config: McanConfig) -> None:
    seen = list(stage_in(tmp_path, tiny_config).run(little_data(tiny_config)))
    assert [progress.step for progress in seen] == list(range(1, 11))
    assert {"smallest", "largest"} <= set(seen[0].accuracies)
    assert set(seen[-1].accuracies) == {"smallest", "middle", "largest"}
    assert all(0 <= share <= 1 for share in seen[-1].accuracies.values())
    assert seen[0].learning_rate < seen[1].learning_rate > seen[-1].learning_rate


def test_the_learning_rate_rises_again_at_a_restart(tmp_path: Path, tiny_config: McanConfig) -> None:
    torch.manual_seed(0)
    recipe = Recipe(teacher_epochs=6, teacher_restarts=(4,), batch_size=8, warmup=0.25)
    stage = teacher_stage(Supernet(FAMILY, tiny_config), recipe, tmp_path)
    rates = [progress.learning_rate / recipe.learning_rate for progress in stage.run(little_data(tiny_config))]
    first, second = rates[:20], rates[20:]
    for cycle in (first, second):
        assert cycle[0] == 0
        assert max(cycle) == pytest.approx(1, abs=0.05)
        assert cycle[-1] < 0.1
    assert first.index(max(first)) == 5  # a quarter of its twenty steps


def test_another_recipe_does_not_go_on_from_a_checkpoint(tmp_path: Path, tiny_config: McanConfig) -> None:
    split = little_data(tiny_config)
    weights_after(stage_in(tmp_path, tiny_config), split, 4)
    other = dataclasses.replace(RECIPE, learning_rate=0.5, seed=3)
    with pytest.raises(InputError, match="trained with another learning_rate, seed; --force starts over"):
        weights_after(stage_in(tmp_path, tiny_config, other), split)


@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path, tiny_config: McanConfig, content: bytes) -> None:
    (tmp_path / "sandwich-checkpoint.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="is no checkpoint, or truncated"):
        weights_after(stage_in(tmp_path, tiny_config), little_data(tiny_config))
