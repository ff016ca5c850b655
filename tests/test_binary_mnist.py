"""The example that draws Figure 4 for real images: its file formats, its errors, its state."""

import gzip
import importlib.util
import struct
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[1] / "examples" / "binary_mnist.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("binary_mnist", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["binary_mnist"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["binary_mnist"]


@pytest.fixture(scope="module")
def images():
    """Bars and stripes of 4×4 grey pixels with noise, as an IDX file holds them."""
    rng = np.random.default_rng(0)
    lines = rng.integers(2, size=(60, 4, 1)).repeat(4, axis=2)
    lines[::2] = lines[::2].transpose(0, 2, 1)
    on = lines ^ (rng.random(lines.shape) < 0.05)
    return np.where(on, rng.integers(128, 256, on.shape), rng.integers(0, 128, on.shape)).astype(
        np.uint8
    )


def idx(images, *, magic=0x803, shape=None):
    sizes = images.shape if shape is None else shape
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + images.tobytes()


def run(example, path, folder, *options):
    output = folder / "figure.png"
    given = ["--latents", "8", "--betas", "0.5", "2", "--dpi", "40", "--output", str(output)]
    return example.main([str(path), *given, *options])


def test_every_format_of_the_same_images_gives_the_same_picture(example, images, tmp_path, capsys):
    (tmp_path / "plain").write_bytes(idx(images))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(images)))
    np.savez(tmp_path / "binary.npz", images=images >= 128, labels=np.arange(60))
    pictures, texts = [], []
    for name in ("plain", "packed.gz", "binary.npz"):
        assert run(example, tmp_path / name, tmp_path) == 0
        pictures.append((tmp_path / "figure.png").read_bytes())
        texts.append(capsys.readouterr().out)
    assert pictures[0] == pictures[1] == pictures[2]
    assert texts[0] == texts[1] == texts[2]
    beta, R, D, elbo, gap, _ = map(float, texts[0].splitlines()[2].split())
    assert beta == 2
    assert 0 < R <= np.log(8)
    assert elbo == pytest.approx(D + R, abs=2e-4)
    assert gap >= 0


def test_the_images_are_their_empirical_distribution(example, images, tmp_path, capsys):
    (tmp_path / "images").write_bytes(idx(images))
    assert run(example, tmp_path / "images", tmp_path) == 0
    _, counts = np.unique(images >= 128, axis=0, return_counts=True)
    p = counts / 60
    assert f"H = {-(p * np.log(p)).sum():.6f}" in capsys.readouterr().out


def test_a_threshold_tells_what_is_on(example, images, tmp_path):
    read = example.read_images
    (tmp_path / "images").write_bytes(idx(images))
    np.savez(tmp_path / "grey.npz", images=images / 255)
    grey = read(tmp_path / "images")
    np.testing.assert_array_equal(grey, images)
    np.testing.assert_array_equal(example.binary(grey, None, None), images >= 128)
    np.testing.assert_array_equal(example.binary(grey, 200, None), images >= 200)
    scaled = read(tmp_path / "grey.npz")
    np.testing.assert_array_equal(example.binary(scaled, 0.5, None), images >= 127.5)
    with pytest.raises(ValueError, match="neither 0 nor 1; give --threshold"):
        example.binary(scaled, None, "grey.npz")
    with pytest.raises(ValueError, match="must hold numbers"):
        example.binary(np.array([[["a"]]]), None, "text.npz")


SMALL = np.zeros((2, 3, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x", b"", "is no IDX file: it starts with 0x,"),
        ("x", b"PNG and more", "it starts with 0x504e4720, but a file of images starts with 0x00"),
        ("x", idx(SMALL, magic=0x801), "magic number 0x00000801, which holds labels"),
        ("x", idx(SMALL, magic=0xD03), "has the magic number 0x00000d03; a file of images has"),
        ("x", idx(SMALL)[:9], "is truncated: its header has 9 of 16 bytes"),
        ("x", idx(SMALL)[:-1], "promises 2×3×3 = 18 bytes of pixels, but 17 follow"),
        ("x", idx(SMALL) + b"0", "is too long: its header promises 2×3×3 = 18"),
        ("x", idx(SMALL, shape=(2**32 - 1,) * 3), "is truncated: its header promises"),
        ("x", idx(SMALL, shape=(2, 0, 3)), "holds no pixels: its sizes are 2×0×3"),
        ("x.gz", gzip.compress(idx(SMALL), mtime=0)[:-12], "is a damaged gzip file"),
        ("x.gz", gzip.compress(idx(SMALL), mtime=0)[:12] + b"1" * 30, "is a damaged gzip file"),
        ("x.npz", b"no archive", "cannot be read as an .npz file"),
    ],
)
def test_malformed_files_give_one_line(example, tmp_path, capsys, name, data, message):
    (tmp_path / name).write_bytes(data)
    assert run(example, tmp_path / name, tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "figure.png").exists()


def test_archives_without_one_set_of_images_are_refused(example, tmp_path):
    np.savez(tmp_path / "two.npz", a=SMALL, b=SMALL)
    np.savez(tmp_path / "none.npz", a=np.zeros(3))
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    for name, message in [
        ("two", r"one array of images .* a \(2, 3, 3\), b \(2, 3, 3\)"),
        ("none", r"but holds: a \(3,\)"),
        ("objects", "cannot be read as an .npz file"),
        ("missing", "cannot be read as an .npz file"),
    ]:
        with pytest.raises(ValueError, match=message):
            example.read_images(tmp_path / f"{name}.npz")


def test_a_file_that_is_not_there_gives_one_line(example, tmp_path, capsys):
    assert run(example, tmp_path / "nowhere", tmp_path) == 2
    assert "nowhere cannot be read: No such file" in capsys.readouterr().err


def test_an_interrupted_fit_goes_on_where_it_stopped(
    example, images, tmp_path, capsys, monkeypatch
):
    (tmp_path / "images").write_bytes(idx(images))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    assert run(example, tmp_path / "images", whole) == 0
    text = capsys.readouterr().out.splitlines()
    total = sum(int(line.split()[-1]) for line in text[1:3])
    state = str(parts / "fit.npz")
    plain = example.progress

    @contextmanager
    def interrupted(*_):
        steps = iter(range(2))

        def callback():
            if next(steps, None) is None:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr(example, "progress", interrupted)
    runs = 0
    while run(example, tmp_path / "images", parts, "--state", state) == 130:
        runs += 1
        message = capsys.readouterr().err
        assert f"state kept in {state}" in message
        assert "interrupted" in message
        assert runs <= total
    assert runs >= total // 4
    resumed = capsys.readouterr().out.splitlines()
    values, same = (
        np.array([line.split() for line in t[1:3]], dtype=float) for t in (text, resumed)
    )
    np.testing.assert_allclose(same, values, rtol=0, atol=1.01e-4)  # the last digit printed
    # Once finished, nothing is left to do.
    monkeypatch.setattr(example, "progress", plain)
    assert run(example, tmp_path / "images", parts, "--state", state) == 0
    assert capsys.readouterr().out.splitlines()[:3] == resumed[:3]
    assert sorted(path.name for path in parts.iterdir()) == ["figure.png", "fit.npz"]


def test_a_state_of_another_fit_is_refused(example, images, tmp_path, capsys):
    (tmp_path / "images").write_bytes(idx(images))
    state = ("--state", str(tmp_path / "fit.npz"))
    assert run(example, tmp_path / "images", tmp_path, *state) == 0
    for change in (["--latents", "7"], ["--seed", "1"], ["--marginal", "free"]):
        assert run(example, tmp_path / "images", tmp_path, *state, *change) == 2
        assert "keeps no fit of these images and options" in capsys.readouterr().err
    nowhere = str(tmp_path / "no" / "fit.npz")
    assert run(example, tmp_path / "images", tmp_path, "--state", nowhere) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_the_free_marginal_and_few_iterations(example, images, tmp_path, capsys):
    (tmp_path / "images").write_bytes(idx(images))
    options = ("--marginal", "free", "--iterations", "1")
    assert run(example, tmp_path / "images", tmp_path, *options) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == ["1", "1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--latents", "0"], "--latents is 0"),
        (["--betas", "0"], "--betas is 0.0"),
        (["--iterations", "0"], "--iterations is 0"),
        (["--tol", "0"], "--tol is 0.0"),
        (["--threshold", "dark"], "invalid float value"),
    ],
)
def test_bad_options_give_one_line(example, images, tmp_path, capsys, options, message):
    (tmp_path / "images").write_bytes(idx(images))
    assert run(example, tmp_path / "images", tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
