from __future__ import annotations

import importlib.metadata
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from robolearn.diagnosis import checks, computer, installation, rendering, stepping
from robolearn.diagnosis.finding import Finding
from robolearn.diagnosis.trial import TrialFailed, try_out
from robolearn.environments.rendering import select_gl
from robolearn.errors import ConfigurationError, MissingDependency


def only(found: Iterator[Finding]) -> Finding:
    [finding] = found
    return finding


def trial_gives(monkeypatch: pytest.MonkeyPatch, result: Any) -> None:
    def give(module: str, seconds: float) -> dict[str, Any]:
        if isinstance(result, Exception):
            raise result
        return dict(result)

    monkeypatch.setattr(rendering, "try_out", give)
    monkeypatch.setattr(stepping, "try_out", give)


def test_what_is_installed_is_read_from_the_package() -> None:
    found = only(installation.libraries())
    assert found.status == "ok"
    assert f"torch {importlib.metadata.version('torch')}" in found.found
    names = [finding.name for finding in installation.extras()]
    declared = importlib.metadata.metadata("robolearn").get_all("Provides-Extra")
    assert names == [f"extra {extra}" for extra in declared or ()]
    assert "extra sim" in names


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = SimpleNamespace(get_all=lambda _: ["arm", "none"])
    requires = [
        "numpy>=2",
        "no_such_library[all]>=3",
        "no-such-arm==1; extra == 'arm'",
        'pytest; extra == "none"',
        "colorama; sys_platform == 'win32'",
    ]
    package = SimpleNamespace(metadata=metadata, requires=requires, version="0.1")
    installed = importlib.metadata.distribution
    monkeypatch.setattr(
        importlib.metadata,
        "distribution",
        lambda name: package if name == "robolearn" else installed(name),
    )
    found = only(installation.libraries())
    assert (found.status, found.advice) == ("error", "pip install robolearn")
    assert found.found.endswith("not installed: no_such_library")
    arm, none = installation.extras()
    assert (arm.name, arm.status) == ("extra arm", "missing")
    assert "no-such-arm" in arm.found
    assert "pip install 'robolearn[arm]'" in arm.advice
    assert none.status == "ok"


def test_a_source_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    [found] = checks._run(installation.extras)
    assert found.status == "missing"
    assert "pip install -e ." in found.found


@pytest.mark.parametrize(
    ("path", "foreign"),
    [
        ("", None),
        ("/home/me/project", None),
        ("/opt/ros/jazzy/lib/python3.12/site-packages:/home/me", "/opt/ros"),
        ("/home/me:/usr/lib/python3/dist-packages", "/usr/lib/python3"),
        ("/x/python2.7/site-packages", "/x/python2.7"),
    ],
)
def test_another_installations_packages(
    monkeypatch: pytest.MonkeyPatch, path: str, foreign: str | None
) -> None:
    monkeypatch.setenv("PYTHONPATH", path)
    found = list(installation.python_path())
    assert bool(found) == (foreign is not None)
    if foreign is not None:
        assert found[0].status == "warning"
        assert f"first: {foreign}" in found[0].found


def test_two_opencvs(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"opencv-python-headless": "4"}
    monkeypatch.setattr(installation, "_version", versions.get)
    assert not list(installation.opencv())
    versions["opencv-python"] = "4"
    found = only(installation.opencv())
    assert found.status == "warning"
    assert "pip uninstall opencv-python opencv-python-headless" in found.advice


@pytest.fixture
def no_gl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no GL library."""

    def load(name: str, *arguments: Any) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr("sys.platform", "linux")


def test_no_gl_at_all(monkeypatch: pytest.MonkeyPatch, no_gl: None) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    found = only(rendering.gl_backend())
    assert (found.status, found.advice.split()[0]) == ("missing", "apt-get")
    assert not list(rendering.drawing())
    [asked] = checks.examine(["rendering"])
    assert asked.status == "error"  # it was asked for
    assert "MUJOCO_GL" not in os.environ


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        ("osmesa", "error", "MUJOCO_GL asks for osmesa, whose library cannot be loaded"),
        ("disable", "missing", "MUJOCO_GL=disable switches rendering off"),
        ("vulkan", "error", "which MuJoCo does not know"),
    ],
)
def test_mujoco_gl_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, no_gl: None, value: str, status: str, said: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", value)
    found = only(rendering.gl_backend())
    assert found.status == status
    assert said in found.found
    assert "unset MUJOCO_GL" in found.advice
    assert not list(rendering.drawing())
    assert os.environ["MUJOCO_GL"] == value


@pytest.fixture
def some_gl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "select_gl", lambda: "egl")


@pytest.mark.parametrize(
    ("renderer", "said"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", "256 bits), in software: 7.5 ms"),
        ("NVIDIA H100/PCIe/SSE2", "SSE2, in hardware: 7.5 ms"),
        ("", "it draws: 7.5 ms"),
    ],
)
def test_what_draws(
    monkeypatch: pytest.MonkeyPatch, some_gl: None, renderer: str, said: str
) -> None:
    trial_gives(monkeypatch, {"renderer": renderer, "ms": 7.5})
    found = only(rendering.drawing())
    assert found.status == "ok"
    assert f"{said} for a picture of 84×84" in found.found


def test_a_driver_that_crashes(monkeypatch: pytest.MonkeyPatch, some_gl: None) -> None:
    trial_gives(monkeypatch, TrialFailed("it crashed (SIGSEGV)"))
    found = only(rendering.drawing())
    assert (found.status, found.found) == ("error", "a picture of Lift: it crashed (SIGSEGV)")


@pytest.mark.parametrize(
    ("compiled", "cached", "status", "said"),
    [
        (True, True, "ok", "was in its cache"),
        (True, False, "ok", "compiled just now, in 31 s"),
        (False, False, "warning", "slower code"),
    ],
)
def test_how_it_is_stepped(
    monkeypatch: pytest.MonkeyPatch, compiled: bool, cached: bool, status: str, said: str
) -> None:
    figures = {"made": 2.0, "first": 31.2, "step_ms": 0.61}
    trial_gives(monkeypatch, figures | {"compiled": compiled, "cached": cached})
    found = only(stepping.stepping())
    assert found.status == status
    assert found.found.startswith("a control step of Lift takes 0.61 ms")
    assert said in found.found


def test_no_simulator(monkeypatch: pytest.MonkeyPatch, some_gl: None) -> None:
    trial_gives(monkeypatch, {"missing": "simulated tasks need robosuite: pip install …"})
    for check in (stepping.stepping, rendering.drawing):
        assert only(check()).status == "missing"
    trial_gives(monkeypatch, TrialFailed("it ended with 1"))
    assert only(stepping.stepping()).status == "error"


def test_a_step_is_tried() -> None:
    found = only(stepping.stepping())
    assert found.status == "ok"
    assert "ms" in found.found


@pytest.mark.rendering
@pytest.mark.skipif(select_gl() is None, reason="no GL library")
def test_a_picture_is_tried() -> None:
    found = only(rendering.drawing())
    assert found.status == "ok"
    assert "ware: " in found.found  # PyOpenGL comes with MuJoCo


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed .SIGSEGV"),
        ("import sys; sys.exit('no screen')", "^no screen$"),
        ("raise ValueError('a broken library')", "ValueError: a broken library"),
        ("import sys; sys.exit(3)", "ended with 3"),
        ("pass", "ended with 0"),
    ],
)
def test_trials_that_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, reason: str
) -> None:
    (tmp_path / "tried.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TrialFailed, match=reason):
        try_out("tried", 60)


def test_trials_that_hang_and_that_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "hanging.py").write_text("import time; time.sleep(600)")
    began = time.monotonic()
    with pytest.raises(TrialFailed, match=r"within 0\.5 s"):
        try_out("hanging", 0.5)
    assert time.monotonic() - began < 60
    (tmp_path / "working.py").write_text("""print("a banner"); print('{"ms": 1}')""")
    assert try_out("working", 60) == {"ms": 1}
    assert signal.Signals(11).name == "SIGSEGV"


def test_little_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    monkeypatch.chdir(tmp_path)
    usage = SimpleNamespace(free=6e10, total=6.4e7)
    monkeypatch.setattr(computer.shutil, "disk_usage", lambda path: usage)
    assert [(f.name, f.status) for f in computer.disk()] == [("disk", "ok"), ("cache", "ok")]
    usage.free = 2e9
    assert [f.status for f in computer.disk()] == ["warning", "warning"]
    monkeypatch.setattr(computer, "_SHARED", tmp_path)
    found = only(computer.shared_memory())
    assert (found.status, "--shm-size" in found.advice) == ("warning", True)
    usage.total = 2e9
    assert only(computer.shared_memory()).status == "ok"
    monkeypatch.setattr(computer, "_SHARED", tmp_path / "none")
    assert not list(computer.shared_memory())
    monkeypatch.setattr(computer.os, "access", lambda path, mode: False)
    assert [f.status for f in computer.disk()] == ["error", "error"]


def test_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(computer, "_DRIVER", tmp_path / "none")
    assert only(computer.gpu()).status == "missing"
    monkeypatch.setattr(computer, "_DRIVER", tmp_path)
    assert only(computer.gpu()).status == "error"
    device = SimpleNamespace(name="H100", total_memory=85e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: device)
    one, two = computer.gpu()
    assert (one.name, two.name, one.status) == ("GPU 0", "GPU 1", "ok")
    assert one.found.startswith("H100, 85 GB, CUDA ")


def test_what_a_check_raises_is_a_finding() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("first", "ok", "fine")
        raise RuntimeError("no\nway")

    def absent() -> Iterator[Finding]:
        raise MissingDependency("install it")
        yield

    first, second = checks._run(broken)
    assert first.status == "ok"
    assert second == Finding("broken", "error", "RuntimeError: no way")
    assert only(checks._run(absent)) == Finding("absent", "missing", "install it")


def test_unknown_topics_are_refused_before_anything_is_tried() -> None:
    with pytest.raises(ConfigurationError, match="nothing of 'arms': ask for installation, "):
        next(checks.examine(["computer", "arms"]))
