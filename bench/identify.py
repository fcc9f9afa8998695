"""How well protocols are recognised, with all ports rewritten at random.

::

    python bench/identify.py CAPTURES --labels LABELS.csv [--errors FILE] [--quick] [--rival]
    python bench/identify.py CAPTURES --labels LABELS.csv --learn

The truth is what another program's deep inspection said (``label_origin`` is ``dpi``);
``identify_labels.csv`` says which of our names stand for which of its. Counted are flows with payload whose
protocol we know. With ``--rival``, nDPI's ``ndpiReader`` looks at the same rewritten files;
it is counted right when it says the true name or one that stands for the same labels of ours.

With ``--learn``, models are measured instead: of each of its names, one is learnt from flows of one capture
and asked about the flows of all others.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import flowkeep as fk
from flowkeep import _native

Flow = tuple[str, tuple[str, int], tuple[str, int]]
"""Protocol and both ends, the lower one first."""

_PORTS = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
}


def flow(proto: str, one: tuple[str, int], two: tuple[str, int]) -> Flow:
    """The same for both directions."""
    low, high = sorted((one, two))
    return proto.lower(), low, high


def records(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Link type, begin and end of each packet of a pcap or pcapng file."""
    if data[:4] in _MAGIC:
        order = _MAGIC[data[:4]]
        link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
        at = 24
        while at + 16 <= len(data):
            size = struct.unpack_from(order + "I", data, at + 8)[0]
            if at + 16 + size > len(data):
                return
            yield link, at + 16, at + 16 + size
            at += 16 + size
    elif data[:4] == b"\x0a\x0d\x0d\x0a":
        order, links, at = "<", [], 0
        while at + 12 <= len(data):
            if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                order, links = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">", []
            kind, size = struct.unpack_from(order + "II", data, at)
            if size < 12 or at + size > len(data):
                return
            if kind == 1:
                links.append(struct.unpack_from(order + "H", data, at + 8)[0])
            elif kind == 6 and (interface := struct.unpack_from(order + "I", data, at + 8)[0]) < len(links):
                length = struct.unpack_from(order + "I", data, at + 20)[0]
                yield links[interface], at + 28, min(at + 28 + length, at + size)
            elif kind == 3 and links:
                length = struct.unpack_from(order + "I", data, at + 8)[0]
                yield links[0], at + 12, min(at + 12 + length, at + size - 4)
            at += size


def network(data: bytes, link: int, at: int, end: int) -> int | None:
    """Where the IP header begins."""
    if link == 1:
        at += 12
        while at + 2 <= end and data[at : at + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
            at += 4
        if data[at : at + 2] == b"\x88\x64":
            return at + 10 if data[at + 8 : at + 10] in (b"\x00\x21", b"\x00\x57") else None
        return at + 2 if data[at : at + 2] in (b"\x08\x00", b"\x86\xdd") else None
    return {12: at, 14: at, 101: at, 113: at + 16, 276: at + 20, 0: at + 4, 108: at + 4}.get(link)


def ports(data: bytes, link: int, begin: int, end: int) -> tuple[str, str, str, int] | None:
    """Protocol, addresses, and where the ports stand."""
    at = network(data, link, begin, end)
    if at is None or at + 20 > end:
        return None
    if data[at] >> 4 == 4:
        proto, behind = data[at + 9], at + (data[at] & 15) * 4
        if struct.unpack_from(">H", data, at + 6)[0] & 0x1FFF:
            return None
        source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
    elif data[at] >> 4 == 6 and at + 40 <= end:
        proto, behind = data[at + 6], at + 40
        source, target = data[at + 8 : at + 24], data[at + 24 : at + 40]
        while proto in (0, 43, 60) and behind + 8 <= end:
            proto, behind = data[behind], behind + (data[behind + 1] + 1) * 8
    else:
        return None
    if proto not in _PORTS or behind + 4 > end:
        return None
    return _PORTS[proto], str(ip_address(bytes(source))), str(ip_address(bytes(target))), behind


def rewrite(path: Path, out: Path) -> dict[Flow, Flow] | None:
    """Write a capture with the ports of each flow changed; gives the new flow to the old one."""
    data = bytearray(path.read_bytes())
    new: dict[Flow, Flow] = {}
    known: dict[Flow, dict[tuple[str, int], int]] = {}
    count = 0
    for link, begin, end in records(bytes(data)):
        count += 1
        found = ports(data, link, begin, end)
        if found is None:
            continue
        proto, source, target, at = found
        a, b = struct.unpack_from(">HH", data, at)
        old = flow(proto, (source, a), (target, b))
        if old not in known:
            digest = hashlib.sha256(repr((path.name, old)).encode()).digest()
            # Nothing below 10,000: no port there is known for much.
            one, two = (10_000 + int.from_bytes(digest[i : i + 4], "big") % 50_000 for i in (0, 4))
            known[old] = {old[1]: one, old[2]: two if old[1] != old[2] else one}
            new[flow(proto, (old[1][0], one), (old[2][0], known[old][old[2]]))] = old
        struct.pack_into(">HH", data, at, known[old][source, a], known[old][target, b])
    if not count:
        return None
    out.write_bytes(data)
    return new


@dataclass
class Score:
    """Counts of one run."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unknown: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    """Answers by what they should have been called, right or not."""
    errors: list[str] = field(default_factory=list)
    ports: Counter[str] = field(default_factory=Counter)
    """Right, wrong and unknown over TCP and UDP alone, which is what another program was asked about."""

    def totals(self) -> tuple[int, int, int]:
        """Right, wrong, unknown."""
        return (
            sum(self.right.values()),
            sum(sum(c.values()) for c in self.wrong.values()),
            sum(self.unknown.values()),
        )


def truth(path: Path) -> dict[str, dict[Flow, tuple[str, str]]]:
    """Capture to flow to (protocol, full label); flows labelled twice with different names are left out."""
    found: dict[str, dict[Flow, tuple[str, str]]] = defaultdict(dict)
    for row in csv.DictReader(path.open(encoding="utf-8")):
        if row["label_origin"] != "dpi" or row["tunnel"]:
            continue
        proto = row["l4"].lower()
        key = flow(
            proto, (row["src_ip"], int(row["src_port"] or 0)), (row["dst_ip"], int(row["dst_port"] or 0))
        )
        label = (row["master"], row["label"])
        here = found[row["capture"]]
        here[key] = label if here.get(key, label) == label else ("", "")
    return found


def answers(path: Path) -> dict[Flow, dict[str, Any]]:
    """What flowkeep says of each flow with payload: the first session that it knows."""
    told: dict[Flow, dict[str, Any]] = {}
    for row in fk.open(path).flows(identify=True).to_dicts():
        proto = row["proto"]
        if proto in ("tcp", "udp") and not row["client_payload_bytes"] + row["server_payload_bytes"]:
            continue
        key = flow(proto, (row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"]))
        if told.get(key, {}).get("service") is None:
            told[key] = row
    return told


def rival(path: Path) -> dict[Flow, str]:
    """What ndpiReader, guessing nothing by ports (``-d``), says of each flow."""
    out = path.with_suffix(".ndpi.csv")
    command = ["ndpiReader", "-i", str(path), "-C", str(out), "-q", "-d"]
    try:
        subprocess.run(command, capture_output=True, timeout=120, check=False)
        lines = out.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, subprocess.TimeoutExpired):
        return {}
    finally:
        out.unlink(missing_ok=True)
    told: dict[Flow, str] = {}
    protos = {str(number): name for number, name in _PORTS.items()}
    for line in lines[1:]:
        # flow, protocol, three times, source, port, destination, port, number, name, ...
        row = line.split(",")
        if len(row) < 11 or row[1] not in protos:
            continue
        try:
            ends = [(str(ip_address(row[at])), int(row[at + 1])) for at in (5, 7)]
        except ValueError:
            continue
        key = flow(protos[row[1]], ends[0], ends[1])
        if told.get(key, "Unknown") == "Unknown":
            told[key] = row[10]
    return told


def rate(
    captures: Path, labels: Path, names: dict[str, set[str]], prepare: Any, folder: Path, other: Score | None
) -> tuple[Score, Counter[str]]:
    """Score one way of preparing the rewritten captures, and the ``other`` program on the same flows."""
    score, skipped = Score(), Counter[str]()
    ours = {label for row in _native.protocols() for label in (row[1],)}
    for capture, flows in truth(labels).items():
        path = captures / capture
        if not path.exists():
            skipped["capture is not there"] += len(flows)
            continue
        out = folder / path.name
        new = rewrite(path, out)
        if new is None:
            skipped["format"] += len(flows)
            continue
        prepared = prepare(out)
        try:
            told = answers(prepared) if prepared else {}
        except fk.FlowkeepError as error:
            skipped[type(error).__name__] += len(flows)
            continue
        if not prepared:
            skipped["not prepared"] += len(flows)
        theirs = rival(prepared) if prepared and other is not None else {}
        for key, row in told.items():
            old = new.get(key, key)
            master, label = flows.get(old, ("", ""))
            if not (wanted := names.get(master, set()) & ours):
                continue
            # What is inside may be named, too: RDP in TLS.
            wanted |= set().union(*(names.get(part, set()) for part in label.split(".")[1:]))
            if other is not None and row["proto"] in ("tcp", "udp"):
                heard(other, master, theirs.get(key, "Unknown"), label, names, wanted)
            said = row["service"]
            if said is None:
                verdict = "unknown"
                score.unknown[master] += 1
                score.errors.append(f"unknown\t{label}\t{capture}\t{old}")
            elif wanted.isdisjoint(said.split("/")):
                verdict = "wrong"
                score.wrong[master][said] += 1
                score.errors.append(f"{said}\t{label}\t{capture}\t{old}\t{row['service_evidence']}")
            else:
                verdict = "right"
                score.right[master] += 1
            score.ports[verdict] += row["proto"] in ("tcp", "udp")
        for leftover in {out, prepared} - {None}:
            Path(leftover).unlink(missing_ok=True)
    return score, skipped


def heard(
    score: Score, master: str, said: str, label: str, names: dict[str, set[str]], wanted: set[str]
) -> None:
    """Count an answer of the other program, a name like ``TLS.Google``."""
    parts = said.split(".")
    if said == "Unknown":
        score.unknown[master] += 1
    elif not set(parts).isdisjoint(label.split(".")) or any(names.get(p, set()) & wanted for p in parts):
        score.right[master] += 1
    else:
        score.wrong[master][said] += 1
        score.errors.append(f"{said}\t{label}")


def beside(title: str, ours: Score, other: Score) -> None:
    """Print both programs' totals over TCP and UDP."""
    print(f"\n### {title}, flows over TCP and UDP, beside ndpiReader\n")
    print("| | Right | Wrong | Unknown | Precision | Recall |\n|---|---|---|---|---|---|")
    told = (ours.ports["right"], ours.ports["wrong"], ours.ports["unknown"])
    for name, (right, wrong, unknown) in (("flowkeep", told), ("ndpiReader -d", other.totals())):
        precision, recall = 100 * right / max(right + wrong, 1), 100 * right / max(right + wrong + unknown, 1)
        print(f"| {name} | {right} | {wrong} | {unknown} | {precision:.2f} % | {recall:.2f} % |")


def show(title: str, score: Score) -> None:
    """Print a table in Markdown."""
    right, wrong, unknown = score.totals()
    print(f"\n## {title}\n")
    print("| Protocol | Flows | Recall | Unknown | Taken for |\n|---|---|---|---|---|")
    every = (
        Counter(score.right) + score.unknown + Counter({k: sum(v.values()) for k, v in score.wrong.items()})
    )
    for name, count in every.most_common():
        taken = ", ".join(f"{label} {n}" for label, n in score.wrong.get(name, Counter()).most_common())
        print(
            f"| {name} | {count} | {100 * score.right[name] / count:.1f} % "
            f"| {score.unknown[name]} | {taken} |"
        )
    total = right + wrong + unknown
    if total:
        print(
            f"\n{total} flows: precision {100 * right / max(right + wrong, 1):.2f} %, "
            f"recall {100 * right / total:.2f} %, unknown {100 * unknown / total:.2f} %"
        )


def first(count: int, path: Path) -> Path | None:
    """The first packets of each flow: those of a trimmed copy would be bytes, so they are counted here."""
    data = path.read_bytes()
    if data[:4] not in _MAGIC:
        return None
    seen: Counter[Any] = Counter()
    out = bytearray(data[:24])
    for link, begin, end in records(data):
        found = ports(data, link, begin, end)
        if found is not None:
            proto, source, target, at = found
            a, b = struct.unpack_from(">HH", data, at)
            key = flow(proto, (source, a), (target, b))
            seen[key] += 1
            if seen[key] > count:
                continue
        out += data[begin - 16 : end]
    target_path = path.with_suffix(".first.pcap")
    target_path.write_bytes(out)
    return target_path


def trimmed(size: str, path: Path) -> Path | None:
    """Trimmed by flowkeep itself."""
    out = path.parent / "trimmed"
    fk.open(path).trim(size, output=out)
    return out / path.name if (out / path.name).exists() else None


@dataclass
class Told:
    """What a model said of flows outside of the capture it was learnt from."""

    right: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """Flows that the truth calls something else."""
    open: int = 0
    """Flows that the truth does not name."""


def learnt(captures: Path, labels: Path, most: int, folder: Path) -> None:
    """Learn each name from at most so many flows of one capture, ask all other captures, and print."""
    named = truth(labels)
    rewritten = {}
    for path in sorted(p for p in captures.rglob("*") if p.is_file()):
        out = folder / f"{len(rewritten)}-{path.name}"
        try:
            new = rewrite(path, out)
            fk.open(out).info() if new else None
        except (fk.FlowkeepError, OSError, struct.error, IndexError):
            new = None
        if new:
            # Labels name captures by their path below the folder.
            flows = named.get(str(path.relative_to(captures)), {})
            rewritten[out] = {key: flows.get(old, ("", "")) for key, old in new.items()}
        else:
            out.unlink(missing_ok=True)
    models, source, taught = [], {}, Counter[int]()
    for path, flows in rewritten.items():
        by_label = defaultdict(list)
        for row in fk.open(path).flows().to_dicts():
            key = key_of(row)
            if row["client_payload_bytes"] + row["server_payload_bytes"] and (
                label := flows.get(key, ("", ""))[1]
            ):
                by_label[label].append(str(row["flow_id"]))
        for label, ids in by_label.items():
            name = "x-" + "".join(c if c.isalnum() else "-" for c in label.lower())[:28]
            if name in source:
                continue
            output = folder / f"{name}.model"
            try:
                report = fk.learn(name, path, query=fk.FlowQuery(flows=tuple(ids[:most])), output=output)
            except fk.UsageError:
                continue
            models.append(output)
            source[name] = (path, label)
            taught[sum(part.flows for part in report.parts)] += 1
    told: dict[str, Told] = defaultdict(Told)
    asked, strangers = 0, 0
    groups = [models[i::8] for i in range(8)]  # few at a time, so that they do not hide each other
    for path, flows in rewritten.items():
        for group in groups:
            rows = fk.open(path).flows(models=group, identify=True).to_dicts()
            rows = [row for row in rows if row["client_payload_bytes"] + row["server_payload_bytes"]]
            if group is groups[0]:
                asked += len(rows)
                strangers += sum(row["service"] is None or row["service"] in source for row in rows)
            for row in rows:
                name = row["service"]
                if name not in source or source[name][0] == path:
                    continue
                label = flows.get(key_of(row), ("", ""))[1]
                if not label:
                    told[name].open += 1
                elif set(label.split(".")) & set(source[name][1].split(".")):
                    told[name].right += 1
                else:
                    told[name].wrong[label] += 1
    print(f"\n## Models of at most {most} flows\n")
    print("| Model of | Right | Not labelled | Wrong |\n|---|---|---|---|")
    for name in sorted(told, key=lambda name: (-sum(told[name].wrong.values()), name)):
        one = told[name]
        wrong = ", ".join(f"{label} {n}" for label, n in one.wrong.most_common())
        if wrong or one.open:
            print(f"| {source[name][1]} | {one.right} | {one.open} | {wrong} |")
    right, wrong, unsure = (
        sum(t.right for t in told.values()),
        sum(sum(t.wrong.values()) for t in told.values()),
        sum(t.open for t in told.values()),
    )
    print(
        f"\n{len(source)} models, {asked} flows with payload in {len(rewritten)} captures, {strangers} of "
        f"which no rule names: right {right}, wrong {wrong}, not labelled by the truth {unsure}; wrong are "
        f"{100 * wrong / max(strangers * len(source), 1):.4f} % of the {strangers * len(source)} pairs of a "
        "model and a flow without a name"
    )


def key_of(row: dict[str, Any]) -> Flow:
    """The flow of a row."""
    ends = (row["client_ip"], row["client_port"]), (row["server_ip"], row["server_port"])
    return flow(row["proto"], *ends)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--errors", type=Path, help="write each error into this file")
    parser.add_argument("--quick", action="store_true", help="whole flows only")
    parser.add_argument("--rival", action="store_true", help="run ndpiReader on the same files, too")
    parser.add_argument("--learn", action="store_true", help="measure learnt models instead")
    args = parser.parse_args()
    if args.learn:
        for most in (1, 10):
            with tempfile.TemporaryDirectory() as folder:
                learnt(args.captures, args.labels, most, Path(folder))
        return 0
    if args.rival and shutil.which("ndpiReader") is None:
        parser.error("ndpiReader is not installed (Debian: libndpi-bin)")
    table = csv.DictReader((Path(__file__).parent / "identify_labels.csv").open(encoding="utf-8"))
    names = {row["ndpi"]: set(row["flowkeep"].split()) for row in table}
    ways = [
        ("Whole flows", lambda path: path),
        ("First 10 packets of each flow", lambda path: first(10, path)),
        ("After `flowkeep trim 10kB`", lambda path: trimmed("10kB", path)),
    ]
    for title, prepare in ways[: 1 if args.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            other = Score() if args.rival else None
            score, skipped = rate(args.captures, args.labels, names, prepare, Path(folder), other)
        show(title, score)
        if other is not None:
            beside(title, score, other)
        print("\nnot measured:", dict(skipped), file=sys.stderr)
        if args.errors and title == ways[0][0]:
            args.errors.write_text("\n".join(score.errors) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
