"""Dashboard: what an operator sees of the service at a glance, in Grafana.

``make rules`` writes what is committed beside this module. The rows go from the load to the
science and the model; a dashed line is where an alert begins.
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
        As Grafana names it.
    queries : mapping of str to str
        Expressions by their legends.
    limit : float or None
        Where an alert begins.
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


_JOBS = f"{{{rules.JOBS}}}"
_OURS = '{job="outcrop"}'
_SECONDS = "outcrop_request_duration_seconds"
_MASKED = "outcrop_spectra_masked_ratio"

ROWS: dict[str, tuple[Chart, ...]] = {
    "Traffic": (
        Chart(
            "Requests to score",
            "By route.",
            "reqps",
            {"{{route}}": _rate("route", "outcrop_requests_total", _JOBS)},
        ),
        Chart(
            "Spectra",
            "Eligible, ineligible and unscored, per second.",
            "short",
            {"{{outcome}}": _rate("outcome", "outcrop_spectra_total")},
        ),
        Chart(
            "Spectra by petal",
            "Per second; none where the request does not say.",
            "short",
            {"{{petal}}": _rate("petal", "outcrop_spectra_petal_total")},
        ),
        Chart(
            "Request size",
            "Of complete bodies.",
            "bytes",
            _quantiles("outcrop_request_body_bytes", RATE, 0.5, 0.95),
        ),
    ),
    "Errors": (
        Chart(
            "Errors",
            "Requests to score that fail on the server's side (5xx), of all.",
            "percentunit",
            {"errors": "outcrop:errors:ratio"},
            rules.ERROR_RATIO,
        ),
        Chart(
            "Answers by code",
            "Of requests to score.",
            "reqps",
            {"{{code}}": _rate("code", "outcrop_requests_total", _JOBS)},
        ),
        Chart(
            "Refusals by reason",
            "Of all requests.",
            "reqps",
            {"{{reason}}": _rate("reason", "outcrop_rejected_total")},
        ),
        Chart(
            "Targets without scores",
            "Of the rows of the last hour, where there are at least 2,000.",
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
            _quantiles(_SECONDS, RATE, 0.5, 0.95, 0.99, selector=_JOBS),
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
            "Places and bytes taken",
            "Of the fullest pod, mean of ten minutes.",
            "percentunit",
            {"{{resource}}": "outcrop:taken:ratio"},
            rules.TAKEN_RATIO,
        ),
        Chart(
            "Turned away",
            "Requests answered 429, of the requests to score.",
            "percentunit",
            {"turned away": "outcrop:turned_away:ratio"},
            rules.TURNED_AWAY_RATIO,
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
    "Science, on eligible spectra": (
        Chart(
            "Spectra of the last hour",
            "The science is judged where there is a line of judged ones.",
            "short",
            {
                "{{outcome}}": "outcrop:spectra:increase",
                "judged": "outcrop:judged_spectra:increase",
            },
        ),
        Chart(
            "Flagged",
            "Share of the spectra of the last hour with each flag, and the model's level.",
            "percentunit",
            {"{{flag}}": "outcrop:flagged:ratio", "level": "max(outcrop_p_level_ratio)"},
        ),
        Chart(
            "Drift",
            "Population stability index of each latent over the last hour, where there are at "
            "least 2,000 spectra.",
            "short",
            {"latent {{latent}}": "outcrop:latent_psi:sum"},
            rules.PSI,
        ),
        Chart(
            "p_value",
            "Quantiles; on ordinary sky each is as large as its name.",
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
            "Spectra with each, per second, ineligible ones included.",
            "short",
            {"{{bit}}": _rate("bit", "outcrop_spectra_status_total")},
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
            "Canary: flags that differ",
            "By pod; any is one too many.",
            "short",
            {"{{instance}}": "outcrop_canary_flags"},
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
    panel = (
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
    for name, (legend, expr) in zip(ascii_uppercase, chart.queries.items(), strict=False):
        panel.with_target(Dataquery().ref_id(name).expr(expr).legend_format(legend).range())
    if chart.limit is not None:
        steps = [Threshold(value=None, color="green"), Threshold(chart.limit, color="red")]
        panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        panel.thresholds_style(GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return panel


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
        .description("By how many pods.")
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
        .description("Traffic, errors, latency and saturation; the science; the model.")
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
