from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robolearn import __version__
from robolearn.cli import main
from robolearn.cli.main import COMMANDS, run
from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import open_dataset
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

TINY = ["--policy.memory.hidden", "8", "--steps", "10", "--batch", "8"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail: status 2 and one line on standard error."""
    assert run([str(argument) for argument in arguments]) == 2
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if line.startswith("robolearn: ")]
    assert len(lines) == 1, output.err
    assert output.err.endswith(lines[0] + "\n")
    return lines[0]


def test_a_finished_run_without_its_metrics_is_still_finished(
    line_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(line_dataset), "--to", str(tmp_path / "run"), *TINY]
    assert run(command) == 0
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert run([*command, "--resume"]) == 0
    assert "(loss: not known)" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_lists_every_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == 0
    text = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert name in text
        assert summary in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help_with_an_example(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run([name, "--help"])
    assert exit_.value.code == 0
    assert f"Example: robolearn {name}" in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"robolearn {__version__}\n"


def test_the_help_imports_nothing_slow() -> None:
    program = (
        "import sys; from robolearn.cli.main import run; run(['--help'])\n"
        "print([m for m in ('numpy', 'torch', 'tyro', 'pydantic', 'rerun') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_does_not_import_the_heavy_libraries(name: str) -> None:
    program = (
        "import sys\nfrom robolearn.cli.main import run\n"
        f"try:\n    run([{name!r}, '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = ('torch', 'robosuite', 'mujoco', 'rerun', 'matplotlib', 'tensorboard')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recrod"], "no command 'recrod'; the commands are quickstart, record"),
        (["record"], "missing: TARGET --to PATH"),
        (["record", "sim:lift"], "missing: --to PATH"),
        (["record", "sim:lift", "--to", "x", "--epsodes", "3"], "--epsodes"),
        (["record", "sim:lift", "--to", "x", "--episodes", "some"], "--episodes: .*'some'"),
        (["record", "sim:lift", "--to", "x", "--episodes", "0"], "episodes: .*1 .*it is 0"),
        (["record", "sim:lift", "--to", "x", "--by", "me"], "--by me: .*scripted"),
        (["record", "sim:fly", "--to", "x"], "unknown target 'sim:fly': use one of .*sim:lift"),
        (
            ["train", "x", "--to", "y", "--policy.memory.history", "0"],
            "policy.memory.history: .*it is 0",
        ),
        (["train"], "missing: DATASET --to PATH"),
        (["train", "nowhere", "--to", "y"], "no dataset nowhere"),
        (["train", "x", "--to", "y", "--config", "none.toml"], "none.toml: cannot be read"),
        (["info", "nowhere"], "no dataset nowhere"),
        (["view", "nowhere"], "no nowhere"),
        (["evaluate", "nowhere", "--on", "sim:lift"], "no policy in nowhere"),
        (["evaluate", "x", "--on", "sim:lift", "--require", "2"], "--require: .*1 .*it is 2"),
        (["evaluate", "x", "--on", "sim:lift", "--seed", "0"], "--seed: .*1000000"),
        (["record", "sim:lift", "--to", "x", "--seed", "1000000"], "--seed: .*1000000"),
        (["train", "x", "--to", "y", "--steps", "0"], "--steps: .*it is 0"),
        (["train", "x", "--to", "y", "--policy.execute", "2"], "execute is 1 to 1, not 2"),
        (["train", "x", "--to", "y", "--policy.action.head", "gauss"], "'gauss'"),
        (["evaluate", "x", "--on", "sim:lift", "--actions", "best"], "'best'.*low-noise"),
        (["quickstart", "--target", "sim:fly"], "unknown target"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:

    monkeypatch.chdir(tmp_path)
    assert re.search(message, refused(capsys, *arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_task_file_is_named_with_line_and_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, repository: Path
) -> None:
    task = tmp_path / "mine.toml"
    text = (repository / "sim" / "lift.toml").read_text()
    task.write_text(text.replace("robots = [", "robot = ["))
    line = 1 + text.splitlines().index('robots = ["Panda"]')
    for command in (["record", task, "--to", tmp_path / "d"], ["quickstart", "--target", task]):
        assert f"{task}, line {line}: simulator.robot: unknown key" in refused(capsys, *command)


@pytest.mark.parametrize(
    "command",
    [
        ["record", "sim:lift", "--to"],
        ["train", "DATASET", "--to"],
        ["quickstart", "--out"],
    ],
)
def test_an_output_folder_in_use_is_refused(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lift_demonstrations: Path,
    command: list[str],
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    arguments = [str(lift_demonstrations) if part == "DATASET" else part for part in command]
    assert f"{tmp_path} is in use" in refused(capsys, *arguments, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_script_varies_as_it_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plain = ["record", "sim:lift", "--episodes", "1", "--processes", "1", "--failures", "--to"]
    actions = {}
    for name, options in {"no": [], "two": ["pauses", "speed"], "all": ["all"]}.items():
        variation = ["--variation", *options] if options else []
        assert run([*plain, str(tmp_path / name), *variation]) == 0
        episode = open_dataset(tmp_path / name).episode(0)
        actions[name] = episode.actions
        assert episode.agent == {
            "no": "scripted",
            "two": "scripted+speed+pauses",
            "all": "scripted+speed+noise+approach+pauses",
        }.get(name)
    assert not np.array_equal(actions["no"], actions["two"])
    assert not np.array_equal(actions["two"], actions["all"])
    assert run([*plain, str(tmp_path / "x"), "--by", "random", "--variation", "all"]) == 2
    assert "add --by scripted" in capsys.readouterr().err


def test_a_gymnasium_environment_is_recorded_and_tried(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data, trained = tmp_path / "data", tmp_path / "run"
    assert run(["record", "gym:CartPole-v1", "--to", str(data)]) == 2
    assert "gym:CartPole-v1 has no script" in capsys.readouterr().err
    record = ["record", "gym:CartPole-v1", "--by", "random", "--to", str(data), "--episodes", "3"]
    assert run([*record, "--processes", "1"]) == 0
    assert run(["train", str(data), "--to", str(trained), "--steps", "2"]) == 0
    capsys.readouterr()
    evaluate = ["evaluate", str(trained), "--on", "sim:cartpole", "--episodes", "2"]
    for actions in ("sample", "low-noise"):
        assert run([*evaluate, "--processes", "1", "--actions", actions]) == 0
        assert re.match(r"return \S+ ± \S+ over 2 episodes\n", capsys.readouterr().out)
        assert json.loads((trained / "evaluation.json").read_text())["actions"] == actions
    assert run([*evaluate, "--processes", "1"]) == 0
    assert re.match(r"return \S+ ± \S+ over 2 episodes\n", capsys.readouterr().out)
    assert "Return" in (trained / "report.html").read_text()
    assert run([*evaluate, "--processes", "1", "--require", "0.5"]) == 2
    assert "does not tell success" in capsys.readouterr().err


def test_info_counts(capsys: pytest.CaptureFixture[str], lift_demonstrations: Path) -> None:
    assert run(["info", str(lift_demonstrations), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["episodes"], values["frames"], values["successes"]) == (20, 1600, 20)
    assert (values["train"], values["valid"]) == (18, 2)
    assert values["features"]["action"] == [7]


def test_the_set_that_ships_is_small_has_a_card_and_names_no_machine(
    lift_demonstrations: Path, repository: Path
) -> None:
    traces = [str(repository).encode(), str(Path.home()).encode() + b"/", b"site-packages"]
    files = [path for path in lift_demonstrations.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert (lift_demonstrations / "README.md").is_file()
    for path in files:
        for trace in traces:
            assert trace not in path.read_bytes()
    model_file = open_dataset(lift_demonstrations).context.model_file
    assert model_file is not None
    assert 'file="/' not in model_file


def test_train_and_its_config_as_file_and_as_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line_dataset: Path
) -> None:
    first = [str(line_dataset), "--to", str(tmp_path / "first")]
    assert run(["train", *first, *TINY, "--policy.inputs", "observation.state.hand"]) == 0
    config = tmp_path / "first" / "config.toml"
    second = [str(line_dataset), "--to", str(tmp_path / "second"), "--config", str(config)]
    assert run(["train", *second, "--steps", "12", "--json"]) == 0
    out = capsys.readouterr().out.splitlines()[-1]
    values = json.loads(out)
    assert values["metrics"]["step"] == 12
    assert values["report"] == str(tmp_path / "second" / "report.html")
    settings = (tmp_path / "second" / "config.toml").read_text()
    assert "steps = 12" in settings
    assert "batch = 8" in settings
    assert '"observation.state.hand",' in settings
    assert (tmp_path / "second" / "report.html").is_file()
    assert "add --resume" in refused(capsys, "train", *second)


def test_the_whole_tree_of_a_policy_is_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line_dataset: Path
) -> None:
    options = "--policy.action.head diffusion --policy.horizon 16 --policy.execute 8"
    options += " --policy.memory.kind lstm --policy.memory.past-actions 2"
    options += " --policy.action.diffusion.width 16 --policy.encoder.scaling range"
    to = tmp_path / "run"
    assert run(["train", str(line_dataset), "--to", str(to), *TINY, *options.split()]) == 0
    config = load_policy(to).config
    assert (config.horizon, config.execute, config.action.head) == (16, 8, "diffusion")
    assert (config.memory.kind, config.memory.past_actions) == ("lstm", 2)
    assert (config.action.diffusion.width, config.encoder.scaling) == (16, "range")


def test_a_dataset_that_does_not_fit_the_policy_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line_dataset: Path
) -> None:
    line = refused(
        capsys,
        *("train", line_dataset, "--to", tmp_path / "run"),
        *("--policy.inputs", "observation.state.robot0_eef_pos"),
    )
    assert "'observation.state.robot0_eef_pos' is not in the dataset" in line
    assert not (tmp_path / "run").exists()  # what is meant can be trained there
    assert "observation.state.hand" in line


def test_a_policy_that_does_not_fit_the_task_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line_dataset: Path
) -> None:
    schema = PolicySchema.of(open_dataset(line_dataset).context, ())
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), tmp_path / "policy")
    line = refused(capsys, "evaluate", tmp_path / "policy", "--on", "sim:lift", "--episodes", "1")
    assert "observation.state.hand is missing" in line
    assert "the rate is 20 Hz, not 10 Hz" in line


def test_a_run_that_was_not_finished_has_no_policy_to_evaluate(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "config.toml").touch()
    message = refused(capsys, "evaluate", str(run_folder), "--on", "sim:lift")
    assert "has no policy yet" in message
    assert "--resume" in message
    assert [path.name for path in run_folder.iterdir()] == ["config.toml"]


def test_evaluate_answers_no_with_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lift_demonstrations: Path
) -> None:
    schema = PolicySchema.of(open_dataset(lift_demonstrations).context, ())
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), tmp_path / "policy")
    arguments = [str(tmp_path / "policy"), "--on", "sim:lift", "--episodes", "1", "--json"]
    assert run(["evaluate", *arguments, "--require", "0.5"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert values["success_rate"] == 0
    assert values["episodes"] == 1
    assert values["wilson_95"][1] == pytest.approx(0.7935, abs=1e-3)
    assert len(open_dataset(tmp_path / "policy" / "evaluation")) == 1
    assert run(["evaluate", *arguments]) == 0  # without a demand, knowing is enough

    # What cannot be evaluated leaves the earlier evaluation as it is.
    before = (tmp_path / "policy" / "evaluation.json").read_bytes()
    slow = tmp_path / "slow.toml"
    text = (Path(__file__).parents[2] / "sim" / "lift.toml").read_text()
    slow.write_text(text.replace("translation = 0.05", "translation = 0.02"))
    refusal = refused(capsys, "evaluate", tmp_path / "policy", "--on", slow, "--episodes", "1")
    assert "action has other elements, limits or scales" in refusal
    assert (tmp_path / "policy" / "evaluation.json").read_bytes() == before
    assert len(open_dataset(tmp_path / "policy" / "evaluation")) == 1


def test_the_same_seed_records_the_same_demonstrations(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Also in two parts, and in another number of processes."""
    record = ["record", "sim:lift", "--seed", "5", "--by", "scripted"]
    assert run([*record, "--to", str(tmp_path / "a"), "--episodes", "2", "--processes", "2"]) == 0
    for _ in range(2):
        arguments = ["--to", str(tmp_path / "b"), "--episodes", "1", "--processes", "1"]
        assert run([*record, *arguments]) == 0
    one, other = (list(open_dataset(tmp_path / name).episodes([0, 1])) for name in "ab")
    for first, second in zip(one, other, strict=True):
        assert_same_but_for_the_clock(first, second)
    assert one[0].context.seed == 5
    assert not (one[0].actions == one[1].actions).all()


def assert_same_but_for_the_clock(first: Episode, second: Episode) -> None:
    assert first.context == second.context
    assert first.outcome == second.outcome
    assert (first.actions == second.actions).all()
    assert (first.time == second.time).all()
    for name, values in first.observations.items():
        assert (values == second.observations[name]).all(), name


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: the disk is full"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            2,
            "error: .*Permission denied.*/x",
        ),
        (KeyboardInterrupt(), 130, "stopped: "),
        (MemoryError(), 2, "error: there is not enough memory; .*--batch"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            2,
            "error: there is not enough memory; ",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            2,
            "error: there is not enough memory; ",
        ),
        (
            RuntimeError("no such luck"),
            2,
            "error: this should not happen: RuntimeError: no such luck",
        ),
    ],
)
def test_what_the_machine_does_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    line: str,
) -> None:

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(main, "make_command", fail)
    assert run(["info", "x"]) == status
    assert re.fullmatch(rf"robolearn: {line}.*\n", capsys.readouterr().err)


def test_a_policy_folder_is_looked_at_by_its_report(
    lift_demonstrations: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(display, raising=False)
    schema = PolicySchema.of(open_dataset(lift_demonstrations).context, ())
    policy = tmp_path / "mine"
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), policy)
    assert "or evaluate, writes it" in refused(capsys, "view", policy)
    assert "needs a dataset" in refused(capsys, "view", policy, "--save", tmp_path / "mine.rrd")
    (policy / "report.html").touch()
    assert f"no browser here to show {policy / 'report.html'}" in refused(capsys, "view", policy)


def test_a_horizon_beyond_all_memory_is_one_line(
    line_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    horizon = ["--policy.horizon", str(10**13)]
    line = refused(capsys, "train", line_dataset, "--to", tmp_path / "run", *TINY, *horizon)
    assert "not enough memory" in line


def test_debug_shows_where_an_error_is_from(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robolearn", "info", str(tmp_path / "nowhere")]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert plain.returncode == 2
    assert plain.stderr.count("\n") == 1
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert debug.returncode == 2
    assert "Traceback" in debug.stderr
    assert "DatasetError" in debug.stderr
