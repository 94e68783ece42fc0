"""Names, colours, markers, panels, and files that are the same whatever the user's matplotlibrc says."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from support.imports import ROOT

from ldmiss.figures.style import METHODS, display_name, figure_style, line_style, new_figure, render, style_of

MATPLOTLIBRC = """
text.usetex: True
font.size: 30
axes.grid: True
backend: svg
savefig.bbox: tight
savefig.facecolor: red
pdf.fonttype: 3
"""
DRAW = """
import hashlib, numpy as np, pandas as pd
from ldmiss.figures import curves, image_grids, losses, reliability, style
columns = ["missing_rate", "seed", "task", "method", "metric", "value"]
table = [(rate, 1, "imputation", method, "mse", 0.1 + rate) for rate in (0.1, 0.5) for method in ("mean", "new")]
table = pd.DataFrame(table, columns=columns)
rows = image_grids.image_rows("mean", "0.1", np.zeros((2, 1, 3, 3), np.uint8))
kinds = [("reliability", 0.5, "mean", 0.1, 0.2, 9), ("coverage", 0.5, "mean", 0.6, 0.5, 1)]
figures = [
    curves.draw_against_rate(curves.against_rate(table, "imputation", ["mse"]), ["mse"], published={"GAIN": 0.1}),
    image_grids.draw_image_grids(rows, (1, 3, 3), num_panel_columns=1),
    losses.draw_training_curves(losses.training_curves({("vae", "0.5"): [2.0, 1.0]})),
    reliability.draw_uncertainty(pd.DataFrame(kinds, columns=reliability.COLUMNS)),
]
for figure in figures:
    print(*[hashlib.sha256(style.render(figure, kind)).hexdigest() for kind in style.FORMATS])
"""


def test_a_method_looks_the_same_everywhere() -> None:
    """Generators and their imputers share colour, marker and line; methods unknown to the style have their own name."""
    generator, imputer = style_of("ldmiss"), style_of("ldmiss-guidance")
    assert (generator.colour, generator.marker, generator.line) == (imputer.colour, imputer.marker, imputer.line)
    assert display_name("ldmiss-guidance") == "LDMiss, self-guidance"
    assert display_name("something-new") == "something-new"
    assert line_style("something-new")["label"] == "something-new"
    assert line_style("ldmiss")["color"] == generator.colour


def test_imputers_differ_in_more_than_colour() -> None:
    """For print in grey: no two of them have the same marker, not even one that is not in the table."""
    imputers = [name for name in METHODS if name not in ("ldmiss", "ddpm", "diffputer", "vae")]
    assert len({style_of(name).marker for name in [*imputers, "something-new"]}) == len(imputers) + 1


def test_new_figure() -> None:
    """Panels in reading order, each of the size asked for, also when there is only one."""
    figure, axes = new_figure(2, 3, width=2.0, height=1.5)
    assert len(axes) == 6
    assert figure.get_size_inches().tolist() == [6.0, 3.0]
    assert len(new_figure(1, 1, width=1, height=1)[1]) == 1


def test_the_style_does_not_leak() -> None:
    """A user's own figures look as before."""
    with matplotlib.rc_context({"font.size": 30}):
        with figure_style():
            assert matplotlib.rcParams["font.size"] == 7
        assert matplotlib.rcParams["font.size"] == 30


def drawn(tmp_path: Path, **environment: str) -> str:
    """The checksums of one figure of each kind, in each format, as another process draws them."""
    return subprocess.run(
        [sys.executable, "-c", DRAW], cwd=ROOT, env={**os.environ, "MPLCONFIGDIR": str(tmp_path), **environment},
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_users_configuration(tmp_path: Path) -> None:
    """Another font size, TeX, another backend: the files are the same, and so they are under another hash seed."""
    (tmp_path / "matplotlibrc").write_text(MATPLOTLIBRC)
    (tmp_path / "none").mkdir()
    theirs = drawn(tmp_path, MATPLOTLIBRC=str(tmp_path / "matplotlibrc"), PYTHONHASHSEED="1")
    assert theirs == drawn(tmp_path / "none", PYTHONHASHSEED="2")
    assert len(set(theirs.split())) == 8


@pytest.mark.parametrize("file_format", ["png", "pdf"])
def test_a_rendered_file_says_nothing_of_its_making(file_format: str) -> None:
    """No date, no versions."""
    content = render(new_figure(1, 1, width=1, height=1)[0], file_format)
    assert content.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[file_format])
    assert not [word for word in (b"Date", b"atplotlib", b"Software") if word in content]


def test_a_pdf_has_its_fonts() -> None:
    """Embedded as TrueType, not as outlines of type 3."""
    with figure_style():
        figure, axes = new_figure(1, 1, width=2, height=2)
        axes[0].set_title("training missing rate")
    content = render(figure, "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
