"""A fresh notebook shows pictures of what a cell ends with. Needs the extra `notebook`."""

import base64

import pytest

nbclient = pytest.importorskip("nbclient", reason="install the extra notebook")
pytest.importorskip("ipykernel", reason="install the extra notebook")
nbformat = pytest.importorskip("nbformat", reason="install the extra notebook")

CELLS = {
    "imports": "from toyrd import frontier, rate_distortion, solve, toy_source",
    "toy": "toy = toy_source()",
    "model": "toy.true_model()",
    "solution": "solve(toy.p, rate=0.2)",
    "bare cost": "rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], rate=0.2)",
    "frontier": "frontier(toy.p, decoder=toy.p_x_given_z)",
    "options": "solve(toy.p, rate=0.2).plot(unit='bits')",
    "words": "print(toy.true_model().sketch())",
    "last": "import sys; 'matplotlib.pyplot' in sys.modules",
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the notebook's own libraries
def test_a_fresh_notebook_shows_pictures():
    """Without pyplot, and with text beside each picture for those who cannot see it."""
    cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))
    for name in ("model", "solution", "frontier", "options"):
        picture = base64.b64decode(shown[name][-1]["data"]["image/png"])
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    for name in ("Model", "Solution", "Frontier"):
        assert shown[name.lower()][-1]["data"]["text/plain"].startswith(f"{name}(")
    assert "text/plain" in shown["bare cost"][-1]["data"]
    assert shown["words"][0]["text"].startswith("z  e(z|x)")
    assert shown["last"][0]["data"]["text/plain"] == "False"
