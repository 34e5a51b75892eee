"""``python -m objectness`` and the ``objectness`` script."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its libraries are still being imported ends it like any other."""
    try:
        from objectness.cli import main as run

        run()
    except KeyboardInterrupt:
        print("objectness: stopped.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
