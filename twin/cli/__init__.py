"""The command ``linetwin``: one module per group of commands.

Exit codes: 0 done; 1 something failed while it ran (``doctor`` found a problem, the ledger does not
balance); 2 wrong arguments, settings or line description; 3 input that cannot be read; 4 a
port, broker or file cannot be reached; 130 interrupted by Ctrl-C, nothing lost.
"""

import os
import sys

__all__ = ["main"]

# Matrices here are small (a group has at most 30 sensors): threads of the linear algebra only wait
# for each other, and on a small machine ten times longer than the work takes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Entry point; the command is loaded inside, so that Ctrl-C is clean from the first moment."""
    try:
        from twin.cli.main import main as command  # noqa: PLC0415 - see above

        command()
    except KeyboardInterrupt:
        sys.exit(130)
