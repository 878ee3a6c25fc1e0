from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bstsearch.errors import DeviceError, InputError, UsageError
from bstsearch.profiles import stored
from bstsearch.profiles.stored import check_name, get_profile_file, home_folder, profile_folders, stored_profiles


@pytest.mark.parametrize("name", ["local", "pixel-7a", "RPi_4.8GB", "0", "a" * 64])
def test_file_safe_names_pass(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "-x", "a b", "a\n", "ü", "a" * 65, "C:"])
def test_other_names_are_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="is no device name; use up to 64 letters"):
        check_name(name)
    with pytest.raises(UsageError):
        get_profile_file(name, [])


class TestLookUp:
    @pytest.fixture(autouse=True)
    def _places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four folders; each holds the profile 'shared', and one of its own."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BSTSEARCH_PROFILES", "variable")
        monkeypatch.setattr(stored, "__file__", str(tmp_path / "site" / "bstsearch" / "profiles" / "stored.py"))
        self.folders = [Path(name) for name in ("option", "variable", "profiles", "site/bstsearch/profiles/shipped")]
        for folder in self.folders:
            folder.mkdir(parents=True)
            for name in ("shared", f"only-{folder.parts[0]}"):
                (folder / f"{name}.json").write_text("{}")

    def names(self, option: Path | None) -> list[str]:
        return [str(folder.resolve().relative_to(Path.cwd())) for folder in profile_folders(option)]

    def test_option_then_variable_then_here_then_shipped(self) -> None:
        assert self.names(Path("option")) == ["option", "variable", "profiles", "site/bstsearch/profiles/shipped"]

    def test_what_is_not_given_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.names(None) == ["variable", "profiles", "site/bstsearch/profiles/shipped"]
        monkeypatch.setenv("BSTSEARCH_PROFILES", "")
        assert self.names(None) == ["profiles", "site/bstsearch/profiles/shipped"]
        monkeypatch.delenv("BSTSEARCH_PROFILES")
        assert self.names(None) == ["profiles", "site/bstsearch/profiles/shipped"]

    def test_in_a_checkout_the_shipped_ones_lie_beside_the_package(self) -> None:
        Path("site/bstsearch/profiles/shipped").rename("site/profiles")
        assert self.names(None)[-1] == "site/profiles"

    def test_the_first_folder_that_has_the_name_wins(self) -> None:
        folders = self.folders.copy()
        while folders:
            assert get_profile_file("shared", folders) == folders[0] / "shared.json"
            folders.pop(0)

    def test_every_folder_is_searched(self) -> None:
        for folder in self.folders:
            name = f"only-{folder.parts[0]}"
            assert get_profile_file(name, self.folders) == folder / f"{name}.json"
        assert len(stored_profiles(self.folders)) == 5

    def test_folders_that_do_not_exist_hold_nothing(self) -> None:
        assert stored_profiles([Path("nowhere")]) == {}

    def test_what_is_no_finished_profile_is_not_one(self) -> None:
        """An interrupted measurement, a read-me: they lie in the same folder."""
        for name in (".shared.partial", "README.md"):
            (self.folders[0] / name).write_text("{}")
        assert set(stored_profiles(self.folders[:1])) == {"shared", "only-option"}

    def test_an_unknown_name_lists_the_known_ones_and_how_to_measure(self) -> None:
        with pytest.raises(InputError) as caught:
            get_profile_file("phone", self.folders[:1])
        assert str(caught.value) == (
            "no profile of device 'phone'; stored are: only-option, shared. 'bstsearch devices' lists all; "
            "'bstsearch profile --device phone --via browser --lan' measures it, as do --via ssh, adb, and local"
        )
        with pytest.raises(InputError, match=r"'bstsearch profile' measures this machine$"):
            get_profile_file("local", self.folders[:1])

    @pytest.mark.parametrize("name", ["sharde", "Shared", "share"])
    def test_near_names_are_offered(self, name: str) -> None:
        with pytest.raises(InputError, match=rf"no profile of device '{name}'; did you mean shared\? 'bstsearch"):
            get_profile_file(name, self.folders[:1])

    def test_without_any_profile_none_is_listed(self) -> None:
        with pytest.raises(InputError, match=r"stored are: none\."):
            get_profile_file("phone", [Path("nowhere")])

    def test_new_profiles_go_where_is_looked_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert home_folder(Path("option")) == Path("option")
        assert home_folder(None) == Path("variable")
        monkeypatch.delenv("BSTSEARCH_PROFILES")
        assert home_folder(None) == Path("profiles")


def test_a_new_folder_is_not_made_before_it_is_needed(tmp_path: Path) -> None:
    assert home_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_found_out_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**arguments: object) -> None:
        assert arguments == {"dir": tmp_path}
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(DeviceError, match=r"cannot write to .*new: Permission denied; .* --profiles DIR"):
        home_folder(tmp_path / "new")


def test_a_file_is_no_folder_for_profiles(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot write to"):
        home_folder(tmp_path / "file")
