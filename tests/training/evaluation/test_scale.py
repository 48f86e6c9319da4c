"""Scale: a fit is measured, and its bounds are kept or not."""

from pathlib import Path

import pytest

from outcrop.plan import Plan
from training.evaluation import scale

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("minutes", "status"), [(30.0, 0), (0.0, 1)])
def test_the_exit_status_says_whether_the_fit_was_within_its_bounds(
    sky: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    minutes: float,
    status: int,
) -> None:
    (tmp_path / "sky-4").symlink_to(sky)
    monkeypatch.setattr(scale, "MINUTES", minutes)
    arguments = ["--folder", str(tmp_path), "--petals", "4", "--config", str(tiny)]
    assert scale.main(arguments) == status
    assert "trained on" in capsys.readouterr().out
    # Read through the plan.
    assert len(Plan.read(tmp_path / "plan-4.ecsv").petals) == 4
    (manifest,) = tmp_path.glob("model-*/manifest.json")
    assert '"rows": 2000' in manifest.read_text()
