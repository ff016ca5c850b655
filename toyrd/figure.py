"""The frame of the commands figure1 to figure4: options, tables, files and errors.

A command is a parser and a function from its options to a picture and a text. `run` does the
rest: it prints the text, writes the picture, whole or not at all, and turns what a user can
get wrong into one line and exit code 2. The same call writes the same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["figure_parser", "figure_style", "progress", "run", "save", "text_table"]

Command = Callable[[argparse.Namespace], tuple[Figure, str]]

UNITS = "axes fraction", "offset points"
"""Of a place in a picture, and of a text from there."""

# Of each format; None leaves the date out.
_METADATA: dict[str, Any] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
_SUFFIXES = "must end in .png, .svg or .pdf"
_PLACE = "choose another place"


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the commands' own style, whatever the user's settings, and put those back.

    Examples
    --------
    >>> with figure_style():
    ...     mpl.rcParams["font.size"]
    8.0
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=8)
        # The title is put where it is by default, so that it is not searched for at every draw.
        mpl.rc("axes", titlesize=8, titlepad=4, titley=1.0, labelpad=2)
        mpl.rc("legend", fontsize=7.5)
        mpl.rc("xtick", labelsize=7)
        mpl.rc("ytick", labelsize=7)
        mpl.rc("svg", hashsalt="toyrd")
        yield


class _Parser(argparse.ArgumentParser):
    """Leave the reporting of errors to `run`: one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def figure_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Build the parser of ``python -m toyrd.NAME`` with the options that all figures share.

    Parameters
    ----------
    name : str
        Of the module, such as ``"figure2"``; the picture goes to ``figures/NAME.png``.
    description : str
        One line for ``--help``.

    Returns
    -------
    argparse.ArgumentParser
        With ``--output``, ``--dpi`` and ``--seed``; errors are raised as ValueError.

    Examples
    --------
    >>> options = figure_parser("figure2", "three models").parse_args(["--dpi", "72"])
    >>> options.output.name, options.dpi, options.seed
    ('figure2.png', 72, 0)
    """
    parser = _Parser(prog=f"toyrd.{name}", description=description)
    add = parser.add_argument
    formats = "file to write: .png, .svg or .pdf (default: %(default)s)"
    add("--output", type=_output, default=f"figures/{name}.png", metavar="PATH", help=formats)
    add("--dpi", type=_integer(10, 1200), default=150, metavar="N", help="dots per inch (150)")
    add("--seed", type=_integer(0), default=0, metavar="N", help="of all random choices (0)")
    return parser


def run(
    parser: argparse.ArgumentParser, command: Command, argv: Sequence[str] | None = None
) -> int:
    """Run a figure command: parse, compute, print, write.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        From `figure_parser`.
    command : callable
        Takes the parsed options and returns a figure and the text to print before its path.
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 after an error (one line on stderr), 130 after an interrupt.

    Examples
    --------
    >>> from contextlib import redirect_stderr
    >>> with redirect_stderr(sys.stdout):
    ...     code = run(figure_parser("figure2", ""), lambda _: (Figure(), ""), ["--dpi", "fine"])
    toyrd.figure2: argument --dpi: invalid integer value: 'fine'
    >>> code
    2
    """
    try:
        options = parser.parse_args(argv)
        figure, text = command(options)
        _say(text)
        save(figure, options.output, dpi=options.dpi)
        _say(str(options.output))
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: float) -> None:
    """Write a figure to a PNG, SVG or PDF file, whole or not at all, always the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    path : path-like
        Where; folders are made as needed.
    dpi : float
        Dots per inch.

    Raises
    ------
    ValueError
        If `path` does not end in .png, .svg or .pdf.
    OSError
        If `path` cannot be written.

    Examples
    --------
    >>> save(Figure(), "figure.jpeg", dpi=100)
    Traceback (most recent call last):
    ValueError: figure.jpeg must end in .png, .svg or .pdf
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _METADATA:
        raise ValueError(f"{path} {_SUFFIXES}")
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=target.parent) as folder, figure_style():
            part = Path(folder, target.name)
            figure.savefig(part, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
            part.replace(target)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}; {_PLACE}") from error


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, digits: int = 6) -> str:
    """Lay out rows as aligned text: words to the left, numbers to the right.

    Parameters
    ----------
    header : sequence of str
        One title for each column.
    rows : sequence of sequences
        Of words and numbers, one for each column.
    digits : int
        Of each float, after the point.

    Returns
    -------
    str
        Lines of text without a final newline.

    Examples
    --------
    >>> print(text_table(["model", "R", "D"], [["true", 0.5, 2.25], ["none", 0, 11.0]], digits=2))
    model     R      D
    true   0.50   2.25
    none      0  11.00
    """
    columns = []
    for title, *values in zip(header, *rows, strict=True):
        texts = [f"{one:.{digits}f}" if isinstance(one, float) else str(one) for one in values]
        side = "<" if all(isinstance(one, str) for one in values) else ">"
        width = max(map(len, [title, *texts]))
        columns.append([f"{text:{side}{width}}" for text in (title, *texts)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Callable[..., None]]:
    """Give a callback that moves a progress bar by one step, whatever it is called with.

    The bar is tqdm's, on stderr, if tqdm is installed and stderr is a terminal; otherwise
    nothing is shown.

    Parameters
    ----------
    total : int or None
        Number of steps, if known.
    label : str
        Shown in front of the bar.

    Examples
    --------
    >>> with progress(2, "betas") as callback:
    ...     callback()
    ...     callback("any argument")
    """
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None:
        yield lambda *_: None
        return
    with tqdm(total=total, desc=label, leave=False, disable=None) as bar:
        yield lambda *_: bar.update()


def _output(text: str) -> Path:
    """Return the path for --output, refusing at once what cannot be written at the end."""
    path = Path(text)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.suffix.lower() not in _METADATA:
        raise argparse.ArgumentTypeError(f"{path} {_SUFFIXES}")
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be written; {_PLACE}")
    return path


def _integer(low: int, high: int | None = None) -> Callable[[str], int]:
    rule = f"must be at least {low}" + (f" and at most {high}" if high else "")

    def integer(text: str) -> int:
        number = int(text)
        if number < low or (high and number > high):
            raise argparse.ArgumentTypeError(f"{number} {rule}")
        return number

    return integer


def _say(text: str) -> None:
    """Print, even where the terminal cannot show a letter."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
