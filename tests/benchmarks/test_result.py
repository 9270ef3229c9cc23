"""Figures, bounds, tables, the report and its pictures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.result import Bound, Chart, Figure, Section, Table


def test_figure_shows_median_and_range_of_runs() -> None:
    assert str(Figure((3.0, 1.0, 2.0))) == "2 (1–3)"
    assert str(Figure((1234.5,))) == "1,234"


def test_ratios_are_of_pairs_of_runs() -> None:
    assert str(Figure((2, 9)).over(Figure((1, 3)))) == "2.5 (2–3)"


def test_bound_shows_requirement_and_aim_with_outcome() -> None:
    bound = Bound("CPU", 1.2, must=1.3, aim=1.1, unit="×")
    assert bound.holds
    assert bound.cells() == ("CPU", "1.2×", "≤ 1.3×: reached", "≤ 1.1×: **not reached**")


def test_bound_can_be_a_minimum() -> None:
    assert not Bound("rate", 4999, must=5000, at_least=True).holds
    assert Bound("rate", 5000, must=5000, at_least=True).holds


def test_missed_aim_does_not_fail_bound() -> None:
    assert Bound("CPU", 80, must=None, aim=60).holds


def test_report_has_every_bound_table_and_picture(tmp_path: Path) -> None:
    figures = [Figure((1.0, 2.0, 3.0)), Figure((20.0,))]
    bars = Chart("bars", "Bars", "µs", ["ours", "theirs"], {"singly": figures, "bursts": figures}, marks={"must": 5})
    lines = Chart("lines", "Lines", "µs", (), {"singly": figures}, x=(1, 2), x_unit="nodes")
    bound = Bound("it is fast", 1, must=2)
    section = Section("w1", [Table("W1", ("a", "b"), [(1, figures[0])], [bound], ["a note"])], [bars, lines])
    (tmp_path / "old.svg").write_text("of an earlier run")

    path = report.write([section], tmp_path, command="the command", minutes=3.2)

    text = path.read_text()
    assert path.name == "results.md"
    for words in ("`the command` in 3 minutes", "Measured on: ", "| W1 | it is fast | 1 | ≤ 2: reached", "| 2 (1–3) |"):
        assert words in text
    assert "1 of 1 musts are reached" in text
    assert "![Bars](bars.svg)" in text
    assert sorted(file.name for file in tmp_path.glob("*.svg")) == ["bars.svg", "lines.svg"]
    for file in tmp_path.glob("*.svg"):
        picture = ElementTree.parse(file).getroot()
        assert "prefers-color-scheme: dark" in "".join(picture.itertext())


def test_report_of_named_workloads_is_a_page_beside_the_others(tmp_path: Path) -> None:
    for name in ("results.md", "bars.svg"):
        (tmp_path / name).write_text("of the whole run")
    section = Section("hooks", [Table("W7", ("a",), [(1,)])])
    path = report.write([section], tmp_path, command="the command", minutes=1, names=["hooks"])
    assert path == tmp_path / "hooks.md"
    assert path.read_text().startswith("# Benchmarks: hooks\n")
    assert {(tmp_path / name).read_text() for name in ("results.md", "bars.svg")} == {"of the whole run"}


def test_page_with_text_of_its_own_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "growth.md"
    assert report.may_replace(page)
    report.write([Section("growth", [])], tmp_path, command="", minutes=0, names=["growth"])
    assert report.may_replace(page)
    page.write_text("# Growth\n\nWhat the figures mean.\n")
    with pytest.raises(SystemExit):
        main(["growth", "--report", str(tmp_path)])
    assert "growth.md is no report" in capsys.readouterr().err
    assert "What the figures mean." in page.read_text()


def test_equal_figures_make_equal_pictures(tmp_path: Path) -> None:
    chart = Chart("one", "One", "µs", ["a"], {"b": [Figure((1.0, 2.0))]})
    section = Section("w1", [], [chart])
    pictures = []
    for _ in range(2):
        report.write([section], tmp_path, command="", minutes=0)
        pictures.append((tmp_path / "one.svg").read_bytes())
    assert pictures[0] == pictures[1]
