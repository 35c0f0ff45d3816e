"""Reports are opened where there is a browser, and where there is none one line says what to do."""

from __future__ import annotations

import webbrowser

import pytest

from robolearn.errors import MissingDependency
from robolearn.viewing import screen


def test_a_report_is_opened_in_the_browser(seeing, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)) or True)
    screen.open_report(tmp_path / "report.html")
    assert opened == [(tmp_path / "report.html").resolve().as_uri()]


def test_without_a_display_one_line_names_the_report(blind, tmp_path):
    with pytest.raises(MissingDependency, match=r"report\.html"):
        screen.open_report(tmp_path / "report.html")
