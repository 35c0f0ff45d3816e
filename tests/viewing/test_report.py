"""A report says what the run's files say, and needs nothing from outside."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from robolearn.episodes.formats import open_dataset
from robolearn.errors import RobolearnError
from robolearn.learning.run import Run
from robolearn.learning.success import Evaluation, wilson_interval
from robolearn.viewing.report import write_report

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """The page's elements, its visible text, and whether they are well nested."""

    def __init__(self, text):
        super().__init__()
        self.source = text
        self.elements = []
        self.words = []
        self.errors = []
        self._open = []
        self.feed(text)
        self.close()
        self.errors += self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.errors.append(f"</{tag}>")

    def handle_data(self, data):
        if not self._open or self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def headings(self):
        return re.findall(r"<h2>(.*?)</h2>", self.source)


def make_run(folder):
    """A run with losses and an evaluation: three successes and a failure."""
    run = Run(folder / "run <1>")
    run.path.mkdir()
    run.config.write_text(
        "# robolearn 0.1.0\n# robolearn train demos --to RUN\n\nsteps = 4321\n\n"
        "[policy]\nhidden = [64, 32]\n"
    )
    rows = [
        {"step": step, "train/arm": 5 / step, "train/gripper": 0.5, "valid/arm": 6 / step}
        for step in (100, 200, 300)
    ]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Evaluation(
        task="sim:lift",
        seeds=(40, 41, 42, 43),
        successes=(True, True, False, True),
        held=(True, False, False, True),
        steps=(6, 6, 6, 6),
    ).write(run.evaluation)
    return run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def page(tmp_path_factory, write_dataset, filmed):
    """The report of such a run on two demonstrations and four trials."""
    folder = tmp_path_factory.mktemp("report")
    run = make_run(folder)
    demonstrations = write_dataset(folder / "demos", (6, 9), (True, True), **filmed)
    outcomes = (True, True, False, True)
    trials = write_dataset(folder / "trials", (6, 6, 6, 6), outcomes, **filmed)
    path = write_report(run, demonstrations, trials=trials)
    assert path == run.report
    return Page(path.read_text(encoding="utf-8"))


def test_the_rate_stands_with_its_episodes_interval_and_seeds(page):
    low, high = wilson_interval(3, 4)
    assert "75 %" in page.text
    assert "3 of 4 episodes succeeded" in page.text
    assert f"95 % interval (Wilson): {100 * low:.0f} % to {100 * high:.0f} %" in page.text
    assert "Seeds 40 to 43" in page.text
    assert "in 2 the task was still accomplished" in page.text


def test_the_page_is_well_formed_small_and_needs_nothing_from_outside(page):
    assert page.errors == []
    assert len(page.source) < 1_000_000
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert "//" not in re.sub(r"data:[^\"]*", "", page.source).replace("/*", "")
    assert page.find("script") == []
    assert page.find("link") == []
    assert all(image["src"].startswith("data:image/") for image in page.find("img"))


def test_everything_to_see_has_words_and_ids_are_unique(page):
    assert [image["alt"] for image in page.find("img")]
    assert all(image["alt"] for image in page.find("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.find("svg"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:href="|url\()#([\w-]+)', page.source)
    assert references
    assert set(references) <= set(ids)


def test_plots(page):
    assert page.headings == [
        "What happened",
        "Success",
        "Time to success",
        "Length of demonstrations",
        "Start of the cube",
        "Loss of the arm",
        "Loss of the gripper",
        "Do it again",
    ]
    assert len(page.find("svg")) == 6


def test_the_loss_plot_holds_the_losses(page):
    labels = {svg["aria-label"]: svg for svg in page.find("svg")}
    (arm,) = (label for label in labels if label.startswith("Loss of the arm"))
    assert "0.02 nats" in arm
    drawn = page.source[page.source.index('aria-label="Loss of the arm') :].split("</svg>")[0]
    lines = re.findall(r'<path d="(M [^"]*L[^"]*)" clip-path', drawn)
    three_points = [line for line in lines if line.count("L") == 2]
    assert len(three_points) == 2, "training and validation"
    train, valid = (
        [float(y) for y in re.findall(r"[ML] \S+ (\S+)", line)] for line in three_points
    )
    # SVG counts downwards. The losses are 5/step and 6/step.
    scale = (train[2] - train[0]) / (5 / 100 - 5 / 300)
    assert (valid[2] - valid[0]) / (6 / 100 - 6 / 300) == pytest.approx(scale, rel=1e-3)
    assert train[0] - valid[0] == pytest.approx(scale / 100, rel=1e-3)


def test_text_of_others_is_escaped(page):
    assert "<b>" not in page.source.replace('<b style="left', "")
    assert "Lift the <b>cube</b> & hold it." in page.text
    assert "Run run <1>" in page.text


def test_tables(page):
    for expected in ("4321", "64, 32", "10 Hz", "cube_pos.x", "tester"):
        assert expected in page.text
    assert "3 of 4" in page.text
    assert "robolearn train demos --to RUN" in page.text


def test_links_are_relative_and_only_to_what_is_there(run, tmp_path):
    (tmp_path / "my demos.rrd").write_bytes(b"")
    files = [tmp_path / "my demos.rrd", tmp_path / "gone.rrd"]
    page = Page(write_report(run, recordings=files).read_text())
    assert [link["href"] for link in page.find("a")] == ["../my%20demos.rrd"]


def test_given_commands_are_shown_instead_of_those_in_the_config(run):
    page = Page(write_report(run, commands=["robolearn quickstart --out <here>"]).read_text())
    assert "robolearn quickstart --out <here>" in page.text
    assert "robolearn train" not in page.text


def test_a_run_without_anything_yet(tmp_path):
    page = Page(write_report(Run(tmp_path / "run")).read_text())
    assert page.errors == []
    assert "Not evaluated yet" in page.text
    assert page.find("svg") == []


def test_without_pictures_the_rest_is_there(run, make_dataset, plain):
    page = Page(write_report(run, make_dataset(**plain)).read_text())
    assert page.find("img") == []
    assert "Start of the cube" in page.headings


def test_objects_that_are_not_named_are_left_out(run, make_dataset, plain):
    features = {
        name: feature for name, feature in plain["features"].items() if "environment" not in name
    }
    page = Page(write_report(run, make_dataset(**plain | {"features": features})).read_text())
    assert not any(heading.startswith("Start of") for heading in page.headings)


def test_all_episodes_failed(run, make_dataset, plain):
    Evaluation("t", (1, 5), (False, False), (False, False), (6, 4)).write(run.evaluation)
    dataset = make_dataset(successes=(False, False), **plain)
    page = Page(write_report(run, trials=dataset).read_text())
    assert "0 of 2 episodes succeeded" in page.text
    assert "Seeds 1, 5" in page.text
    assert "Time to success" not in page.headings


@pytest.mark.parametrize("name", ["config.toml", "evaluation.json"])
def test_a_broken_file_is_named(run, name):
    (run.path / name).write_text("{ broken")
    with pytest.raises(RobolearnError, match=re.escape(name)):
        write_report(run)
    assert not run.report.exists()


def test_the_same_run_gives_the_same_page(run, make_dataset, plain):
    demonstrations = make_dataset(**plain)
    first = write_report(run, demonstrations).read_bytes()
    shutil.copytree(demonstrations.path, demonstrations.path.with_name("copy"))
    again = open_dataset(demonstrations.path.with_name("copy"))
    assert write_report(run, again).read_bytes() == first


def make_practice(folder, measure):
    run = Run(folder / "practised")
    run.path.mkdir()
    rows = [{"step": 0, f"valid/{measure}": 0.4, "valid/best": 0.4, "valid/kept": 1.0}]
    for number in range(1, 13):
        row = {"step": 640 * number, f"practice/{measure}": number / 20, "reward/accuracy": 0.75}
        if number == 8:
            row |= {f"valid/{measure}": 0.9, "valid/best": 0.9, "valid/kept": 1.0}
        rows.append(row)
    rows[-1] |= {f"valid/{measure}": 0.8, "valid/best": 0.9, "valid/kept": 0.0}
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def test_a_practice_is_drawn_and_what_was_kept_is_told(tmp_path):
    page = Page(write_report(make_practice(tmp_path, "success")).read_text(encoding="utf-8"))
    assert {"Practice", "The learnt reward"} <= set(page.headings)
    kept = "the average after 5120 steps is kept: success 90% in its trial, 40% before practice"
    assert f"In practice, {kept}." in page.source
    drawn = page.source[page.source.index('aria-label="Over practice') :].split("</svg>")[0]
    lines = re.findall(r'<path d="(M [^"]*L[^"]*)" clip-path', drawn)
    by_count = {
        line.count("L") + 1: [float(y) for y in re.findall(r"[ML] \S+ (\S+)", line)]
        for line in lines
    }
    trials, practised = by_count[3], by_count[5]  # 12 iterations, 8 at a time
    # SVG counts downwards. Trials are 40, 90, 80 %; practice means begin with 1 … 8 of 20.
    scale = (trials[0] - trials[1]) / 50
    assert trials[0] - trials[2] == pytest.approx(40 * scale, rel=1e-3)
    assert trials[0] - practised[0] == pytest.approx((22.5 - 40) * scale, rel=1e-2)


def test_a_practice_where_success_is_not_known_shows_returns(tmp_path):
    page = Page(write_report(make_practice(tmp_path, "return")).read_text(encoding="utf-8"))
    assert "return 0.9 in its trial, 0.4 before practice" in page.source


def test_a_practice_that_was_only_begun(tmp_path):
    run = make_practice(tmp_path, "success")
    first = (run.path / "metrics.jsonl").read_text().splitlines()[0]
    (run.path / "metrics.jsonl").write_text(f"{first}\n")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "no trial was better" in page.source
    assert "The learnt reward" not in page.headings
