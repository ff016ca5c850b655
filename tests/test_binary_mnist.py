"""The example that draws Figure 4 for real images: its file formats, its errors, its state."""

import gzip
import importlib
import io
import struct
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def mnist():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module("binary_mnist")


@pytest.fixture(scope="module")
def files(mnist):
    """The module that reads files, with a limit of 100,000 bytes."""
    module = importlib.import_module("image_files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST", 100_000)
        yield module


@pytest.fixture(scope="module")
def images():
    """Bars and stripes of 4×4 grey pixels with noise, as an IDX file holds them."""
    rng = np.random.default_rng(0)
    lines = rng.integers(2, size=(60, 4, 1)).repeat(4, axis=2)
    lines[::2] = lines[::2].transpose(0, 2, 1)
    on = lines ^ (rng.random(lines.shape) < 0.05)
    grey = np.where(on, rng.integers(128, 256, on.shape), rng.integers(0, 128, on.shape))
    return grey.astype(np.uint8)


def idx(images, *, magic=0x803, shape=None):
    sizes = images.shape if shape is None else shape
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + images.tobytes()


def run(mnist, path, folder, *options):
    output = folder / "figure.png"
    given = ["--latents", "8", "--betas", "0.5", "2", "--dpi", "40", "--output", str(output)]
    return mnist.main([str(path), *given, *options])


def npy(table, **header):
    """An .npy file, with a header of one's own if that is given."""
    file = io.BytesIO()
    np.save(file, table, allow_pickle=True)
    data = file.getvalue()
    if header:
        keys = {"descr": "|u1", "fortran_order": False, "shape": table.shape, **header}
        text = (
            "{" + "".join(f"{key!r}: {value!r}, " for key, value in keys.items()) + "}\n"
        ).encode()
        data = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + table.tobytes()
    return data


def npz(method=zipfile.ZIP_STORED, **members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def patched(data, old, new):
    """The bytes with each `old` replaced, which must be there."""
    assert old in data
    return data.replace(old, new)


SMALL = np.zeros((2, 3, 3), dtype=np.uint8)
WHOLE = {
    "idx": idx(SMALL),
    "idx.gz": gzip.compress(idx(SMALL), mtime=0),
    "npy": npy(SMALL),
    "npz": npz(images=npy(SMALL), labels=npy(np.arange(2))),
    "packed.npz": npz(zipfile.ZIP_DEFLATED, images=npy(SMALL)),
}


def test_every_format_of_the_same_images_gives_the_same_picture(mnist, images, tmp_path, capsys):
    (tmp_path / "plain").write_bytes(idx(images))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(images)))
    np.save(tmp_path / "array.npy", images)
    np.save(tmp_path / "turned.npy", np.asfortranarray(images))
    (tmp_path / "array.npy.gz").write_bytes(gzip.compress(npy(images)))
    np.savez(tmp_path / "binary.npz", images=images >= 128, labels=np.arange(60))
    np.savez_compressed(tmp_path / "packed.npz", images=images, names=np.array(["a", "b"]))
    found = set()
    for path in sorted(tmp_path.iterdir()):
        folder = tmp_path / "out"
        folder.mkdir(exist_ok=True)
        assert run(mnist, path, folder) == 0
        text = capsys.readouterr().out
        found.add(((folder / "figure.png").read_bytes(), text))
    assert len(found) == 1
    beta, R, D, elbo, gap, _ = map(float, text.splitlines()[2].split())
    assert beta == 2
    assert 0 < R <= np.log(8)
    assert elbo == pytest.approx(D + R, abs=2e-4)
    assert gap >= 0
    _, counts = np.unique(images >= 128, axis=0, return_counts=True)
    p = counts / 60
    assert f"H = {-(p * np.log(p)).sum():.6f}" in text


def test_a_threshold_tells_what_is_on(mnist, images):
    binary = mnist.binary
    assert (binary(images, None, None) == (images >= 128)).all()
    assert (binary(images, 200, None) == (images >= 200)).all()
    assert (binary(images / 255, 0.5, None) == (images >= 127.5)).all()
    with pytest.raises(ValueError, match="neither 0 nor 1; give --threshold"):
        binary(images / 255, None, "grey.npz")
    with pytest.raises(ValueError, match=r"grey.npy\[0, 1\] is nan"):
        binary(np.array([[0, np.nan]]), 0.5, "grey.npy")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("nothing", b"", "is no IDX, .npy or .npz file: it starts with 0x\n"),
        ("picture", b"PNG and more", "is no IDX, .npy or .npz file: it starts with 0x504e4720"),
        ("labels", idx(SMALL, magic=0x801), "magic number 0x00000801, which holds labels"),
        ("floats", idx(SMALL, magic=0xD03), "has the magic number 0x00000d03; a file of images"),
        ("short header", idx(SMALL)[:9], "is truncated: its header has 9 of 16 bytes"),
        ("short", idx(SMALL)[:-1], "is truncated: its header promises 2×3×3, 18 bytes, but 17"),
        ("long", idx(SMALL) + b"0", "is too long: its header promises 2×3×3, 18 bytes, but more"),
        ("large", idx(SMALL, shape=(2**32 - 1,) * 3), "is too large: its header promises 42949"),
        ("empty", idx(SMALL, shape=(2, 0, 3)), "holds no pixels: its sizes are 2×0×3"),
        ("cut.gz", WHOLE["idx.gz"][:-12], "cannot be read: Compressed file ended before"),
        ("damaged.gz", WHOLE["idx.gz"][:10] + b"\xff" * 30, "cannot be read: Error -3"),
        ("twice.gz", gzip.compress(WHOLE["idx.gz"], mtime=0), "is no IDX, .npy or .npz file"),
        ("bomb.gz", gzip.compress(idx(SMALL) + bytes(10**7), mtime=0), "is too long"),
        ("large.gz", gzip.compress(idx(SMALL, shape=(999,) * 3), mtime=0), "is too large"),
        ("flat.npy", npy(np.zeros(3)), r"must hold one array of images (n, height, width), but"),
        ("void.npy", npy(np.zeros((0, 3, 3))), "but holds: (0, 3, 3)"),
        ("words.npy", npy(np.full((1, 1, 1), "a")), "must hold plain numbers, not '<U1'"),
        ("complex.npy", npy(np.zeros((1, 1, 1)) * 1j), "must hold plain numbers, not '<c16'"),
        ("objects.npy", npy(np.array([{}], dtype=object)), "must hold plain numbers, not '|O'"),
        ("fields.npy", npy(np.zeros(3, "u1,u1")), "has an .npy header that describes no plain"),
        ("huge.npy", npy(SMALL, shape=(2**70, 1, 1)), "is too large: its header promises 11805"),
        ("negative.npy", npy(SMALL, shape=(-1, 3, 3)), "describes no plain array: b\"{'descr'"),
        ("ends.npy", npy(SMALL)[:40], "has an .npy header that describes no plain array"),
        ("magic.npy", npy(SMALL)[:7], "has an .npy header that describes no plain array: b''"),
        ("code.npy", npy(SMALL, descr=[("(" * 900, "u1")]), "describes no plain array"),
        ("cut.npz", WHOLE["npz"][:50], "cannot be read: File is not a zip file"),
        ("member.npz", npz(images=b"text"), "holds no .npy array: it starts with 0x74657874"),
        ("two.npz", npz(a=npy(SMALL), b=npy(SMALL)), "but holds: a (2, 3, 3), b (2, 3, 3)"),
        ("none.npz", npz(a=npy(np.zeros(3))), "but holds: a (3,)"),
        ("no.npz", npz(), "but holds: nothing"),
        ("many.npz", npz(**{f"a{i}": npy(SMALL[0]) for i in range(1001)}), "more than 1000"),
        ("bomb.npz", npz(8, a=npy(SMALL) + bytes(10**7)), "is too long"),
        ("large.npz", npz(8, a=npy(np.zeros((99, 99, 99), "u1"))), "is too large"),
        ("both.npz", npz(8, **dict.fromkeys("ab", npy(np.zeros((10, 30, 25))))), "and 40000 are"),
        ("lzma.npz", npz(zipfile.ZIP_LZMA, a=npy(SMALL)), "packed in an unknown way: 'a.npy'"),
        ("crc.npz", patched(WHOLE["npz"], bytes(18), bytes(17) + b"1"), "cannot be read: Bad CRC"),
        (
            "secret.npz",
            patched(patched(npz(a=npy(SMALL)), b"PK\3\4\24\0\0", b"PK\3\4\24\0\1"),
                    b"PK\1\2\24\3\24\0\0", b"PK\1\2\24\3\24\0\1"),
            "is encrypted or packed in an unknown way: 'a.npy'",
        ),
    ],
)  # fmt: skip
def test_malformed_files_give_one_line(mnist, files, tmp_path, capsys, name, data, message):
    (tmp_path / name).write_bytes(data)
    assert run(mnist, tmp_path / name, tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert str(tmp_path / name) in error
    assert not (tmp_path / "figure.png").exists()


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damaged_file_does_worse_than_a_value_error(files, tmp_path_factory, name, data):
    """Bytes changed, cut out, doubled or added anywhere: images of the same kind, or one line."""
    whole = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        i, n = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 8))
        whole[i : i + n] = data.draw(st.binary(max_size=8))
        whole = whole or bytearray(1)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(whole)
    try:
        found, message = files.read(path, files.images_in), None
    except ValueError as error:
        found, message = None, str(error)
    if message is None:
        assert found.ndim == 3
        assert found.nbytes <= files.MOST
    else:
        assert message.startswith(str(path))


def test_a_promise_is_checked_before_memory_fills(files, tmp_path):
    """A gzip of 10 MB of zeros behind an honest header, and a header that promises 8 GB."""
    bombs = [
        gzip.compress(idx(SMALL) + bytes(10**7), mtime=0),
        gzip.compress(idx(SMALL, shape=(2000,) * 3) + bytes(10**7), mtime=0),
        npz(8, a=npy(SMALL, shape=(2000, 2000, 2000)) + bytes(10**7)),
        npz(8, a=npy(SMALL) + bytes(10**7)),
    ]
    for bomb in bombs:
        (tmp_path / "bomb").write_bytes(bomb)
        tracemalloc.start()
        with pytest.raises(ValueError, match="is too l"):
            files.read(tmp_path / "bomb", files.images_in)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10**6


def test_a_file_that_is_not_there_gives_one_line(mnist, tmp_path, capsys):
    for path, why in ((tmp_path / "nowhere", "No such file"), (tmp_path, "Is a directory")):
        assert run(mnist, path, tmp_path) == 2
        assert f"{path} cannot be read: {why}" in capsys.readouterr().err


def test_an_interrupted_fit_goes_on_where_it_stopped(mnist, images, tmp_path, capsys, monkeypatch):
    (tmp_path / "images").write_bytes(idx(images))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    assert run(mnist, tmp_path / "images", whole) == 0
    text = capsys.readouterr().out.splitlines()
    total = sum(int(line.split()[-1]) for line in text[1:3])
    state = str(parts / "fit.npz")
    plain = mnist.progress

    @contextmanager
    def interrupted(*_):
        steps = iter(range(2))

        def callback():
            if next(steps, None) is None:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr(mnist, "progress", interrupted)
    runs = 0
    while run(mnist, tmp_path / "images", parts, "--state", state) == 130:
        runs += 1
        message = capsys.readouterr().err
        assert f"state kept in {state}" in message
        assert "interrupted" in message
        assert runs <= total
    assert runs >= total // 4
    resumed = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in resumed[1:3]] == [line.split()[-1] for line in text[1:3]]
    numbers = [np.array([line.split() for line in t[1:3]], dtype=float) for t in (text, resumed)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=1.01e-4)  # the last digit printed
    # Once finished, nothing is left to do.
    monkeypatch.setattr(mnist, "progress", plain)
    assert run(mnist, tmp_path / "images", parts, "--state", state) == 0
    assert capsys.readouterr().out.splitlines()[:3] == resumed[:3]
    assert sorted(path.name for path in parts.iterdir()) == ["figure.png", "fit.npz"]


@pytest.fixture
def kept(mnist, images, tmp_path, capsys):
    """Images, and the options that keep a fit of them in a file."""
    (tmp_path / "images").write_bytes(idx(images))
    state = tmp_path / "fit.npz"
    assert run(mnist, tmp_path / "images", tmp_path, "--state", str(state)) == 0
    capsys.readouterr()
    return tmp_path / "images", state


def test_a_state_of_another_fit_is_refused(mnist, kept, tmp_path, capsys):
    path, state = kept
    for change in (["--latents", "7"], ["--seed", "1"], ["--marginal", "free"]):
        assert run(mnist, path, tmp_path, "--state", str(state), *change) == 2
        assert "keeps no fit of these images and options" in capsys.readouterr().err
    nowhere = str(tmp_path / "no" / "fit.npz")
    assert run(mnist, path, tmp_path, "--state", nowhere) == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"m0": np.full(8, 0.2)},
        {"m0": np.full(7, 1 / 7)},
        {"before1": np.full((8, 16), np.nan)},
        {"parameters1": np.zeros((8, 15))},
        {"parameters0": np.zeros((8, 16), dtype=np.uint8)},
        {"finished": np.array(-1)},
        {"finished": np.array(2.5)},
        {"begun": np.array(3)},
        {"begun": np.arange(2)},
        {"counts": np.array([np.inf, 1])},
        {"counts": np.array({}, dtype=object)},
        {"m0": None},
        {"label": None},
    ],
)
def test_a_state_that_was_tampered_with_is_refused(mnist, kept, tmp_path, capsys, change):
    path, state = kept
    with np.load(state) as file:
        arrays = {**file, **change}
    np.savez(state, **{name: array for name, array in arrays.items() if array is not None})
    assert run(mnist, path, tmp_path, "--state", str(state)) == 2
    error = capsys.readouterr().err
    assert str(state) in error
    assert error.count("\n") == 1


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0), st.binary(max_size=8))
def test_no_damaged_state_does_worse_than_one_line(mnist, kept, tmp_path, capsys, place, change):
    path, state = kept
    whole = state.read_bytes()
    i = place % len(whole)
    state.write_bytes(whole[:i] + change + whole[i + len(change) :])
    assert run(mnist, path, tmp_path, "--state", str(state), "--iterations", "1") in (0, 2)
    assert capsys.readouterr().err.count("\n") <= 1
    state.write_bytes(whole)


def test_the_free_marginal_and_few_iterations(mnist, images, tmp_path, capsys):
    (tmp_path / "images").write_bytes(idx(images))
    options = ("--marginal", "free", "--iterations", "1")
    assert run(mnist, tmp_path / "images", tmp_path, *options) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == ["1", "1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--latents", "0"], "--latents is 0"),
        (["--betas", "0"], "--betas is 0.0"),
        (["--betas", "nan"], "--betas is nan"),
        (["--iterations", "0"], "--iterations is 0"),
        (["--tol", "0"], "--tol is 0.0"),
        (["--threshold", "dark"], "invalid float value"),
        (["--threshold", "nan"], "--threshold is nan"),
    ],
)
def test_bad_options_give_one_line(mnist, images, tmp_path, capsys, options, message):
    (tmp_path / "images").write_bytes(idx(images))
    assert run(mnist, tmp_path / "images", tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
