"""FID, IS, KID, precision / recall, accuracy and class shares against plain computations and torch-fidelity's own."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
import torch_fidelity
from torch.utils.data import Dataset
from torch_fidelity.defaults import DEFAULTS
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from ldmiss.classifier.features import extract_layers
from ldmiss.classifier.frechet import accuracy, fid, fid_statistics
from ldmiss.classifier.network import Classifier
from ldmiss.evaluation import fidelity
from ldmiss.evaluation.fidelity import class_shares, inception_score, kid, precision_recall
from ldmiss.networks.layers import build, init_torch_default

GENERATOR = torch.Generator().manual_seed(0)
A = torch.randn(500, 6, generator=GENERATOR) @ torch.randn(6, 6, generator=GENERATOR)
B = 0.5 + torch.randn(400, 6, generator=GENERATOR) @ torch.randn(6, 6, generator=GENERATOR)


def test_fid_against_scipy() -> None:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), with numpy's moments and scipy's matrix root."""
    a, b = A.double().numpy(), B.double().numpy()
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert fid(fid_statistics(A), fid_statistics(B)) == pytest.approx(expected, rel=1e-6)


def test_fid_of_shifted_and_of_equal_sets() -> None:
    """A shift by d adds |d|^2 and nothing else; a set against itself is 0; the order of the two does not matter."""
    here, there = fid_statistics(A), fid_statistics(A + 2.0)
    assert fid(here, there) == pytest.approx(6 * 4.0, rel=1e-6)
    assert fid(here, here) == pytest.approx(0.0, abs=1e-6)
    assert fid(here, fid_statistics(B)) == pytest.approx(fid(fid_statistics(B), here), rel=1e-9)


def test_fid_with_dead_features(capsys: pytest.CaptureFixture[str]) -> None:
    """Features that are always 0 (dead ReLUs) make the covariances singular and change nothing; nothing is printed."""
    zeros = torch.zeros(1, 2)
    dead = [fid_statistics(torch.cat([x, zeros.expand(len(x), 2)], dim=1)) for x in (A, B)]
    assert fid(*dead) == pytest.approx(fid(fid_statistics(A), fid_statistics(B)), rel=1e-6)
    assert capsys.readouterr().out == ""


def test_statistics_are_float64() -> None:
    """From float32 features, so that means of thousands of rows do not round."""
    offset = 1e4 + torch.tensor([[0.0], [1.0]]).repeat(5000, 2)
    assert {value.dtype for value in map(np.asarray, fid_statistics(offset).values())} == {np.dtype(np.float64)}
    assert fid(fid_statistics(offset), fid_statistics(offset - 1e4)) == pytest.approx(2e8, rel=1e-9)


@pytest.mark.parametrize("num_classes", [2, 10])
def test_inception_score_of_confident_balanced_logits(num_classes: int) -> None:
    """The number of classes: the ceiling; also when the images come sorted by class."""
    logits = 1e3 * torch.eye(num_classes).repeat_interleave(20, dim=0)
    assert inception_score(logits) == pytest.approx(num_classes, rel=1e-6)


def test_inception_score_against_its_formula() -> None:
    """exp of the mean KL divergence from the marginal, of probabilities and not of logits; 1 if all are alike."""
    logits = torch.randn(300, 10, generator=torch.Generator().manual_seed(0)).double()
    p = logits.softmax(1)
    expected = (p * (p.log() - p.mean(0).log())).sum(1).mean().exp()
    assert inception_score(logits.float()) == pytest.approx(float(expected), rel=1e-5)
    assert inception_score(torch.ones(50, 10)) == pytest.approx(1.0)


def test_accuracy() -> None:
    """The share of rows whose largest logit is the label."""
    logits = torch.tensor([[1.0, 2.0, 0.0], [5.0, 1.0, 1.0], [0.0, 0.0, 9.0], [0.0, 1.0, 0.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 1])) == 0.75


def test_class_shares() -> None:
    """Confident: probability above the bound. Smallest class: share of the rarest prediction, 0 if one never occurs."""
    logits = torch.log(torch.tensor([[0.95, 0.05], [0.85, 0.15], [0.05, 0.95], [0.91, 0.09]]))
    assert class_shares(logits, min_confidence=0.9) == {"confident": 0.75, "smallest_class": 0.25}
    assert class_shares(logits[:2], min_confidence=0.99) == {"confident": 0.0, "smallest_class": 0.0}


def _small_classifier() -> Classifier:
    """An untrained classifier of 12 x 12 images."""
    return build(
        lambda: Classifier(shape=(1, 12, 12), num_classes=10),
        "cpu",
        init_torch_default,
        torch.Generator().manual_seed(1),
    ).eval()


class _Extractor(FeatureExtractorBase):
    """Our classifier as torch-fidelity wants one: layers in the order they are asked for, float64."""

    def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
        super().__init__(name, features_list)
        self.kwargs = kwargs
        self.classifier = _small_classifier()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("penultimate", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "penultimate"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        return torch.zeros(1, 1, 12, 12)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        layers = extract_layers(self.classifier, images)
        return tuple(layers[name].double() for name in self.features_list)


class _Images(Dataset[torch.Tensor]):
    """Bare tensors, as torch-fidelity wants them."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def test_registered_extractor_route(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-fidelity's own command on images, with our classifier registered, gives what our functions give."""
    monkeypatch.setattr(fidelity, "KID_SUBSETS", 5)
    monkeypatch.setattr(fidelity, "KID_SUBSET_SIZE", 300)
    if "ldmiss-test" not in FEATURE_EXTRACTORS_REGISTRY:
        torch_fidelity.register_feature_extractor("ldmiss-test", _Extractor)
    generator = torch.Generator().manual_seed(2)
    real = torch.rand(1200, 1, 12, 12, generator=generator)
    generated = (1.1 * torch.rand(1200, 1, 12, 12, generator=generator) - 0.05).clamp(0, 1)
    theirs = torch_fidelity.calculate_metrics(
        input1=_Images(generated), input2=_Images(real), feature_extractor="ldmiss-test", cuda=False, batch_size=200,
        isc=True, fid=True, kid=True, prc=True, isc_splits=1, kid_subsets=5, kid_subset_size=300,
        verbose=False, save_cpu_ram=True,
    )  # fmt: skip
    capsys.readouterr()
    ours, reference = (extract_layers(_small_classifier(), images) for images in (generated, real))
    features, of_real = ours["penultimate"], reference["penultimate"]
    assert fid(fid_statistics(features), fid_statistics(of_real)) == pytest.approx(
        theirs["frechet_inception_distance"], rel=1e-6
    )
    assert inception_score(ours["logits"]) == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert kid(features, of_real) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)
    precision, recall = precision_recall(features, of_real)
    assert (precision, recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=2 / 1200)
    assert 0.05 < min(precision, recall) < 0.995
    assert capsys.readouterr().out == ""


def test_kid_is_unbiased_and_finds_a_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    """About 0 for two sets of one law, also small ones of unequal size; positive and larger for a larger shift."""
    monkeypatch.setattr(fidelity, "KID_SUBSETS", 10)
    a = torch.randn(500, 4, generator=torch.Generator().manual_seed(3))
    same, near, far = (kid(a[:200] + shift, a[200:]) for shift in (0.0, 0.5, 2.0))
    assert abs(same) < 0.1 * near
    assert 0 < near < far


def test_kid_of_sets_larger_than_a_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Averages random subsets, not the first images: that a set is sorted does not matter, what it lacks does."""
    monkeypatch.setattr(fidelity, "KID_SUBSETS", 20)
    monkeypatch.setattr(fidelity, "KID_SUBSET_SIZE", 200)
    a, b = torch.randn(2, 600, 4, generator=torch.Generator().manual_seed(3))
    by_norm = a[a.norm(dim=1).argsort()]
    lacking = kid(by_norm[:400], b)
    assert abs(kid(by_norm, b)) < 0.3 * lacking
    assert abs(kid(a, b)) < 0.3 * lacking


def test_kid_settings_are_the_usual() -> None:
    """torch-fidelity's defaults, so that published KIDs of the same features compare."""
    assert DEFAULTS["kid_subsets"] == fidelity.KID_SUBSETS
    assert DEFAULTS["kid_subset_size"] == fidelity.KID_SUBSET_SIZE


def test_precision_and_recall_by_hand() -> None:
    """All generated at one real cluster: precise, but half of the real ones are never reached."""
    generator = torch.Generator().manual_seed(4)
    here, there = torch.randn(2, 400, 2, generator=generator)
    real = torch.cat([here[:200], there[:200] + 100])
    precision, recall = precision_recall(here[200:], real)
    assert precision > 0.85
    assert recall == pytest.approx(0.5, abs=0.06)


def test_precision_recall_cuts_both_sides_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number on both sides, spread over the whole of each set."""
    seen = []

    def spy(features: torch.Tensor, reference: torch.Tensor, **settings: Any) -> dict[str, float]:
        seen.extend([features, reference])
        return {"precision": 0.1, "recall": 0.2}

    monkeypatch.setattr(fidelity, "prc_features_to_metric", spy)
    monkeypatch.setattr(fidelity, "PRC_SIZE", 5)
    rows = torch.arange(20.0)[:, None]
    assert precision_recall(rows, rows[:7]) == (0.1, 0.2)
    assert [part.flatten().tolist() for part in seen] == [[0, 4, 8, 12, 16], [0, 1, 2, 4, 5]]
    with pytest.raises(ValueError, match="at least 4"):
        precision_recall(rows[:3], rows)
