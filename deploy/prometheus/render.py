"""Render: the rules as a file for Prometheus, or as a resource for its operator on Kubernetes.

``make rules`` writes outcrop.rules.yaml and prometheusrule.yaml with it.
"""

import argparse
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import yaml

from deploy.prometheus.rules import Rules

_HEADER = "# Written by `make rules` from deploy/prometheus/rules.py; a test compares.\n"


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def render(scale: float = 1, runbook_url: str | None = None, *, resource: bool = False) -> str:
    """Return the rules as YAML.

    Parameters
    ----------
    scale : float
        Factor of every span of time.
    runbook_url : str, optional
        Address of docs/runbook.md, for links in the alerts.
    resource : bool
        Return a PrometheusRule, not a rule file.
    """
    content: dict[str, Any] = {"groups": Rules(scale, runbook_url).groups()}
    if resource:
        content = {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "outcrop"},
            "spec": content,
        }
    return _HEADER + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.prometheus.render", description=__doc__)
    parser.add_argument("--scale", type=Fraction, default=Fraction(1), help="for instance 1/60")
    parser.add_argument(
        "--runbook", metavar="URL", help="address of docs/runbook.md, for links in the alerts"
    )
    parser.add_argument("--resource", action="store_true", help="as a PrometheusRule")
    options = parser.parse_args(arguments)
    text = render(float(options.scale), options.runbook, resource=options.resource)
    print(text, end="")


if __name__ == "__main__":
    main()
