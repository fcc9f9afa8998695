"""Writes what the help texts and the error classes already say: docs/reference/ and packaging/man/.

::

    python docs/generate.py           # write
    python docs/generate.py --check   # name what is stale, exit status 1
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from pathlib import Path

import click
from flowkeep import __version__, _native, errors
from flowkeep.cli.app import flowkeep

ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 100


def _commands() -> dict[str, click.Command]:
    """Name of a page to command; a group stands before what is in it."""
    return {"flowkeep": flowkeep, **_below("flowkeep", flowkeep)}


def _below(above: str, group: click.Group) -> dict[str, click.Command]:
    """The commands of a group, and those of groups in it."""
    found: dict[str, click.Command] = {}
    context = click.Context(group, info_name=above)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[f"{above} {name}"] = command
        if isinstance(command, click.Group):
            found |= _below(f"{above} {name}", command)
    return found


def _context(name: str, command: click.Command) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )


def _reference() -> dict[str, str]:
    pages = {}
    lines = ["# Commands", "", "Made from `--help` by `docs/generate.py`.", ""]
    for name, command in _commands().items():
        text = command.get_help(_context(name, command)).rstrip()
        file = name.replace(" ", "-") + ".md"
        pages[f"docs/reference/{file}"] = f"# {name}\n\n```text\n{text}\n```\n"
        lines.append(f"* [`{name}`]({file}): {_first(command)}")
    pages["docs/reference/README.md"] = "\n".join(
        [*lines, "* [Errors and exit statuses](errors.md)", "* [Protocols](protocols.md)", ""]
    )
    return pages


def _first(command: click.Command) -> str:
    return _paragraphs(command)[0].removesuffix(".")


def _paragraphs(command: click.Command) -> list[str]:
    """Paragraphs of the help; one that begins with \\b keeps its lines."""
    text = inspect.cleandoc(command.help or "")
    return [p if p.startswith("\b") else " ".join(p.split()) for p in re.split(r"\n\n+", text)]


def _subclasses(error: type[errors.FlowkeepError]) -> list[type[errors.FlowkeepError]]:
    below = [found for child in error.__subclasses__() for found in _subclasses(child)]
    return [error, *sorted(below, key=lambda e: e.exit_status)]


def _errors() -> str:
    lines = [
        "# Errors and exit statuses", "", "Made from `flowkeep.errors` by `docs/generate.py`.", "",
        "| Exit status | Error | Also a | Meaning |", "|---|---|---|---|",
    ]  # fmt: skip
    for error in _subclasses(errors.FlowkeepError):
        also = ", ".join(
            f"`{b.__name__}`" for b in error.__bases__ if not b.__module__.startswith("flowkeep")
        )
        meaning = " ".join((error.__doc__ or "").split()).removesuffix(".")
        lines.append(f"| {error.exit_status} | `{error.__name__}` | {also} | {meaning} |")
    lines += [
        "", "Errors of the operating system are `OSError`: exit status 3. The other statuses are",
        "[0, 1 and 130](../guide/exit-status.md).", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _protocols() -> str:
    lines = [
        "# Protocols", "", "Made from the registry of the native core by `docs/generate.py`.",
        "[How they are recognised](../guide/identify.md).", "",
        "| Label | Protocol | Over | Known on ports | Specification |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for _, label, title, carriers, ports, spec in sorted(_native.protocols(), key=lambda row: row[1]):
        known = ", ".join(map(str, ports))
        lines.append(f"| `{label}` | {title} | {', '.join(carriers)} | {known} | {spec} |")
    return "\n".join([*lines, ""])


def _roff(text: str) -> str:
    """Text with what troff would obey made plain."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def _man(name: str, command: click.Command) -> str:
    context = _context(name, command)
    page = name.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{page.upper()}" "1" "" "flowkeep {__version__}" "flowkeep"', ".SH NAME",
        f"{_roff(page)} \\- {_roff(_first(command))}", ".SH SYNOPSIS",
        f".B {_roff(name)}", _roff(usage), ".SH DESCRIPTION",
    ]  # fmt: skip
    for paragraph in _paragraphs(command):
        if paragraph.startswith("\b"):
            lines += [".PP", ".nf", _roff(paragraph.removeprefix("\b").strip("\n")), ".fi"]
        else:
            lines += [".PP", _roff(paragraph)]
    lines.append(".SH OPTIONS")
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None:
            lines += [".TP", f".B {_roff(record[0])}", _roff(" ".join(record[1].split()))]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for other, sub in _below(name, command).items():
            lines += [".TP", f".BR {_roff(other.replace(' ', '-'))} (1)", _roff(_first(sub))]
    lines += [
        ".SH EXIT STATUS", "0 done; 1 done, but some input was damaged or skipped; 2 the call is wrong;",
        "higher by kind of error.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Path below the project to text, for everything that is generated."""
    made = _reference() | {"docs/reference/errors.md": _errors(), "docs/reference/protocols.md": _protocols()}
    for name, command in _commands().items():
        made[f"packaging/man/{name.replace(' ', '-')}.1"] = _man(name, command)
    return made


def stale() -> list[str]:
    """Generated files that are not what they would be now, missing or left over."""
    made = pages()
    there = {
        os.fspath(path.relative_to(ROOT))
        for pattern in ("docs/reference/*.md", "packaging/man/*.1")
        for path in ROOT.glob(pattern)
    }
    return sorted(
        name
        for name in there | set(made)
        if name not in there or made.get(name) != (ROOT / name).read_text(encoding="utf-8")
    )


def main() -> int:
    """Write or check."""
    old = stale()
    if sys.argv[1:] == ["--check"]:
        for name in old:
            print(f"{name} is stale: run python docs/generate.py")
        return int(bool(old))
    made = pages()
    for name in old:
        path = ROOT / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[name], encoding="utf-8")
        else:
            path.unlink()
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
