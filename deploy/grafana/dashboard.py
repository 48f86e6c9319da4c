"""Dashboard: the service's metrics in Grafana.

``make rules`` writes outcrop.json from this module. The rows are traffic, errors, latency,
saturation, scores, the night and model; a dashed line is the threshold of an alert.
"""

from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    IntervalVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.prometheus import rules

RATE = "$__rate_interval"
WINDOW = "$window"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_COLUMNS = 24
_HEIGHT = 7


@dataclass(frozen=True)
class Chart:
    """One panel of lines.

    Attributes
    ----------
    title, meaning : str
    unit : str
        Grafana's name of the unit.
    queries : mapping of str to str
        Expressions by their legends.
    limit : float or None
        Threshold of an alert.
    """

    title: str
    meaning: str
    unit: str
    queries: dict[str, str]
    limit: float | None = None


def _rate(by: str, metric: str, selector: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{selector}[{RATE}]))"


def _quantiles(metric: str, window: str, *shares: float, selector: str = "") -> dict[str, str]:
    buckets = f"sum by (le) (rate({metric}_bucket{selector}[{window}]))"
    return {f"{share:.0%}": f"histogram_quantile({share}, {buckets})" for share in shares}


_SCORING = f"{{{rules.SCORING}}}"
_WORKING = f"{{{rules.WORKING}}}"
_OURS = '{job="outcrop"}'
_SECONDS = "outcrop_request_duration_seconds"
_MASKED = "outcrop_spectra_masked_ratio"
_BY_CLASS = f"sum by (spectype) (rate({{}}[{WINDOW}]))".format
_KNOWN = f'sum(rate(outcrop_targets_total{{target_bits="known"}}[{WINDOW}]))'

ROWS: dict[str, tuple[Chart, ...]] = {
    "Traffic": (
        Chart(
            "Requests to score or explain",
            "By route.",
            "reqps",
            {"{{route}}": _rate("route", "outcrop_requests_total", _WORKING)},
        ),
        Chart(
            "Spectra",
            "Eligible, ineligible and unscored, per second.",
            "short",
            {"{{outcome}}": _rate("outcome", "outcrop_spectra_total")},
        ),
        Chart(
            "Spectra by petal",
            "Per second; none if the request names no petal.",
            "short",
            {"{{petal}}": _rate("petal", "outcrop_spectra_petal_total")},
        ),
        Chart(
            "Request size",
            "Complete request bodies.",
            "bytes",
            _quantiles("outcrop_request_body_bytes", RATE, 0.5, 0.95),
        ),
    ),
    "Errors": (
        Chart(
            "Errors",
            "Share of the requests to score or explain that fail with a server error (5xx).",
            "percentunit",
            {"errors": "outcrop:errors:ratio"},
            rules.ERROR_RATIO,
        ),
        Chart(
            "Responses by code",
            "Responses to requests to score or explain.",
            "reqps",
            {"{{code}}": _rate("code", "outcrop_requests_total", _WORKING)},
        ),
        Chart(
            "Rejections by reason",
            "All routes.",
            "reqps",
            {"{{reason}}": _rate("reason", "outcrop_rejected_total")},
        ),
        Chart(
            "Targets without scores",
            "Share of the rows of the last hour, if there are at least 2,000.",
            "percentunit",
            {"unscored": "outcrop:unscored:ratio"},
            rules.UNSCORED_RATIO,
        ),
    ),
    "Latency": (
        Chart(
            "Duration of requests to score",
            "From the head of a request to the end of its answer, its upload included.",
            "s",
            _quantiles(_SECONDS, RATE, 0.5, 0.95, 0.99, selector=_SCORING),
            rules.SLOW_SECONDS,
        ),
        Chart(
            "Stages",
            "Seconds of each stage per second: where the time goes.",
            "s",
            {"{{stage}}": _rate("stage", "outcrop_stage_seconds_sum")},
        ),
    ),
    "Saturation": (
        Chart(
            "Places and bytes in use",
            "Of the fullest pod, mean of ten minutes.",
            "percentunit",
            {"{{resource}}": "outcrop:taken:ratio"},
            rules.USED_RATIO,
        ),
        Chart(
            "Overload responses",
            "Share of the requests to score or explain that get status 429.",
            "percentunit",
            {"overload": "outcrop:turned_away:ratio"},
            rules.OVERLOAD_RATIO,
        ),
        Chart(
            "Requests in flight", "By pod.", "short", {"{{instance}}": "outcrop_requests_in_flight"}
        ),
        Chart(
            "CPU",
            "Cores by pod.",
            "short",
            {"{{instance}}": f"rate(process_cpu_seconds_total{_OURS}[{RATE}])"},
        ),
        Chart(
            "Memory",
            "Resident, by pod.",
            "bytes",
            {"{{instance}}": f"process_resident_memory_bytes{_OURS}"},
        ),
    ),
    "Scores of eligible spectra": (
        Chart(
            "Spectra of the last hour",
            "The alerts on scores are active while the line of evaluated spectra is present.",
            "short",
            {
                "{{outcome}}": "outcrop:spectra:increase",
                "evaluated": "outcrop:judged_spectra:increase",
            },
        ),
        Chart(
            "Flagged",
            "Share of the spectra of the last hour with each flag, and the model's level.",
            "percentunit",
            {"{{flag}}": "outcrop:flagged:ratio", "level": "max(outcrop_p_level_ratio)"},
        ),
        Chart(
            "Flagged by class",
            "Share of the eligible spectra of each class with the flag anomaly; unknown where the "
            "request gives no spectype. For inliers it is the level.",
            "percentunit",
            {
                "{{spectype}}": _BY_CLASS('outcrop_anomalies_total{flag="anomaly"}')
                + " / "
                + _BY_CLASS('outcrop_spectra_total{outcome="eligible"}'),
                "level": "max(outcrop_p_level_ratio)",
            },
        ),
        Chart(
            "Too good",
            "Share of the eligible spectra of the last hour that fit better than their noise "
            "allows.",
            "percentunit",
            {"too good": "outcrop:too_good:ratio"},
            rules.TOO_GOOD_RATIO,
        ),
        Chart(
            "Extrapolated",
            "Share of the spectra of the last hour, if there are at least 2,000, that have no "
            "p_value only because of their S/N.",
            "percentunit",
            {"extrapolated": "outcrop:extrapolated:ratio"},
            rules.EXTRAPOLATED_RATIO,
        ),
        Chart(
            "Causes",
            "Explained spectra with the flag anomaly, per second, by the most probable cause.",
            "short",
            {"{{cause}}": f"sum by (cause) (rate(outcrop_causes_total[{WINDOW}]))"},
        ),
        Chart(
            "Instrumental causes",
            "Share of the flagged spectra of the last hour, if at least "
            f"{rules.MIN_EXPLAINED} are explained, with a cause in the instrument or the "
            "reductions, and that of the week before.",
            "percentunit",
            {
                "last hour": "outcrop:instrumental:ratio",
                "week before": "outcrop:instrumental_before:ratio",
            },
        ),
        Chart(
            "Drift",
            "Population stability index of each latent over the last hour, if there are at "
            "least 2,000 spectra.",
            "short",
            {"latent {{latent}}": "outcrop:latent_psi:sum"},
            rules.PSI,
        ),
        Chart(
            "p_value",
            "Quantiles, within the class where it is given; for inliers each equals its share.",
            "short",
            _quantiles("outcrop_spectra_p_value", WINDOW, 0.01, 0.1, 0.5, 0.9),
        ),
        Chart(
            "S/N", "Quantiles.", "short", _quantiles("outcrop_spectra_snr", WINDOW, 0.1, 0.5, 0.9)
        ),
        Chart(
            "wmse",
            "Quantiles; noise alone gives about 1.",
            "short",
            _quantiles("outcrop_spectra_wmse", WINDOW, 0.1, 0.5, 0.9, 0.99),
        ),
        Chart(
            "NOF",
            "Quantiles; inliers have about -1, smaller is more anomalous.",
            "short",
            _quantiles("outcrop_spectra_nof", WINDOW, 0.01, 0.1, 0.5, 0.9),
        ),
        Chart(
            "Masked",
            "Mean share of the rest-frame bins that are not good.",
            "percentunit",
            {
                "masked": f"sum(rate({_MASKED}_sum[{WINDOW}]))"
                f" / sum(rate({_MASKED}_count[{WINDOW}]))"
            },
        ),
        Chart(
            "Status bits",
            "Spectra with each bit, per second, ineligible ones included.",
            "short",
            {"{{bit}}": _rate("bit", "outcrop_spectra_status_total")},
        ),
        Chart(
            "Outside the population",
            "Share of the targets with known target bits that are none of the model's population.",
            "percentunit",
            {
                "outside": f'sum(rate(outcrop_spectra_status_total{{bit="OUT_OF_POPULATION"}}'
                f"[{WINDOW}])) / {_KNOWN}",
                "outside, three days": "outcrop:outside:ratio",
            },
            rules.OUTSIDE_RATIO,
        ),
        Chart(
            "Target bits",
            "Targets per second by whether the request gives their target bits.",
            "short",
            {"{{target_bits}}": _rate("target_bits", "outcrop_targets_total")},
        ),
    ),
    "The night": (
        Chart(
            "Petals",
            "Of the newest night that `outcrop night` has summarised, by state, and those of which "
            "spectra are set apart.",
            "short",
            {
                "{{state}}": "sum by (state) (outcrop_night_petals)",
                "set apart": "sum(outcrop_night_set_apart_petals)",
            },
        ),
        Chart(
            "Set apart",
            "Petals by the kind of their faults: their noise, a fiber bundle, or far too many "
            "flagged.",
            "short",
            {"{{reason}}": "sum by (reason) (outcrop_night_faulty_petals)"},
        ),
        Chart(
            "Noise by petal",
            "Scored petals by whether their noise was corrected, or why not.",
            "short",
            {"{{correction}}": "sum by (correction) (outcrop_night_noise_petals)"},
        ),
        Chart(
            "Noise not corrected",
            f"Share of the petals, if there are at least {rules.MIN_PETALS}, with too few sky "
            "fibers, or with an implausible variance or offset.",
            "percentunit",
            {"{{night}}": "outcrop:night_uncorrected:ratio"},
            rules.UNCORRECTED_RATIO,
        ),
        Chart(
            "Noise: variance",
            "Over the reported one, of the petals with enough sky fibers, by camera.",
            "short",
            {"{{camera}} {{statistic}}": "outcrop_night_noise_variance_ratio"},
            rules.NOISE_MEDIAN[1],
        ),
        Chart(
            "Offsets of cameras",
            "Relative to camera r, of the same petals.",
            "percentunit",
            {"{{camera}} {{statistic}}": "outcrop_night_camera_offset_ratio"},
        ),
        Chart(
            "Flagged in the night",
            "Share of the eligible spectra, and the model's level; an alert at twice the level.",
            "percentunit",
            {
                "{{night}}": "outcrop_night_flagged_ratio",
                "level": "max(outcrop_night_p_level_ratio)",
            },
        ),
        Chart(
            "Discoveries",
            "Eligible spectra with q <= 10 %, and all that are flagged.",
            "short",
            {
                "discoveries": "sum(outcrop_night_discovered_spectra)",
                "flagged": "sum(outcrop_night_flagged_spectra)",
            },
        ),
        Chart(
            "Time since the summary",
            "By night.",
            "s",
            {"{{night}}": "time() - outcrop_night_written_timestamp_seconds"},
            rules.STALE_DAYS * rules.DAY,
        ),
    ),
    "Model": (
        Chart(
            "Canary: difference",
            "Largest relative difference of wmse or nof, by pod.",
            "percentunit",
            {"{{instance}}": "outcrop_canary_difference_ratio"},
            rules.CANARY_TOLERANCE,
        ),
        Chart(
            "Canary: flags and p-values that differ",
            "By pod; 0 is expected.",
            "short",
            {"{{instance}}": "outcrop_canary_flags + outcrop_canary_p_values"},
            1,
        ),
        Chart(
            "Canary: time since the last check",
            "By pod.",
            "s",
            {"{{instance}}": "time() - outcrop_canary_checked_timestamp_seconds"},
            rules.HOUR,
        ),
    ),
}

READY = "sum(outcrop_ready)"
MODELS = "count by (version, sample, sha256) (outcrop_model_info)"


def expressions() -> dict[str, str]:
    """Return the expressions of all panels, each by row, title and legend."""
    found = {
        f"{row}: {chart.title}: {legend}": expr
        for row, charts in ROWS.items()
        for chart in charts
        for legend, expr in chart.queries.items()
    }
    return found | {"Model: Pods ready": READY, "Model: Models served": MODELS}


def _lines(chart: Chart) -> timeseries.Panel:
    panel = _empty_lines(chart)
    for name, (legend, expr) in zip(ascii_uppercase, chart.queries.items(), strict=False):
        panel.with_target(Dataquery().ref_id(name).expr(expr).legend_format(legend).range())

    if chart.limit is not None:
        steps = [Threshold(value=None, color="green"), Threshold(chart.limit, color="red")]
        panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return panel


def _empty_lines(chart: Chart) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title(chart.title)
        .description(chart.meaning)
        .datasource(_SOURCE)
        .unit(chart.unit)
        .height(_HEIGHT)
        .span(_COLUMNS // 4)
        .fill_opacity(5)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )


def _model_panels() -> tuple[stat.Panel, table.Panel]:
    ready = (
        stat.Panel()
        .title("Pods ready")
        .datasource(_SOURCE)
        .height(_HEIGHT)
        .span(_COLUMNS // 8)
        .with_target(Dataquery().ref_id("A").expr(READY).instant())
    )
    models = (
        table.Panel()
        .title("Models served")
        .description("Number of pods by model.")
        .datasource(_SOURCE)
        .height(_HEIGHT)
        .span(_COLUMNS * 3 // 8)
        .with_target(Dataquery().ref_id("A").expr(MODELS).instant().format(PromQueryFormat.TABLE))
    )
    return ready, models


def dashboard() -> str:
    """Return the dashboard as JSON."""
    board = (
        Dashboard("Outcrop")
        .uid("outcrop")
        .tags(["outcrop"])
        .description("Traffic, errors, latency, saturation, scores, the night and model.")
        .time("now-12h", "now")
        .timezone("utc")
        .refresh("1m")
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            IntervalVariable("window").label("Window of the quantiles").values("1h,10m,6h,1d")
        )
    )

    for row, charts in ROWS.items():
        board.with_row(Row(row))
        if row == "Model":
            for panel in _model_panels():
                board.with_panel(panel)
        for chart in charts:
            board.with_panel(_lines(chart))

    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


if __name__ == "__main__":
    print(dashboard(), end="")
