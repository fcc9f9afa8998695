"""``flowkeep cache``: a group of commands, each loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = ("run", "status", "flows", "read")


class _Subcommands(click.Group):
    """Commands by name, each imported from ``cache_<name>_cmd``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command = getattr(import_module(f".cache_{cmd_name}_cmd", __package__), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Subcommands)
def cache() -> None:
    """Remember days of traffic in one per cent of the memory.

    A service captures packets and keeps them in a fixed amount of RAM. As flows get older their tails are let
    go, so that the present is whole and the past keeps its beginnings.

    \b
    flowkeep cache run                                    capture all interfaces
    flowkeep cache status --watch                         how far back it reaches
    flowkeep cache flows --since 2h --sort bytes          what is inside
    flowkeep cache read --filter 'host 10.0.0.7' -o x.pcapng
    """
