"""The card tells sample, recipe, figures and blind spots, and borrows no other recipe's figures."""

import json
from pathlib import Path

from model_store.bundle import Bundle
from training.model import card
from training.model.card import BENCHMARK, CARD, write_card
from training.model.config import Config


def test_every_bundle_holds_its_card(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    text = opened.bytes(CARD).decode()
    manifest = opened.manifest
    for part in (
        f"# Model card: outcrop {manifest.version}",
        "**Made from a simulated sky: its numbers are not DESI performance.**",
        f"| training | {manifest.sample.counts['training']} |",
        "latents = 4, hidden = [32]",
        "| GALAXY |",
        f"wmse above {manifest.thresholds.wmse:.3f}",
        "## Known blind spots",
        "Redshifts outside 0 to 0.3",
    ):
        assert part in text


def test_a_recipe_that_was_not_benchmarked_gets_no_figures(bundle: Path) -> None:
    text = Bundle.open(bundle).bytes(CARD).decode()
    assert "not part of the published benchmark" in text
    assert "found in the benchmark" not in text


def test_a_recipe_that_was_benchmarked_gets_its_own(bundle: Path) -> None:
    known = json.loads(BENCHMARK.read_text())
    for entry in known.values():
        configuration = Config.model_validate(entry["configuration"]).model_dump(mode="json")
        manifest = Bundle.open(bundle).manifest.model_copy(update={"configuration": configuration})
        text = write_card(manifest, {})
        recall = entry["recall_at_1pct"]["p_value"]
        assert f"| macro | {recall['macro']:.2f} |" in text
        missed = {kind for kind, share in recall.items() if share < card.BLIND} - {"macro"}
        for kind in missed:
            assert f"- {kind}: {recall[kind]:.0%} found in the benchmark." in text
    assert known
