"""The frame of the commands figure1 to figure4: options, style, tables, files and errors.

A command is a parser and a function from its options to a picture and a text. `run` does the
rest: it prints the text, writes the picture, whole or not at all, and turns a mistake of the
user into one line and exit code 2. The same call writes the same bytes.

Pictures are drawn for the width of a page, 6.75 inches, with text of 7 points or more: in a
paper they keep their size. ``--width`` draws for another page, 6.25 inches or more.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import matplotlib as mpl
from matplotlib.figure import Figure

from .checks import Tell, quiet

Command = Callable[[Namespace], tuple[Figure, str]]

UNITS = "axes fraction", "offset points"
"""Of a place in a picture, and of a text from there."""

PAGE = 6.75
"""Width of a page in inches: the two columns of the paper."""

FOLDER = Path("figures")
"""The one folder that is made when it is missing."""

# Of each format; None leaves the date out.
_METADATA: dict[str, Any] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
_PLACE = "name a file in a folder that exists and is open to you"


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the commands' own style, whatever the user's settings, and put those back.

    Examples
    --------
    >>> with figure_style():
    ...     mpl.rcParams["xtick.labelsize"]
    7.0
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=7.5)
        # The title is put where it is by default, so that it is not searched for at every draw.
        mpl.rc("axes", titlesize=7.5, titlepad=3, titley=1.0, labelpad=1.5, linewidth=0.6)
        mpl.rc("legend", fontsize=7)
        mpl.rc("xtick", labelsize=7)
        mpl.rc("ytick", labelsize=7)
        mpl.rc("xtick.major", size=2.5, width=0.6, pad=2)
        mpl.rc("ytick.major", size=2.5, width=0.6, pad=2)
        mpl.rc("svg", hashsalt="toyrd")
        yield


class _Parser(ArgumentParser):
    """A parser that leaves the reporting of errors to `run`: one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        _say(message.rstrip("\n"))


def figure_parser(name: str, description: str | None) -> ArgumentParser:
    """Build the parser of ``python -m toyrd.NAME`` with the options that all figures share.

    Parameters
    ----------
    name : str
        Of the module, such as ``"figure2"``; the picture goes to ``figures/NAME.png``.
    description : str
        Shown by ``--help``: what the picture shows and how long it takes.

    Returns
    -------
    argparse.ArgumentParser
        With ``--output``, ``--width``, ``--dpi`` and ``--seed``; errors are raised as ValueError.

    Examples
    --------
    >>> options = figure_parser("figure2", "three models").parse_args(["--dpi", "72"])
    >>> options.output.name, options.width, options.dpi, options.seed
    ('figure2.png', 6.75, 72, 0)
    """
    form = RawDescriptionHelpFormatter
    parser = _Parser(f"toyrd.{name}", description=description, formatter_class=form)
    add, default = parser.add_argument, FOLDER / f"{name}.png"
    place = f"file to write, .png, .svg or .pdf, in a folder that exists ({default})"
    add("--output", type=Path, default=default, metavar="PATH", help=place)
    inches = f"of the picture in inches; text keeps its size ({PAGE:g})"
    add("--width", type=number(6.25, 16), default=PAGE, metavar="W", help=inches)
    add("--dpi", type=number(10, 1200, int), default=200, metavar="N", help="dots per inch (200)")
    add("--seed", type=number(0, kind=int), default=0, metavar="N", help="of random choices (0)")
    return parser


def refuse_unused(options: Namespace, why: str, *names: str) -> None:
    """Raise if an option whose default is None was given though nothing would use it.

    Parameters
    ----------
    options : argparse.Namespace
        Parsed options.
    why : str
        What the user can do.
    *names : str
        Options that are not used.

    Raises
    ------
    ValueError
        If one of them was given.

    Examples
    --------
    >>> refuse_unused(Namespace(steps=3), "add --model appendix-e", "steps")
    Traceback (most recent call last):
    ValueError: argument --steps: not used here; leave it out, or add --model appendix-e
    """
    for name in names:
        if vars(options)[name] is not None:
            raise ValueError(f"argument --{name}: not used here; leave it out, or {why}")


def run(parser: ArgumentParser, command: Command, argv: Sequence[str] | None = None) -> int:
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
    toyrd.figure2: argument --dpi: invalid int value: 'fine'
    >>> code
    2
    """
    try:
        options = parser.parse_args(argv)
        _target(options.output)  # before hours of work, not after
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
        Where. The folder must exist; only ``figures/`` is made. A link is written through.
    dpi : float
        Dots per inch.

    Raises
    ------
    ValueError
        If `path`, or what it links to, does not end in .png, .svg or .pdf.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> save(Figure(), "figure.jpeg", dpi=100)
    Traceback (most recent call last):
    ValueError: figure.jpeg must end in .png, .svg or .pdf
    """
    target = _target(path)
    kind = target.suffix.lower()
    try:
        if Path(path).parent == FOLDER:
            target.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=target.parent) as folder, figure_style():
            part = Path(folder, target.name)
            figure.savefig(part, format=kind[1:], dpi=dpi, metadata=_METADATA[kind])
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
def progress(total: int, label: str) -> Iterator[Tell]:
    """Give a callback that moves a progress bar by one step, whatever it is called with.

    The bar is tqdm's, on stderr, if tqdm is installed and stderr is a terminal; otherwise
    nothing is shown.

    Parameters
    ----------
    total : int
        Number of steps.
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
        yield quiet
        return
    with tqdm(total=total, desc=label, leave=False, disable=None) as bar:
        yield lambda *_: bar.update()


def number(low: float, high: float = float("inf"), kind: type = float) -> Callable[[str], Any]:
    """Return the type of an option that is a number between `low` and `high`, which nan is not.

    Parameters
    ----------
    low, high : float
        Least and largest value.
    kind : {float, int}
        Of number.

    Returns
    -------
    callable
        From text to number; it raises `argparse.ArgumentTypeError` for one out of range.

    Examples
    --------
    >>> number(1, kind=int)("12")
    12
    """

    def convert(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ArgumentTypeError(f"{text} must lie in [{low:g}, {high:g}]")
        return value

    convert.__name__ = kind.__name__
    return convert


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the file that a path stands for, a link followed, if it can be written."""
    target = Path(os.path.realpath(path))
    if target.suffix.lower() not in _METADATA:
        links = f" links to {target}, which" if os.path.islink(path) else ""
        raise ValueError(f"{path}{links} must end in .png, .svg or .pdf")
    made = Path(path).parent == FOLDER and not target.parent.exists()
    folder = target.parent.parent if made else target.parent
    if target.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OSError(f"{path} cannot be written; {_PLACE}")
    return target


def _say(text: str) -> None:
    """Print, even where the terminal cannot show a letter."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
