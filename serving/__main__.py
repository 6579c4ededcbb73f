"""The console script: `pointsman`, or `python -m serving`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from serving.cli.app import build  # noqa: PLC0415 - takes a moment, in which somebody may think better of it

        build(command=next(iter(sys.argv[1:]), None))(prog_name="pointsman")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
