"""The console script: `pointsman`, or `python -m serving`."""

from serving.cli.app import build


def main() -> None:
    """Run the command line."""
    build()(prog_name="pointsman")


if __name__ == "__main__":
    main()
