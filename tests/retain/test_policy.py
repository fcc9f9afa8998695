"""Policies: what they mean, and messages that name file, line and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from flowkeep.errors import UsageError
from flowkeep.retain.lines import line_numbers, line_of
from flowkeep.retain.model import Budget, Depth, Lock, Quiet, Tier
from flowkeep.retain.policy import LADDER, parse_policy, read_policy
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000_000_000
DAY = 24 * HOUR

FULL = """
journal = "journal.jsonl"
inventory = "/var/cache/inventory.sqlite"

[limits]
rate = "200MB/s"
ionice = "best-effort"
nice = 5
jobs = 2
interval = "5min"

[[quiet]]
from = "08:00"
to = "18:30"
days = ["mon", "fri"]

[dataset.nsm]
include = ["pcap/**/*.pcap", "/data/snort.log.*"]   # two places
exclude = "pcap/keep/*"
settle = "2min"
keep = ["flows", "streams:sha256"]

[dataset.nsm.budget]
disk = "2TB"
emergency = "2kB"
headroom = "10GB"

[[dataset.nsm.tier]]
after = "1d"
compress = "zstd"
[[dataset.nsm.tier]]
after = "3d"
cutoff = "1MB"
[[dataset.nsm.tier]]
cutoff = "100kB"
rest = "headers"
[[dataset.nsm.tier]]
after = "60d"
flows-only = true
[[dataset.nsm.tier]]
after = "90d"
delete = true

[dataset.nsm.depth]
tls = "64kB"
dns = "all"
"tcp port 25" = 5000

[[dataset.nsm.lock]]
filter = "host 10.0.0.5"
reason = "case 17"
[[dataset.nsm.lock]]
host = ["10.1.0.0/16", "2001:db8::1"]
[[dataset.nsm.lock]]
community_id = "1:wCb3OG7yAFWelaUydu0D+125CLM="
[[dataset.nsm.lock]]
log = "logs/eve.json"
"""


def test_a_full_policy_is_read_as_it_is_meant() -> None:
    policy = parse_policy(FULL, "/etc/flowkeep/sensor.toml")
    (nsm,) = policy.datasets
    assert (
        policy.journal == "/etc/flowkeep/journal.jsonl" and policy.inventory == "/var/cache/inventory.sqlite"
    )
    assert policy.limits.rate == 200_000_000 and policy.limits.ionice == "best-effort"
    assert (policy.limits.nice, policy.limits.jobs, policy.limits.interval) == (5, 2, 300_000_000_000)
    assert policy.quiet == (Quiet(8 * HOUR, 18 * HOUR + HOUR // 2, (0, 4)),)
    assert nsm.include == ("/etc/flowkeep/pcap/**/*.pcap", "/data/snort.log.*")
    assert nsm.exclude == ("/etc/flowkeep/pcap/keep/*",)
    assert nsm.keep == ("flows", "streams:sha256") and nsm.settle == 120_000_000_000
    assert nsm.budget == Budget(2 * 10**12, emergency=2000, headroom=10**10, line=23)
    assert nsm.tiers == (
        Tier(DAY, compress="zstd", line=28),
        Tier(3 * DAY, 1_000_000, line=31),
        Tier(None, 100_000, "headers", line=34),
        Tier(60 * DAY, kind="flows-only", line=37),
        Tier(90 * DAY, kind="delete", line=40),
    )
    assert nsm.depths == (
        Depth(64_000, service="tls", line=45), Depth(None, service="dns", line=46),
        Depth(5000, select="tcp port 25", line=47),
    )  # fmt: skip
    assert nsm.locks == (
        Lock("host 10.0.0.5", reason="case 17", line=49),
        Lock(hosts=("10.1.0.0/16", "2001:db8::1"), line=52),
        Lock(community_ids=("1:wCb3OG7yAFWelaUydu0D+125CLM=",), line=54),
        Lock(log="/etc/flowkeep/logs/eve.json", kind="eve", line=56),
    )


def test_a_budget_alone_has_tiers_of_its_own() -> None:
    policy = parse_policy('[dataset.a]\ninclude = "*.pcap"\n[dataset.a.budget]\nfree = "10%"\n')
    assert policy.datasets[0].tiers == LADDER and policy.datasets[0].budget == Budget(free_share=0.1, line=3)
    with_end = parse_policy(
        '[dataset.a]\ninclude = "*.pcap"\nbudget = { free = "50GB" }\ntier = [{ after = "90d", delete = true }]'
    )
    assert with_end.datasets[0].tiers == (*LADDER, Tier(90 * DAY, kind="delete", line=4))


HEAD = '[dataset.a]\ninclude = "*.pcap"\n'
TIER = "[[dataset.a.tier]]\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "why"),
    [
        ("[dataset.a\n", 1, "", "this is no TOML"),
        ("x = 1\n[dataset.a]\n", 2, "dataset.a", "it names no files"),
        ("\n" + HEAD + TIER + 'after = "1d"\ncutoff = "1MB"\n\njurnal = "x"', 8, "dataset.a.tier.0.jurnal", "there is no such key"),
        (HEAD + TIER + 'after = "1d"\ncutof = "1MB"', 5, "dataset.a.tier.0.cutof", "did you mean cutoff?"),
        (HEAD + 'inclde = "x"\n' + TIER + 'after = "1d"\ncutoff = 1', 3, "dataset.a.inclde", "did you mean include?"),
        (HEAD + TIER + "after = 3\ncutoff = 1", 4, "dataset.a.tier.0.after", "write it with a unit"),
        (HEAD + TIER + 'after = "3w"\ncutoff = 1', 4, "dataset.a.tier.0.after", "write a number and s, min, h or d"),
        (HEAD + TIER + 'after = "3d"\ncutoff = "1 MBit"', 5, "dataset.a.tier.0.cutoff", "is not a size"),
        (HEAD + TIER + 'after = "3d"\ncutoff = true', 5, "dataset.a.tier.0.cutoff", "True is not a size"),
        (HEAD + TIER + 'after = "3d"', 3, "dataset.a.tier.0", "it does nothing"),
        (HEAD + TIER + 'cutoff = "1MB"', 3, "dataset.a.tier.0", "it says no age, and there is no budget"),
        (HEAD + TIER + 'after = "3d"\nrest = "headers"', 5, "dataset.a.tier.0.rest", "there is none: write cutoff"),
        (HEAD + TIER + 'after = "3d"\ncutoff = 1\nrest = "head"', 6, "dataset.a.tier.0.rest", "is none of: cut, headers, sample:K"),
        (HEAD + TIER + 'after = "3d"\ncutoff = 1\ndelete = true', 3, "dataset.a.tier.0", "a tier that keeps no packets"),
        (HEAD + TIER + 'after = "3d"\nflows-only = true\ndelete = true', 6, "dataset.a.tier.0.delete", "says twice"),
        (HEAD + TIER + 'after = "3d"\ncutoff = 9\n' + TIER + 'after = "2d"\ncutoff = 8', 6, "dataset.a.tier.1", "in order of age"),
        (HEAD + TIER + 'after = "3d"\ncutoff = 9\n' + TIER + 'after = "4d"\ncutoff = 10', 6, "dataset.a.tier.1", "10 (cut) is not tighter than 9 (cut) on line 3"),
        (HEAD + TIER + 'after = "3d"\ncutoff = 9\n' + TIER + 'after = "4d"\ncutoff = 9\nrest = "headers"', 6, "dataset.a.tier.1", "is not tighter than 9 (cut)"),
        (HEAD + TIER + 'after = "3d"\ndelete = true\n' + TIER + 'after = "4d"\ncutoff = 9', 6, "dataset.a.tier.1", "keeps less (delete, line 3)"),
        (HEAD, 1, "dataset.a", "neither tiers nor a budget"),
        (HEAD + "[dataset.a.budget]\n", 3, "dataset.a.budget", "one of them"),
        (HEAD + '[dataset.a.budget]\ndisk = 1\nfree = "1%"', 3, "dataset.a.budget", "one of them"),
        (HEAD + '[dataset.a.budget]\nfree = "100%"', 4, "dataset.a.budget.free", "less than 100 %"),
        (HEAD + '[dataset.a.budget]\ndisk = 5\nheadroom = 5', 5, "dataset.a.budget.headroom", "as large as the budget"),
        (HEAD + '[dataset.a.depth]\ntsl = "1kB"', 4, "dataset.a.depth.tsl", "did you mean tls?"),
        (HEAD + '[dataset.a.depth]\n"tcp port" = "1kB"', 4, 'dataset.a.depth."tcp port"', "no protocol"),
        (HEAD + '[dataset.a.depth]\ntls = "much"', 4, "dataset.a.depth.tls", "is not a size"),
        (HEAD + '[[dataset.a.lock]]\n', 3, "dataset.a.lock.0", "one of filter, community_id, host and log"),
        (HEAD + '[[dataset.a.lock]]\nhost = "10.0.0.300"', 4, "dataset.a.lock.0.host", "neither an address nor a network"),
        (HEAD + '[[dataset.a.lock]]\nfilter = "hst 10.0.0.3"', 4, "dataset.a.lock.0.filter", "hst"),
        (HEAD + '[[dataset.a.lock]]\ncommunity_id = "x"', 4, "dataset.a.lock.0.community_id", "not a Community ID"),
        (HEAD + 'keep = ["flow"]\n', 3, "dataset.a.keep", "did you mean flows?"),
        (HEAD + TIER + 'after = "1d"\ncutoff = 1\n[[quiet]]\nfrom = "8:00"\nto = "9:00"', 7, "quiet.0.from", "a time of day"),
        ('[[quiet]]\nfrom = "08:00"\nto = "08:00"\n' + HEAD, 1, "quiet.0", "end when they begin"),
        ("[limits]\nionice = \"low\"\n" + HEAD, 2, "limits.ionice", "none of: idle, best-effort, none"),
        ("[limits]\nrate = 0\n" + HEAD, 2, "limits.rate", "is not a rate"),
        ("[limits]\nnice = 20\n" + HEAD, 2, "limits.nice", "0 to 19"),
        ("[limits]\ninterval = \"10ms\"\n" + HEAD, 2, "limits.interval", "at least a second"),
        ('dataset = "a"', 1, "dataset", "is not a table"),
        ("[dataset]\na = 1", 2, "dataset.a", "is not a table"),
        ('[dataset."a b"]\ninclude = "x"', 1, 'dataset."a b"', "the name of a data set"),
        ("", 1, "", "there is no data set"),
        ('[dataset.a]\ninclude = [\n "x",\n 3 ]', 2, "dataset.a.include", "3 is not a text"),
    ],
)  # fmt: skip
def test_messages_name_file_line_and_key(text: str, line: int, key: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy(text, "sensor.toml")
    message = str(caught.value)
    assert message.startswith(f"sensor.toml:{line}: {key}"), message
    assert why in message


def test_a_hostile_policy_is_refused_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(b"x = 1\n\xff\n")
    with pytest.raises(UsageError, match=r"p\.toml:2: byte 6 is not UTF-8"):
        read_policy(path)
    path.write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(UsageError, match="more than"):
        read_policy(path)
    with pytest.raises(UsageError) as caught:
        parse_policy('"\\u001b[2J" = 1\n[dataset.a]\ninclude="x"')
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "docs/examples/retain").glob("*.toml")), ids=lambda p: p.stem)
def test_example_policies_are_right(path: Path) -> None:
    assert read_policy(path).datasets


def test_there_are_examples() -> None:
    names = {path.stem for path in (ROOT / "docs/examples/retain").glob("*.toml")}
    assert names >= {"security-onion", "suricata", "tcpdump", "netsniff-ng", "arkime"}


# Lines, against a slow way to find them: cut the text after each line and see what is there by then.

keys = st.sampled_from(["a", "b", '"c d"', "'e.f'", "g-h"])
values = st.sampled_from(
    ["1", '"x"', '"a # b = [c]"', "'\\'", '[1, 2]', '[\n 1,\n # no = 3\n "]",\n]', '"""\nq = 1\n[x]\n\\""""', "'''\n'''",
     "{ z = 1, y = [2] }", "true", '"\\""']
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML of all kinds; a few of them are not valid."""
    out = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["key", "table", "array", "comment", "blank"]))
        name = ".".join(draw(st.lists(keys, min_size=1, max_size=3)))
        out.append({
            "key": f"{name} = {draw(values)}" + draw(st.sampled_from(["", " # [c]"])),
            "table": f"[{name}]", "array": f"[[{name}]]", "comment": "# x = 1 [y]", "blank": "  ",
        }[kind])  # fmt: skip
    return "\n".join(out) + draw(st.sampled_from(["", "\n"]))


def leaves(data: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Paths of all keys; arrays of tables are entered."""
    found = set()
    if isinstance(data, dict):
        for key, value in data.items():
            found |= {(*path, key)} | leaves(value, (*path, key))
    elif isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
        for n, value in enumerate(data):
            found |= {(*path, n)} | leaves(value, (*path, n))
    return found


@given(documents())
def test_lines_of_any_toml(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = line_numbers(text)
    rows = text.split("\n")
    first: dict[tuple[str | int, ...], int] = {}
    for n in range(len(rows) + 1):
        try:
            there = leaves(tomllib.loads("\n".join(rows[:n])))
        except tomllib.TOMLDecodeError:
            continue  # within a value of several lines
        for path in there:
            first.setdefault(path, n)
    for path in leaves(data):
        line = line_of(lines, path)
        # A value of several lines is there when its last line is. A table may get a header of its own later.
        assert 1 <= line <= first[path] or rows[line - 1].startswith("[")
        if path in lines:
            part = str(path[-1]) if not isinstance(path[-1], int) else str(path[-2])
            assert part in rows[line - 1]
