"""``flowkeep ui``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..text import safe
from ..units import parse_size
from .options import read_options, reading
from .stream import talk


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    help="Captures below this folder may be opened, and results written there; may be given several "
    "times.  [default: the folders of the given paths]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen on; 0: any that is free.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on. Beyond this machine TLS and a password are needed.  [default: 127.0.0.1]",
)
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="A further name the server is reached by."
)
@click.option(
    "--tls-cert", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Certificate, PEM."
)
@click.option(
    "--tls-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Its key, PEM."
)
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The first line is the password that is asked for.",
)
@click.option("--open-with", metavar="PROGRAM", help="A program to open packets with, such as wireshark.")
@click.option("--max-upload", default="2GB", metavar="SIZE", help="Bytes of one upload.  [default: 2GB]")
@click.option("--no-browser", is_flag=True, help="Print the URL, and open no browser.")
@reading
def ui(paths: tuple[str, ...], **given: Any) -> int:
    """Look at captures in a browser: filter, hide what is normal, follow flows, take packets out.

    \b
    flowkeep ui capture.pcap
    flowkeep ui day/ --root results/ --open-with wireshark
    """
    try:
        from ..ui.server import Server, UiPlan, plain_roots
    except ImportError as error:
        raise UsageError(
            f"the browser needs more packages: pip install 'flowkeep[ui]' ({error.name} is missing)"
        ) from None
    password = None
    if given["password_file"] is not None:
        password = given["password_file"].read_text(encoding="utf-8").partition("\n")[0].strip()
    plan = UiPlan(
        paths, plain_roots(given["roots"]), given["host"], given["port"], given["names"],
        given["tls_cert"], given["tls_key"], password, given["open_with"], parse_size(given["max_upload"]),
    )  # fmt: skip
    server = Server(plan, read_options(given))

    def ready(url: str) -> None:
        talk(f"open {safe(url)}\nCtrl-C ends it\n")
        if not given["no_browser"]:
            import webbrowser

            webbrowser.open(url)

    server.run(ready)
    return 0
