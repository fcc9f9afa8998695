"""The forecast: its arithmetic, and a page that holds nothing but itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flowkeep.errors import UsageError
from flowkeep.ops.retain_forecast import as_dict, forecast_archive
from flowkeep.retain.forecast import (
    Forecast,
    ForecastReport,
    Sample,
    half,
    ladder_name,
    parse_ladder,
    reach,
    sample,
)
from flowkeep.retain.model import Stage, Tier
from flowkeep.retain.report_html import page

from tests import wire
from tests.cli.command import DEADLINE, ENV
from tests.wire import SECOND, START_NS

from .made import DAY, NOW, file


def day(flows: list[int]) -> Sample:
    """A day with such flows, in one capture."""
    found = sample([file(0, 1, flows, first_ts=NOW - DAY, last_ts=NOW)])
    assert found is not None
    return found


def test_ten_whole_days_become_five_whole_ones_and_fifty_trimmed_ones() -> None:
    # A residue of 10 %: a hundredth of the flows has nearly all bytes.
    of = day([10_000] * 100 + [9_000_000])
    tiers = half(10_000, of, 10 * of.inflow)
    whole = reach("whole", (), of, 10 * of.inflow)
    trimmed = reach("half", tiers, of, 10 * of.inflow)
    residue = trimmed.steps[1].residue
    assert residue == pytest.approx(0.10, abs=0.02)
    assert whole.days == pytest.approx(10, abs=0.001)
    first, second = trimmed.steps
    assert (first.begins, first.ends / DAY) == (0, pytest.approx(5, abs=0.001))
    assert (second.ends - second.begins) / DAY == pytest.approx(5 / residue, rel=0.001)
    assert trimmed.days == pytest.approx(5 + 5 / residue, rel=0.001)
    assert trimmed.bytes <= 10 * of.inflow


def test_exactly_ten_percent() -> None:
    class Tenth(Sample):
        def left(self, cutoff, rest="cut", depths=()):  # type: ignore[no-untyped-def]
            from flowkeep.retain.forecast import Left

            return Left(cutoff, rest, self.bytes if cutoff is None else self.bytes // 10, 0)

    of = Tenth((), DAY, 10**12, 100, 10**12)
    found = reach("article", (Tier(5 * DAY, 100_000),), of, 10 * 10**12)
    assert [(s.ends - s.begins) / DAY for s in found.steps] == [5.0, 50.0]
    assert found.days == 55 and found.bytes == 10**13 and found.complete


def test_a_ladder_that_does_not_fit_says_where_the_disk_is_full() -> None:
    of = day([10_000] * 100 + [9_000_000])
    found = reach("", parse_ladder("1MB:3d 100kB:6d"), of, 2 * of.inflow)
    assert not found.complete and len(found.steps) == 1 and found.days == pytest.approx(2, abs=0.001)


def test_a_ladder_ends_where_it_deletes() -> None:
    of = day([10_000] * 100)
    found = reach("", parse_ladder("1kB:3d delete:9d"), of, 10**15)
    assert found.complete and found.days == 9 and [s.cutoff for s in found.steps] == [None, 1000]
    assert found.steps[0].flows_whole == 1 and found.steps[1].flows_whole == 0


def test_bytes_by_age_add_up() -> None:
    of = day([10_000] * 100 + [9_000_000])
    found = reach("", parse_ladder("1MB:3d,100kB+headers:6d,10kB:30d"), of, 100 * of.inflow)
    for step in found.steps:
        days = (step.ends - step.begins) / DAY
        assert step.bytes == pytest.approx(of.inflow * step.residue * days, rel=1e-6, abs=2)
    assert [s.rest for s in found.steps] == ["cut", "cut", "headers", "cut"]
    assert sum(s.bytes for s in found.steps) == found.bytes


def test_what_was_cut_before_counts_as_what_it_was() -> None:
    whole, cut = file(0, 3, [1_000_000]), file(1, 9, [1_000_000], stage=Stage("cut", 10))
    found = sample([cut, whole])
    assert found is not None and found.files == (whole,)
    assert sample([]) is None and sample([file(0, 1, sizes=None)]) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "at least one"), ("100kB", "write CUTOFF:AGE"), ("x:3d", "not a size"), ("1MB:x", "not a duration"),
     ("1MB:3d 2MB:4d", "keeps no less"), ("1MB:3d 1kB:2d", "in order of age"), ("delete:3d 1kB:4d", "nothing comes after")],
)  # fmt: skip
def test_ladders_that_cannot_be_meant(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_ladder(text)


def test_a_ladder_is_written_as_it_is_read() -> None:
    for text in ("1MB:3d 100kB:6d 10kB:30d", "100kB+headers:12h delete:90d"):
        assert ladder_name(parse_ladder(text)) == text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "xlink:href")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_holds_nothing_but_itself_and_no_name_gets_out_of_its_place() -> None:
    of = day([10_000] * 100 + [9_000_000])
    evil = "</title><script>alert(1)</script>\x1b[2J\"'><img src=x onerror=y>"
    ladders = (
        reach(evil, parse_ladder("10kB:3d"), of, 10 * of.inflow),
        reach("whole", (), of, 10 * of.inflow),
    )
    curve = tuple(of.left(c) for c in (100, 1000, 10_000, 10**7))
    one = Forecast(evil, 10 * of.inflow, of, curve, curve, ladders, ((0, 5, 10), (3, 1, 10)))
    text = page(ForecastReport(NOW, (one,), (evil,) * 200))
    parser = _Page()
    parser.feed(text)
    assert parser.open == [] and parser.links == []
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(parser.tags)
    assert parser.tags.count("svg") == 4 and "\x1b" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", text)
    assert not re.search(r"NaN|inf\b", text)


def test_a_page_of_next_to_nothing_is_whole() -> None:
    of = sample([file(0, 1, [0], first_ts=NOW, last_ts=NOW)])
    assert of is not None
    left = tuple(of.left(c) for c in (100, 1000))
    one = Forecast("x", 1, of, left, left, (reach("whole", (), of, 1),), ())
    parser = _Page()
    parser.feed(page(ForecastReport(NOW, (one,), ())))
    assert parser.open == []


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Two hours with one long flow and many short ones."""
    folder = tmp_path / "captures"
    folder.mkdir()
    long = wire.tcp_session(script=[("s", bytes(900_000))])
    late = [
        wire.udp_dialogue(f"10.0.{n}.1:53", "10.9.9.9:53", start_ns=START_NS + n * 120 * SECOND)
        for n in range(60)
    ]
    (folder / "a.pcap").write_bytes(wire.pcap(wire.merged(long, *late)))
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flowkeep", "retain", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=ENV,
    )


def test_the_command_says_the_same_as_table_json_and_page(captures: Path, tmp_path: Path) -> None:
    common = ("forecast", str(captures), "--disk", "1GB", "--ladder", "10kB:1d", "--cutoff", "10kB")
    done = run(*common, "--json")
    assert done.returncode == 1 and "less than a day" in done.stderr
    (told,) = json.loads(done.stdout)["datasets"]
    report = forecast_archive([str(captures)], disk=10**9, ladders=["10kB:1d"], cutoffs=[10_000], now=NOW)
    (same,) = as_dict(report)["datasets"]
    assert {**told, "ages": 0} == {**json.loads(json.dumps(same)), "ages": 0}
    assert told["ladders"][1]["name"] == "10kB:1d" and told["cutoffs"][0]["flows_whole"] == 60
    size = (captures / "a.pcap").stat().st_size
    assert told["sample"]["bytes"] == size and told["sample"]["flows"] == 61
    table = run(*common, "--html", str(tmp_path / "f.html"))
    days = (
        f"{told['ladders'][1]['days']:.1f}"
        if told["ladders"][1]["days"] < 99.5
        else f"{told['ladders'][1]['days']:,.0f}"
    )
    assert days in table.stdout and days in (tmp_path / "f.html").read_text()
    again = run(*common, "--html", str(tmp_path / "f.html"))
    assert again.returncode == 2 and "--force replaces it" in again.stderr
    assert run(*common, "--html", str(captures / "a.pcap"), "--force").returncode == 2


def test_a_policy_is_forecast_with_its_own_ladder_and_budget(captures: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        f'inventory = "i.sqlite"\n[dataset.nsm]\ninclude = "{captures}/*.pcap"\nsettle = "0s"\nbudget = {{ disk = "3GB" }}\n'
        '[[dataset.nsm.tier]]\nafter = "2d"\ncutoff = "10kB"\n'
    )
    done = run("forecast", str(policy), "--json")
    (told,) = json.loads(done.stdout)["datasets"]
    assert told["disk"] == 3 * 10**9 and told["ladders"][1]["name"] == "policy: 10kB:2d"
    assert (tmp_path / "i.sqlite").exists()


def test_nothing_to_foretell_from(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(b"no capture")
    done = run("forecast", str(tmp_path))
    assert done.returncode == 4 and "no captures here" in done.stderr
    assert run("forecast", str(tmp_path / "none")).returncode == 3


def test_plan_and_check_on_the_command_line(captures: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    text = (
        f'inventory = "i.sqlite"\n[dataset.nsm]\ninclude = "{captures}/*.pcap"\nsettle = "0s"\n'
        '[[dataset.nsm.tier]]\nafter = "2d"\ncutoff = "10kB"\n'
    )
    policy.write_text(text)
    before = (captures / "a.pcap").stat().st_mtime_ns, (captures / "a.pcap").read_bytes()
    assert "from 2d on: first 10kB of each flow" in run("check", str(policy)).stdout
    done = run("plan", str(policy), "--json", "--now", "2124-01-01")
    (plan,) = json.loads(done.stdout)
    (one,) = plan["files"]
    assert done.returncode == 0 and one["action"] == "cut" and one["cutoff"] == 10_000
    assert one["bytes_before"] == len(before[1]) > one["bytes_after"]
    table = run("plan", str(policy), "--now", "2124-01-01")
    assert "cut 10kB" in table.stdout and "10kB from 2d on (line 5)" in table.stdout
    young = run("plan", str(policy), "--now", "2023-11-15")
    assert "1 keep" in young.stdout
    assert before == ((captures / "a.pcap").stat().st_mtime_ns, (captures / "a.pcap").read_bytes())
    policy.write_text(text.replace("after", "aftr"))
    wrong = run("check", str(policy))
    assert (
        wrong.returncode == 2
        and f"{policy}:6: dataset.nsm.tier.0.aftr: there is no such key; did you mean after?" in wrong.stderr
    )
    assert run("plan", str(policy), "--dataset", "nms").returncode == 2
