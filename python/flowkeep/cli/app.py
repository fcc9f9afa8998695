"""The list of commands, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from .. import __version__
from ..errors import FlowkeepError
from ..text import safe

COMMANDS = ("trim", "flows", "extract", "search", "info", "carve", "demo")


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
    try:
        status = flowkeep.main(list(arguments), prog_name="flowkeep", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("flowkeep: stopped; nothing half-done was left behind", err=True)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FlowkeepError as error:
        click.echo(f"flowkeep: {_lines(str(error))}", err=True)
        return error.exit_status
    except OSError as error:
        where = f"{safe(os.fsdecode(error.filename))}: " if error.filename else ""
        click.echo(f"flowkeep: {where}{_lines(error.strerror or str(error))}", err=True)
        return 3


def _lines(text: str) -> str:
    return "\n".join(map(safe, text.split("\n")))
