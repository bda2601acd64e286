"""`python -m olivelike` and the console script: hands over to the command line."""

from __future__ import annotations


def main() -> None:
    """Runs the command line and exits with its code."""
    from olivelike.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
