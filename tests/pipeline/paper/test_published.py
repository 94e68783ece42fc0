"""Our numbers beside the published ones, only where like for like."""

import math

import pytest
from support.claims_world import changed, where, world

from ldmiss_pipeline.paper.published import compare_published, load_published, published_markdown


def test_published_numbers() -> None:
    """As in Tables 2 and 3 of the EMFlow paper: RMSE, the MSE that goes with it, accuracy where given."""
    published = load_published().set_index("method")
    assert dict(published["rmse"]) == {"EMFlow": 0.0986, "MCFlow": 0.1027, "MisGAN": 0.1311, "GAIN": 0.1723}
    assert published["mse"].round(5).tolist() == [0.00972, 0.01055, 0.01719, 0.02969]
    assert published["accuracy"].tolist()[:2] == [0.986, 0.984]
    assert published["accuracy"].isna().tolist() == [False, False, True, True]
    assert set(published["images"]) == {"10000"}


def test_ours_stand_beside_them() -> None:
    """Both statistics of every imputer at 0.5, means over seeds, best first."""
    comparison = compare_published(world())
    table = comparison.table
    assert table is not None
    assert comparison.reason == ""
    assert table["rmse"].is_monotonic_increasing
    assert len(table) == 4 + 2 * 6
    ours = table[table["method"] == "ldmiss-guidance"].set_index("statistic")
    assert ours.loc["one draw", "mse"] == pytest.approx(0.011)
    assert ours.loc["one draw", "rmse"] == pytest.approx(math.sqrt(0.011))
    assert ours.loc["mean of draws", "mse"] == pytest.approx(0.6 * 0.011)
    assert ours.loc["one draw", "accuracy"] == pytest.approx(0.97)
    assert math.isnan(ours.loc["mean of draws", "accuracy"])
    assert set(ours["num_seeds"]) == {3}
    assert comparison.mse == pytest.approx(
        {"EMFlow": 0.00972196, "MCFlow": 0.01054729, "MisGAN": 0.01718721, "GAIN": 0.02968729}
    )
    text = published_markdown(comparison)
    assert "| EMFlow | as published | 10000 | 0.0986 | 0.00972 | 0.9860 | EMFlow paper" in text
    assert "| ldmiss-guidance | one draw | 2000 | 0.1049 | 0.01100 | 0.9700 | this run, 3 seeds |" in text


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (world(dataset="mnist5k"), "the data set is mnist5k; published numbers are for mnist"),
        (world(mechanism="block"), "pixels of the training images are missing by mechanism block; the paper's are by"),
        (
            world(test_mechanism="mnar"),
            "pixels of the test images are missing by mechanism mnar; the paper's are by mcar",
        ),
        (world(test_rate=0.8), "the test missing rate is 0.8; published numbers are for 0.5"),
        (world()[lambda t: ~where(t, "run.*.*")], "the test missing rate is not recorded"),
        (world((0.0, 0.8)), "no cell at training missing rate 0.5"),
    ],
)
def test_only_like_for_like(table, reason) -> None:  # type: ignore[no-untyped-def]
    """Another data set, test rate or training rate: no table, no line in the figure, and the reason."""
    comparison = compare_published(table)
    assert comparison.table is None
    assert comparison.reason.startswith(reason)
    assert comparison.mse == {}
    assert reason in published_markdown(comparison)


def test_imputers_without_a_number_have_no_row() -> None:
    """NaN and absent metrics are left out, the others stay."""
    table = changed(world(), "imputation.autoencoder.mse", 0.5, float("nan"))
    table = table[~where(table, "imputation.gaussian.mse_mean")]
    rows = compare_published(table).table
    assert rows is not None
    kept = set(zip(rows["method"], rows["statistic"], strict=True))
    assert ("autoencoder", "mean of draws") in kept
    assert ("autoencoder", "one draw") not in kept
    assert ("gaussian", "mean of draws") not in kept
    assert len(rows) == 4 + 2 * 6 - 2
