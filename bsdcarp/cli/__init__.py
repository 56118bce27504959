"""The command line: a file per family of verbs, each short, each importing what it needs only when it runs."""

from __future__ import annotations

import atexit
import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run ``bsdcarp``; an error of our own is one line on standard error and its exit status, never a traceback."""
    # Most of a run is imports and small objects that stay; looking for garbage every 700 of them costs a tenth.
    gc.set_threshold(50_000, 20, 20)
    # At the end all of it goes with the process; looking at every object once more would take a tenth of a second.
    atexit.register(gc.freeze)
    from bsdcarp.cli.app import application
    from bsdcarp.errors import BsdcarpError

    try:
        application(next(iter(sys.argv[1:]), None))()
    except BsdcarpError as error:
        sys.stderr.write(f"bsdcarp: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader went away (`bsdcarp diff | head`); devnull keeps the interpreter quiet when it flushes at exit.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
