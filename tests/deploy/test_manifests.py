"""The rendered manifests have the properties that docs/deploy.md states."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.check import DEPLOY, OVERLAYS, kubectl_problem, render, render_complete
from review.__main__ import make_parser
from service.settings import Settings

pytestmark = pytest.mark.skipif(
    kubectl_problem() is not None, reason=f"manifests cannot be rendered: {kubectl_problem()}"
)
ROOT = Path(__file__).parents[2]
Manifest = dict[str, Any]


def named(stream: str) -> dict[str, Manifest]:
    """Return the resources of a YAML stream as kind/name."""
    found = list(yaml.safe_load_all(stream))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


@pytest.fixture(scope="module", params=["local", "production", "complete"])
def manifests(request: pytest.FixtureRequest) -> dict[str, Manifest]:
    if request.param == "complete":
        return named(render_complete())
    return named(render(OVERLAYS / request.param))


@pytest.fixture(scope="module")
def production() -> dict[str, Manifest]:
    return named(render(OVERLAYS / "production"))


@pytest.fixture(scope="module")
def complete() -> dict[str, Manifest]:
    """Production with every component."""
    return named(render_complete())


def pod_of(manifests: dict[str, Manifest]) -> Manifest:
    return manifests["Deployment/outcrop"]["spec"]["template"]["spec"]


def server_of(manifests: dict[str, Manifest]) -> Manifest:
    (server,) = pod_of(manifests)["containers"]
    return server


def settings_of(manifests: dict[str, Manifest]) -> dict[str, str]:
    """Return the settings in the server's ConfigMap."""
    (source,) = server_of(manifests)["envFrom"]
    return manifests[f"ConfigMap/{source['configMapRef']['name']}"]["data"]


def night_of(manifests: dict[str, Manifest]) -> Manifest:
    """Return the labels and the pod of the night's job."""
    return manifests["CronJob/outcrop-night"]["spec"]["jobTemplate"]["spec"]["template"]


def review_of(manifests: dict[str, Manifest]) -> Manifest:
    """Return the labels and the pod of the review."""
    return manifests["Deployment/outcrop-review"]["spec"]["template"]


def mount_of(container: Manifest, path: str) -> Manifest:
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == path]
    return mount


def test_every_resource_is_in_one_namespace_that_enforces_restricted_pods(
    manifests: dict[str, Manifest],
) -> None:
    labels = manifests["Namespace/outcrop"]["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "latest"
    others = [each for each in manifests.values() if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in others} == {"outcrop"}


def test_every_container_is_unprivileged_with_a_read_only_root(
    manifests: dict[str, Manifest],
) -> None:
    pod = pod_of(manifests)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_writable_folders_have_sizes_within_the_ephemeral_storage_limit(
    manifests: dict[str, Manifest],
) -> None:
    folders = [each["emptyDir"] for each in pod_of(manifests)["volumes"] if "emptyDir" in each]
    sizes = [int(folder["sizeLimit"].removesuffix("Mi")) for folder in folders]
    limit = server_of(manifests)["resources"]["limits"]["ephemeral-storage"]
    assert 0 < sum(sizes) <= int(limit.removesuffix("Mi"))


def test_every_thread_pool_has_as_many_threads_as_the_cpu_limit(
    manifests: dict[str, Manifest],
) -> None:
    server = server_of(manifests)
    limit = {"containerName": "outcrop", "resource": "limits.cpu"}
    pools = ("OUTCROP_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    given = {each["name"]: each["valueFrom"]["resourceFieldRef"] for each in server["env"]}
    assert given == dict.fromkeys(pools, limit)
    # A fraction would be rounded up to more threads than CPUs.
    assert server["resources"]["limits"]["cpu"].isdecimal()
    assert server["resources"]["requests"] == server["resources"]["limits"]


def test_the_memory_limit_leaves_room_for_the_model_beside_request_bodies(
    manifests: dict[str, Manifest],
) -> None:
    limit = server_of(manifests)["resources"]["limits"]["memory"]
    held = int(settings_of(manifests)["OUTCROP_MAX_INFLIGHT_BYTES"])
    # 360 MB when idle, the bundle, and two requests being scored.
    assert int(limit.removesuffix("Gi")) * 2**30 - held >= 700e6


def test_liveness_never_runs_the_model_and_readiness_can_drain(
    manifests: dict[str, Manifest],
) -> None:
    server = server_of(manifests)
    paths = {
        name: server[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": {"path": "/livez", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }


def test_a_pod_drains_and_finishes_its_requests_before_it_is_killed(
    manifests: dict[str, Manifest],
) -> None:
    server = server_of(manifests)
    settings = settings_of(manifests)
    *_, command = server["lifecycle"]["preStop"]["exec"]["command"]
    steps = re.fullmatch(r'touch "\$OUTCROP_DRAIN_FILE" && sleep (\d+)', command)
    assert steps is not None
    waited = int(steps[1])
    probe = server["readinessProbe"]
    assert waited > probe["periodSeconds"] * probe["failureThreshold"]
    longest = float(settings["OUTCROP_DEADLINE_SECONDS"])
    assert pod_of(manifests)["terminationGracePeriodSeconds"] >= waited + longest + 5
    assert mount_of(server, str(Path(settings["OUTCROP_DRAIN_FILE"]).parent))["name"] == "tmp"


def test_settings_are_known_to_the_service(manifests: dict[str, Manifest]) -> None:
    known = {f"OUTCROP_{name.upper()}" for name in Settings.model_fields}
    assert set(settings_of(manifests)) <= known


def test_the_model_is_a_separate_image_and_read_only_for_the_service(
    manifests: dict[str, Manifest],
) -> None:
    (model,) = pod_of(manifests)["initContainers"]
    server = server_of(manifests)
    assert model["command"] == ["cp", "-R", "/model/.", "/volume"]
    volume = mount_of(model, "/volume")["name"]
    assert mount_of(server, "/model") == {"name": volume, "mountPath": "/model", "readOnly": True}
    assert "OUTCROP_MODEL=/model" in (ROOT / "Dockerfile").read_text()
    assert model["image"].rpartition(":")[0] == server["image"].rpartition(":")[0] + "-model"


def test_another_model_changes_only_the_image_tag(
    production: dict[str, Manifest], tmp_path: Path
) -> None:
    overlay = OVERLAYS / "production"
    (tmp_path / "base").symlink_to(OVERLAYS.parent / "base")
    text = (overlay / "kustomization.yaml").read_text()
    assert text.count('newTag: "2026.1"') == 1
    changed = text.replace('newTag: "2026.1"', 'newTag: "2025.9"').replace("../../", "../")

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kustomization.yaml").write_text(changed)
    other = list(yaml.safe_load_all(render(tmp_path / "other")))
    different = [each for each in other if each not in production.values()]
    (deployment,) = different
    (model,) = deployment["spec"]["template"]["spec"]["initContainers"]
    assert model["image"].endswith("/outcrop-model:2025.9")


def test_tokens_come_from_a_secret_outside_the_manifests(
    production: dict[str, Manifest],
) -> None:
    assert not any(name.startswith("Secret/") for name in production)
    (tokens,) = [v for v in pod_of(production)["volumes"] if "secret" in v]
    assert tokens["secret"]["secretName"] == "outcrop-tokens"
    mount = mount_of(server_of(production), "/run/outcrop")
    # A subPath would not follow changes of the Secret.
    assert mount == {"name": tokens["name"], "mountPath": "/run/outcrop", "readOnly": True}
    assert settings_of(production)["OUTCROP_TOKENS_FILE"] == "/run/outcrop/tokens"


def test_no_deployment_allows_anonymous_requests(manifests: dict[str, Manifest]) -> None:
    assert "OUTCROP_ALLOW_ANONYMOUS" not in settings_of(manifests)


def test_all_traffic_is_denied_except_from_clients_and_prometheus(
    manifests: dict[str, Manifest],
) -> None:
    both = ["Ingress", "Egress"]
    assert manifests["NetworkPolicy/deny-all"]["spec"] == {"podSelector": {}, "policyTypes": both}
    spec = manifests["NetworkPolicy/outcrop"]["spec"]
    assert spec["policyTypes"] == both
    assert "egress" not in spec
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    # A peer with one selector would allow a whole namespace.
    assert all(sorted(peer) == ["namespaceSelector", "podSelector"] for peer in rule["from"])


def test_service_and_service_monitor_select_the_pods_and_their_port(
    complete: dict[str, Manifest],
) -> None:
    labels = complete["Deployment/outcrop"]["spec"]["template"]["metadata"]["labels"]
    service = complete["Service/outcrop"]
    monitor = complete["ServiceMonitor/outcrop"]["spec"]
    (port,) = service["spec"]["ports"]
    (endpoint,) = monitor["endpoints"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    assert [port["targetPort"]] == [each["name"] for each in server_of(complete)["ports"]]


def test_every_component_is_offered_by_production_and_none_is_on(
    production: dict[str, Manifest],
) -> None:
    text = (OVERLAYS / "production" / "kustomization.yaml").read_text()
    offered = re.findall(r"^  # - \.\./\.\./components/(\w+)$", text, re.MULTILINE)
    assert sorted(offered) == sorted(each.name for each in (DEPLOY / "k8s/components").iterdir())
    groups = {each["apiVersion"] for each in production.values()}
    # What every cluster has: with a resource of an operator, `kubectl apply` would fail.
    assert groups <= {"v1", "apps/v1", "autoscaling/v2", "networking.k8s.io/v1", "policy/v1"}


def test_the_rules_alone_are_the_object_of_the_monitoring_component(
    complete: dict[str, Manifest],
) -> None:
    assert named(render(DEPLOY / "prometheus")) == {
        "PrometheusRule/outcrop": complete["PrometheusRule/outcrop"]
    }


def test_applying_local_after_production_leaves_no_autoscaler_of_several_pods(
    production: dict[str, Manifest],
) -> None:
    local = named(render(OVERLAYS / "local"))
    left = {name for name in production if not name.startswith("ConfigMap/")} - set(local)
    assert not left
    scaler = local["HorizontalPodAutoscaler/outcrop"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 1)


def test_the_ingress_takes_the_largest_body_and_outlasts_the_deadline(
    complete: dict[str, Manifest],
) -> None:
    prefix = "nginx.ingress.kubernetes.io/"
    options = {
        name.removeprefix(prefix): value
        for name, value in complete["Ingress/outcrop"]["metadata"]["annotations"].items()
    }
    largest = Settings.model_fields["max_body_bytes"].default
    assert int(options["proxy-body-size"].removesuffix("m")) * 2**20 == largest
    deadline = float(settings_of(complete)["OUTCROP_DEADLINE_SECONDS"])
    for name in ("proxy-send-timeout", "proxy-read-timeout"):
        assert int(options[name]) > deadline


def test_the_ingress_needs_tls_and_hides_the_metrics(complete: dict[str, Manifest]) -> None:
    spec = complete["Ingress/outcrop"]["spec"]
    (rule,), (tls,) = spec["rules"], spec["tls"]
    assert tls == {"hosts": [rule["host"]], "secretName": "outcrop-tls"}

    paths = {each["path"]: each["pathType"] for each in rule["http"]["paths"]}
    assert paths.pop("/v2") == "Prefix"
    assert set(paths.values()) == {"Exact"}
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    routes = {path for path in re.findall(r"`(?:GET|POST) (/[^`]*)`", protocol)}
    assert "/metrics" in routes
    assert set(paths) == {path for path in routes if not path.startswith("/v2")} - {"/metrics"}


def test_the_ingress_controller_may_reach_the_pods(complete: dict[str, Manifest]) -> None:
    policy = complete["NetworkPolicy/outcrop-ingress"]["spec"]
    labels = complete["Deployment/outcrop"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    assert sorted(peer) == ["namespaceSelector", "podSelector"]


def test_the_night_runs_the_services_image_without_privileges(
    complete: dict[str, Manifest],
) -> None:
    pod = night_of(complete)["spec"]
    (night,) = pod["containers"]
    server = server_of(complete)
    assert night["image"] == server["image"]
    assert night["securityContext"] == server["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"].items() >= pod_of(complete)["securityContext"].items()
    assert mount_of(night, "/data")["readOnly"] is True


def test_the_night_may_reach_the_service_and_its_name(complete: dict[str, Manifest]) -> None:
    night = night_of(complete)["metadata"]["labels"]
    pods = complete["Deployment/outcrop"]["spec"]["selector"]["matchLabels"]
    out = complete["NetworkPolicy/outcrop-night"]["spec"]
    into = complete["NetworkPolicy/outcrop-from-night"]["spec"]
    assert out["podSelector"]["matchLabels"] == night
    assert into["podSelector"]["matchLabels"] == pods
    assert into["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": night}}], "ports": [{"port": "http"}]}
    ]

    service, names = out["egress"]
    (container_port,) = server_of(complete)["ports"]
    assert service["to"] == [{"podSelector": {"matchLabels": pods}}]
    assert service["ports"] == [{"port": container_port["containerPort"]}]
    assert {each["port"] for each in names["ports"]} == {53}
    (container,) = night_of(complete)["spec"]["containers"]
    (url,) = [each["value"] for each in container["env"]]
    assert url == f"http://{complete['Service/outcrop']['metadata']['name']}"


def test_production_scales_spreads_and_survives_the_loss_of_a_node(
    production: dict[str, Manifest],
) -> None:
    deployment = production["Deployment/outcrop"]["spec"]
    scaler = production["HorizontalPodAutoscaler/outcrop"]
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert scaler["spec"]["scaleTargetRef"]["name"] == "outcrop"
    assert scaler["spec"]["minReplicas"] >= 2
    # A number here would override the autoscaler's each time the manifests are applied.
    assert "replicas" not in deployment

    labels = deployment["selector"]["matchLabels"]
    budget = production["PodDisruptionBudget/outcrop"]["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["maxUnavailable"] < scaler["spec"]["minReplicas"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in spread} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    assert all(each["labelSelector"]["matchLabels"] == labels for each in spread)


def test_the_server_image_has_the_version_of_the_code(manifests: dict[str, Manifest]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert server_of(manifests)["image"].endswith(f"/outcrop:{version}")


def test_the_review_runs_the_services_image_without_privileges(
    complete: dict[str, Manifest],
) -> None:
    pod, server = review_of(complete)["spec"], server_of(complete)
    (model,), (review,) = pod["initContainers"], pod["containers"]
    assert review["image"] == server["image"]
    assert [model["image"]] == [each["image"] for each in pod_of(complete)["initContainers"]]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"].items() >= pod_of(complete)["securityContext"].items()
    for container in (model, review):
        assert container["securityContext"] == server["securityContext"]

    writable = [each["mountPath"] for each in review["volumeMounts"] if not each.get("readOnly")]
    assert sorted(writable) == ["/labels", "/tmp"]  # noqa: S108
    (secret,) = [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v]
    assert secret == "outcrop-review-tokens"


def test_one_review_at_a_time_writes_its_labels_to_a_claim(complete: dict[str, Manifest]) -> None:
    spec = complete["Deployment/outcrop-review"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (review,) = spec["template"]["spec"]["containers"]
    settings = {each["name"]: each.get("value") for each in review["env"]}
    volume = mount_of(review, str(Path(settings["OUTCROP_LABELS"]).parent))["name"]
    (claim,) = [
        each["persistentVolumeClaim"]["claimName"]
        for each in spec["template"]["spec"]["volumes"]
        if each["name"] == volume
    ]
    assert f"PersistentVolumeClaim/{claim}" in complete


def test_the_command_of_the_review_names_what_is_mounted(complete: dict[str, Manifest]) -> None:
    (review,) = review_of(complete)["spec"]["containers"]
    command, *arguments = review["args"]
    assert command == "review"
    options = make_parser().parse_args(arguments)
    mounted = {each["mountPath"] for each in review["volumeMounts"]}
    named = {options.outliers, Path(options.model), options.coadds, options.tokens.parent}
    assert {str(path) for path in named} <= mounted
    assert [{"name": "http", "containerPort": options.port}] == review["ports"]

    rule = complete["Ingress/outcrop-review"]["spec"]["rules"][0]
    assert options.allowed_host == [rule["host"]]
    for probe in ("startup", "liveness", "readiness"):
        assert review[f"{probe}Probe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_only_the_ingress_controller_reaches_the_review(complete: dict[str, Manifest]) -> None:
    labels = review_of(complete)["metadata"]["labels"]
    policy = complete["NetworkPolicy/outcrop-review"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert "egress" not in policy
    assert policy["ingress"] == complete["NetworkPolicy/outcrop-ingress"]["spec"]["ingress"]
    assert complete["Service/outcrop-review"]["spec"]["selector"] == labels
    # Nor does the review get the requests of the service.
    selector = complete["Service/outcrop"]["spec"]["selector"]
    assert not selector.items() <= labels.items()
