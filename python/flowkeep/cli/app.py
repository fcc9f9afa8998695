"""The list of commands, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from .. import __version__
from ..errors import FlowkeepError, OutputError, UsageError
from .stream import complain, discard, talk

COMMANDS = (
    "trim",
    "flows",
    "find",
    "hosts",
    "services",
    "extract",
    "search",
    "streams",
    "transcript",
    "index",
    "info",
    "carve",
    "lake",
    "learn",
    "cache",
    "retain",
    "ui",
    "protocols",
    "demo",
)
_COMPLETE = "_FLOWKEEP_COMPLETE"
"""Shells set it to ask for completions; so says click."""


class _Commands(click.Group):
    """Commands by name, each imported from ``<name>_cmd`` when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f".{cmd_name}_cmd", __package__), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flowkeep", message="%(prog)s %(version)s")
def flowkeep() -> None:
    """Keep the start of every conversation.

    Cuts the long tail of long flows from packet captures, so that the same disk holds ten times more
    history, and lists the flows.

    \b
    flowkeep demo                                   see it work on a made capture
    flowkeep info captures/                         what is there, what a cutoff would save
    flowkeep trim 100kB captures/ --output small/   trim a folder into another one
    flowkeep flows small/ --sort bytes              the biggest talkers
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line; gives the exit status."""
    status = _status(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        if status == 0:
            status = _unwritten(error)
    return status


def _status(arguments: Sequence[str]) -> int:
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(flowkeep, {}, "flowkeep", _COMPLETE, instruction)
    # Who types the name alone wants to know what there is.
    arguments = list(arguments) or ["--help"]
    try:
        # Not flowkeep.main(): it makes status 1 of a reader that left, which stands for damaged input.
        with flowkeep.make_context("flowkeep", arguments) as context:
            status = flowkeep.invoke(context)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        _explain(error)
        return UsageError.exit_status
    except (click.Abort, KeyboardInterrupt):
        complain("stopped; nothing half-done was left behind")
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        discard(sys.stdout)
        return 0
    except FlowkeepError as error:
        complain(str(error))
        return error.exit_status
    except OSError as error:
        if error.filename is None and error.errno is not None:
            # Files are named in their errors: this is a stream, and stderr never gets here.
            discard(sys.stdout)
            return _unwritten(error)
        name = os.fsdecode(error.filename) if error.filename else ""
        where = f"{'standard input' if name == '-' else name}: " if name else ""
        complain(f"{where}{error.strerror or error}")
        return FlowkeepError.exit_status


def _unwritten(error: OSError) -> int:
    why = "it is not open" if error.errno == errno.EBADF else error.strerror
    complain(f"standard output: cannot be written: {why}")
    return OutputError.exit_status


def _explain(error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        talk(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n")
    complain(error.format_message())
