"""Score metrics count the scores of eligible spectra, and of no others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from model_store.bundle import Bundle
from outcrop import Scores, Spectra
from scoring.drift import Drift, decile_counts
from scoring.scorer import Scorer
from service.monitoring.score_metrics import FLAGS, SPECTYPES, ScoreMetrics, by_spectype


@pytest.fixture(scope="module")
def drift(bundle: Path) -> Drift:
    return Drift.from_arrays(Bundle.open(bundle).arrays("drift.npz"))


@pytest.fixture(scope="module")
def scores(scorer: Scorer, spectra: Spectra) -> Scores:
    return scorer.score(spectra)


@pytest.fixture
def registry(scorer: Scorer, drift: Drift, spectra: Spectra, scores: Scores) -> CollectorRegistry:
    """The metrics after the same petal was scored twice."""
    metrics = ScoreMetrics(scorer.model, drift)
    metrics.observe(spectra, scores)
    metrics.observe(spectra, scores)
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry


def test_histograms_count_the_eligible_spectra_alone(
    registry: CollectorRegistry, scores: Scores
) -> None:
    counted = scores.eligible
    assert 0 < counted.sum() < len(scores)
    for name, values in (
        ("snr", scores.snr),
        ("wmse", scores.wmse),
        ("p_value", scores.p_value),
        ("masked_ratio", 1 - scores.coverage),
    ):
        metric = f"outcrop_spectra_{name}"
        assert registry.get_sample_value(f"{metric}_count") == 2 * counted.sum()
        total = registry.get_sample_value(f"{metric}_sum")
        assert total == pytest.approx(2 * values[counted].astype(float).sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "bound"), [("snr", 10.0), ("wmse", 1.1), ("nof", -1.05), ("p_value", 0.5)]
)
def test_buckets_hold_what_is_at_most_their_bound(
    registry: CollectorRegistry, scores: Scores, name: str, bound: float
) -> None:
    values = getattr(scores, name)[scores.eligible].astype(float)
    found = registry.get_sample_value(f"outcrop_spectra_{name}_bucket", {"le": str(bound)})
    assert found == 2 * (values <= bound).sum()


def test_a_coverage_at_the_eligible_limit_is_in_the_last_bucket(
    scorer: Scorer, drift: Drift, spectra: Spectra, scores: Scores
) -> None:
    metrics = ScoreMetrics(scorer.model, drift)
    metrics.observe(spectra, replace(scores, coverage=np.full(len(scores), 0.9, np.float32)))
    registry = CollectorRegistry()
    registry.register(metrics)
    found = registry.get_sample_value("outcrop_spectra_masked_ratio_bucket", {"le": "0.1"})
    assert found == scores.eligible.sum()


def test_anomalies_are_counted_by_flag_and_class(
    registry: CollectorRegistry, spectra: Spectra, scores: Scores
) -> None:
    assert spectra.spectype is not None
    for flag in FLAGS:
        for spectype in SPECTYPES:
            labels = {"flag": flag, "spectype": spectype}
            found = registry.get_sample_value("outcrop_anomalies_total", labels)
            expected = getattr(scores, flag) & (spectra.spectype == spectype)
            assert found == 2 * expected.sum()


def test_spectra_of_another_or_no_class_are_of_an_unknown_one(spectra: Spectra) -> None:
    some = replace(spectra[:6], spectype=np.array(["GALAXY", "STAR", "STAR", "", "BAD", "QSO"]))
    chosen = np.array([True, True, True, True, True, False])
    assert by_spectype(some, chosen) == {"GALAXY": 1, "QSO": 0, "STAR": 2, "unknown": 2}
    without = replace(some, spectype=None)
    assert by_spectype(without, chosen) == {"GALAXY": 0, "QSO": 0, "STAR": 0, "unknown": 5}


def test_deciles_are_counted_beside_the_models_shares(
    registry: CollectorRegistry, scores: Scores, drift: Drift, scorer: Scorer
) -> None:
    expected = decile_counts(scores.latent[scores.eligible], drift.edges)
    latents = scorer.model.latents
    assert expected.shape == drift.shares.shape == (latents, 10)
    for latent in range(latents):
        for decile in range(10):
            labels = {
                "version": scorer.model.version,
                "latent": str(latent),
                "decile": str(decile + 1),
            }
            count = registry.get_sample_value("outcrop_latent_spectra_total", labels)
            assert count == 2 * expected[latent, decile]
            share = registry.get_sample_value("outcrop_latent_reference_ratio", labels)
            assert share == drift.shares[latent, decile]


def test_the_level_is_the_models(registry: CollectorRegistry, scorer: Scorer) -> None:
    labels = {"version": scorer.model.version}
    found = registry.get_sample_value("outcrop_p_level_ratio", labels)
    assert found == scorer.model.p_level
