"""Check: validate the Dockerfile and the manifests.

hadolint and checkov check the Dockerfile. `kubectl kustomize` renders the overlays, and production
with every component;
kubernetes-validate compares them with the API of the oldest and the newest Kubernetes, and checkov
with good practice. Each check that checkov skips is listed with its reason where it applies.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OVERLAYS = DEPLOY / "k8s" / "overlays"
OLDEST_KUBERNETES = (1, 27)
_RENDERED = ROOT / ".cache" / "rendered"


def kubectl_problem() -> str | None:
    """Return why kubectl cannot render the overlays here, or None if it can."""
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    command = ["kubectl", "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    client = json.loads(done.stdout)["clientVersion"]
    version = (int(client["major"]), int(client["minor"].rstrip("+")))
    if version < OLDEST_KUBERNETES:
        return f"kubectl is {version[0]}.{version[1]}, older than {_dotted(OLDEST_KUBERNETES)}"
    return None


def render(overlay: Path) -> str:
    """Return an overlay's manifests as one YAML stream."""
    command = ["kubectl", "kustomize", str(overlay)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def render_complete() -> str:
    """Return production's manifests with every component, as one YAML stream."""
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("k8s", "prometheus"):
            shutil.copytree(DEPLOY / name, copy / name)
        file = copy / "k8s" / "overlays" / "production" / "kustomization.yaml"
        text = file.read_text()
        file.write_text(text.replace("  # - ../../components/", "  - ../../components/"))
        return render(file.parent)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _run(*command: str | Path) -> bool:
    print("+", *(Path(c).name if isinstance(c, Path) else c for c in command), flush=True)
    return subprocess.run([*map(str, command)], cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """Run all checks; return the exit status."""
    dockerfile = ROOT / "Dockerfile"
    clean = [_run("hadolint", dockerfile)]
    files = [dockerfile]

    problem = kubectl_problem()
    if problem is not None:
        print(f"skipped the manifests: {problem}", flush=True)
    else:
        _RENDERED.mkdir(parents=True, exist_ok=True)
        rendered = {overlay.name: render(overlay) for overlay in sorted(OVERLAYS.iterdir())}
        rendered["complete"] = render_complete()
        for name, text in rendered.items():
            file = _RENDERED / f"{name}.yaml"
            file.write_text(text)
            validate = ("kubernetes-validate", "--strict", "--quiet")
            clean.append(_run(*validate, "-k", _dotted(OLDEST_KUBERNETES), file))
            clean.append(_run(*validate, file))
            files.append(file)

    named = [argument for file in files for argument in ("-f", file)]
    frameworks = ("--framework", "dockerfile", "kubernetes")
    clean.append(_run("checkov", "--skip-download", "--quiet", "--compact", *frameworks, *named))
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
