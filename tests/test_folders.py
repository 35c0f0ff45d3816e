import errno
import os
from pathlib import Path

import pytest

from robolearn.errors import FolderInUse
from robolearn.folders import claimed, commit, write_file


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FolderInUse, match="holds no run"), claimed(tmp_path, "run", "config.toml"):
        pass


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderInUse, match="is a file"), claimed(tmp_path / "file", "run", "x"):
        pass


def test_only_one_at_a_time(tmp_path: Path) -> None:
    with (
        claimed(tmp_path / "run", "run", "x"),
        pytest.raises(FolderInUse, match="another process"),
        claimed(tmp_path / "run", "run", "x"),
    ):
        pass
    with claimed(tmp_path / "run", "run", "x"):
        pass


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(path, "before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    for name in ("staged", "final"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError, match="not empty"):
        commit(tmp_path / "staged", tmp_path / "final")
    assert (tmp_path / "final" / "file").read_text() == "final"
