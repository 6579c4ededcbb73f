"""The console script: `pointsman`, or `python -m serving`."""

import sys

from serving.cli.app import build


def main() -> None:
    """Run the command line."""
    build(command=next(iter(sys.argv[1:]), None))(prog_name="pointsman")


if __name__ == "__main__":
    main()
