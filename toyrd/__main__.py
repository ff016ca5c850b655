"""``python -m toyrd``: the commands, what each shows and how long it takes."""

import sys
from importlib import import_module


def main() -> int:
    """List the commands; the first line of each module says what it shows."""
    print("Commands that draw a figure of the paper and print its numbers; --help says more:\n")
    for name in ("figure1", "figure2", "figure3", "figure4", "ceiling"):
        said = str(import_module(f"toyrd.{name}").__doc__).splitlines()[0]
        print(f"python -m toyrd.{name}  {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
