"""FID, Inception Score, accuracy and class shares against plain computations."""

import numpy as np
import pytest
import scipy.linalg
import torch

from ldmiss.evaluation.fidelity import accuracy, class_shares, fid, fid_statistics, inception_score

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
