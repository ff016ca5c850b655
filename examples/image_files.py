"""Read images from files that nobody vouches for: IDX, .npy and .npz, plain or packed by gzip.

Whatever is wrong with a file is one ValueError of one line with its name. No file makes a reader
take more than 1 GiB: sizes are compared with the limit before anything is read, and what is
unpacked is never longer than its header promises. Nothing that a file says is evaluated.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST = 2**30
"""Bytes of arrays that are read from one file at the most."""

MEMBERS = 1000
"""Arrays in an .npz at the most."""

LETTERS = 10_000
"""Letters in the header of an .npy at the most."""

NPY = b"\x93NUMPY"
NPY_HEADER = re.compile(
    rb"\{'descr': '([^']*)', 'fortran_order': (False|True), 'shape': \(([\d, ]{0,99})\), \}\s*"
)
NUMBERS = re.compile(r"[<>|]?(b1|[iu][1248]|f[248])")

DAMAGE = (
    EOFError, LookupError, MemoryError, OSError, OverflowError, RuntimeError, TypeError,
    ValueError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What the standard library raises on damaged files."""

Images = NDArray[Any]
T = TypeVar("T")


class RefusedError(ValueError):
    """What is wrong with a file, in words that follow its name."""


def read(path: Path, reader: Callable[[IO[bytes]], T]) -> T:
    """Return what a reader finds in a file; whatever is wrong is one ValueError with its name."""
    try:
        with open(path, "rb") as file:
            return reader(file)
    except RefusedError as refused:
        raise ValueError(f"{path} {refused}") from None
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"{path} cannot be read: {why}") from None


def images_in(file: IO[bytes], packed: bool = False) -> Images:
    """Return the images in an IDX, .npy or .npz file, shape (n, height, width)."""
    start = file.peek(6)[:6]  # type: ignore[attr-defined]
    if start[:2] == b"\x1f\x8b" and not packed:
        with gzip.open(file) as inside:
            return images_in(inside, packed=True)  # type: ignore[arg-type]
    if start[:2] == b"PK" and not packed:
        arrays, shapes = arrays_in(file, axes=3)
    elif start == NPY:
        arrays = {"": array(file, npy_header(file), MOST)}
        shapes = [str(one.shape) for one in arrays.values()]
    else:
        arrays, shapes = {"": array(file, idx_header(file), MOST)}, []
    found = [one for one in arrays.values() if one.ndim == 3 and one.size]
    if len(found) != 1:
        listed = ", ".join(shapes[:5]) or "nothing"
        raise RefusedError(
            f"must hold one array of images (n, height, width), but holds: {listed}"
        )
    return found[0]


class Header(NamedTuple):
    """What a file promises of an array."""

    shape: tuple[int, ...]
    kind: str
    fortran: bool


def array(file: IO[bytes], header: Header, room: int) -> Images:
    """Return the array that follows its header, unless that has not kept its promise."""
    if not NUMBERS.fullmatch(header.kind):
        raise RefusedError(f"must hold plain numbers, not {header.kind!r}")
    dtype = np.dtype(header.kind.replace("b1", "u1"))
    promised = math.prod(header.shape) * dtype.itemsize
    words = f"its header promises {'×'.join(map(str, header.shape))}, {promised} bytes"
    if promised > room:
        raise RefusedError(
            f"is too large: {words}, and {room} are left of the {MOST} that are read"
        )
    data = file.read(promised + 1)
    if len(data) > promised:
        raise RefusedError(f"is too long: {words}, but more follow")
    if len(data) < promised:
        raise RefusedError(f"is truncated: {words}, but {len(data)} follow")
    flat: Images = np.frombuffer(data, dtype)
    return flat.reshape(header.shape) if not header.fortran else flat.reshape(header.shape[::-1]).T


def idx_header(file: IO[bytes]) -> Header:
    """Read the header of an IDX file: a magic number and three sizes."""
    data = file.read(16)
    if data[:2] != b"\0\0" or len(data) < 4:
        raise RefusedError(f"is no IDX, .npy or .npz file: it starts with 0x{data[:4].hex()}")
    if data[:4] != b"\0\0\x08\x03":
        labels = ", which holds labels" if data[:4] == b"\0\0\x08\x01" else ""
        raise RefusedError(
            f"has the magic number 0x{data[:4].hex()}{labels}; "
            "a file of images has 0x00000803: unsigned bytes on 3 axes"
        )
    if len(data) < 16:
        raise RefusedError(f"is truncated: its header has {len(data)} of 16 bytes")
    shape = struct.unpack(">3I", data[4:])
    if not all(shape):
        raise RefusedError(f"holds no pixels: its sizes are {'×'.join(map(str, shape))}")
    return Header(shape, "u1", False)


def npy_header(file: IO[bytes]) -> Header:
    """Read the header of an .npy array, without evaluating what it says."""
    start = file.read(8)
    if start[:6] != NPY or start[6:7] not in (b"\1", b"\2", b"\3"):
        raise RefusedError(f"holds no .npy array: it starts with 0x{start.hex()}")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    text = file.read(min(length, LETTERS))
    match = NPY_HEADER.fullmatch(text)
    if match is None or len(text) < length:
        raise RefusedError(f"has an .npy header that describes no plain array: {text[:70]!r}")
    kind, fortran, sizes = (part.decode("latin-1") for part in match.groups())
    shape = tuple(map(int, re.findall(r"\d+", sizes)))
    return Header(shape, kind, fortran == "True")


def members(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the arrays in an .npz, opened, with their names."""
    with zipfile.ZipFile(file) as archive:
        for i, info in enumerate(archive.infolist()):
            if info.flag_bits & 1 or info.compress_type not in (0, zipfile.ZIP_DEFLATED):
                raise RefusedError(f"is encrypted or packed in an unknown way: {info.filename!r}")
            if i >= MEMBERS:
                raise RefusedError(f"holds more than {MEMBERS} arrays")
            with archive.open(info) as member:
                yield info.filename.removesuffix(".npy"), member


def arrays_in(file: IO[bytes], axes: int | None = None) -> tuple[dict[str, Images], list[str]]:
    """Return the arrays in an .npz, of some number of axes if given, and the shapes of all."""
    arrays, shapes, room = {}, [], MOST
    for name, member in members(file):
        header = npy_header(member)
        shapes.append(f"{name} {header.shape}")
        if axes in (None, len(header.shape)):
            arrays[name] = array(member, header, room)
            room -= arrays[name].nbytes
    return arrays, shapes
