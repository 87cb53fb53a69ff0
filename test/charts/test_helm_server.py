"""The program that renders for these tests answers as the command does, byte for byte."""

import subprocess

import pytest
import yaml

from support.charts.chart import CHART, HELM_SERVER, IN_PRODUCTION, KUBERNETES, PRODUCTION, helm
from support.charts.chart_values import MATRIX
from support.charts.worker_chart import JOB, WORKER
from support.process import need

TEMPLATE = ("template", "release", CHART, "--namespace", "scaling", "--kube-version", KUBERNETES, "--set", "image.repository=backlog")
LINT = ("lint", "--strict", "--kube-version", KUBERNETES, "--values", "-")

# All that a template sees of a call.
SMALL = {
    "Chart.yaml": "{apiVersion: v2, name: small, version: 1.0.0, deprecated: true}",
    "values.yaml": "{map: {a: 1}, text: b}",
    "values.schema.json": '{"type": "object"}',
    "templates/all.yaml": """\
kind: All
metadata: {name: all}
release: {{ .Release | toJson }}
capabilities: {{ list .Capabilities.KubeVersion .Capabilities.HelmVersion (.Capabilities.APIVersions | sortAlpha) | toJson }}
values: {{ .Values | toJson }}
""",
    "templates/hook.yaml": "{kind: Hook, metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}}",
    "templates/test.yaml": "{kind: Test, metadata: {name: test, annotations: {helm.sh/hook: test}}}",
    "templates/broken.yaml": '{{ if eq (toString .Values.text) "broken" }}a: b: c{{ end }}',
    "templates/NOTES.txt": "Notes",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chart") / "small"
    for name, text in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def same(*words, values=None):
    """The answer of both."""
    text = yaml.safe_dump(values or {})
    command = subprocess.run([need("helm"), *words], input=text.encode(), capture_output=True, timeout=60)
    server = HELM_SERVER.run(words, text)
    assert (server.returncode, server.stdout, server.stderr) == (command.returncode, command.stdout.decode(), command.stderr.decode())
    return server


@pytest.mark.parametrize("words, values", [
    ((*TEMPLATE, "--values", "-"), MATRIX["everything"]),
    ((*TEMPLATE, "--values", f"{PRODUCTION},-", "--set", "replicaCount=3,podLabels.a=b", "--set-string", "podLabels.number=1",
      "--set-json", 'tolerations=[{"key": "dedicated", "operator": "Exists"}]', "--set-file", f"podAnnotations.version={CHART}/.helmignore",
      "--set-literal", "podAnnotations.literal=a,b"), IN_PRODUCTION),
    ((*TEMPLATE, "--show-only", "templates/service.yaml", "-s", "templates/rbac.yaml", "--set", "kubernetes.enabled=true"), None),
    (("template", "release", WORKER, "--kube-version", KUBERNETES, "--values", "-"), JOB),
], ids=["everything", "every kind of flag", "some templates", "the other chart"])
def test_it_renders_as_the_command(words, values):
    assert same(*words, values=values).returncode == 0


@pytest.mark.parametrize("words, part", [
    ((), '"IsUpgrade":false'),
    (("--is-upgrade", "--no-hooks", "--api-versions", "a/v1,b/v1/C", "-a", "d/v1", "--kube-version", "v1.31.2", "-n", "other"), '"IsUpgrade":true'),
    (("--skip-tests", "--set", "text.inner=5"), "warning: skipped value for small.text: Not a table"),
], ids=["without flags", "an upgrade", "a warning"])
def test_a_template_sees_what_the_command_would_show_it(small, words, part):
    result = same("template", "release", str(small), *words)
    assert result.returncode == 0 and part in result.stdout + result.stderr


@pytest.mark.parametrize("words, values, message", [
    ((*TEMPLATE, "--values", "-"), {"replicas": 2, "service": {"port": 80}}, "don't meet the specifications of the schema"),
    ((*TEMPLATE, "--values", "-"), {"tls": {"clientCASecret": "keda-ca"}}, "Error: execution error at"),
    ((*TEMPLATE, "--set", "a=b,c"), None, "failed parsing --set data"),
    ((*TEMPLATE, "--no-such-flag"), None, "unknown flag"),
    (("template", "release", "./nowhere"), None, "not found"),
    ((*TEMPLATE, "--show-only", "templates/none.yaml"), None, "could not find template"),
    (("template", "-f", "-"), None, "requires at least 1 argument"),
    (("lint", "--strict", CHART, "--values", "-"), {"replicas": 2}, "1 chart(s) failed"),
], ids=str)
def test_it_refuses_as_the_command(words, values, message):
    assert message in same(*words, values=values).stderr


def test_what_is_no_yaml_is_refused_as_by_the_command(small):
    assert "Use --debug flag" in same("template", "release", str(small), "--set", "text=broken").stderr


def test_it_lints_as_the_command(small):
    assert same(*LINT, CHART, values=MATRIX["everything"]).returncode == 0
    assert "[ERROR] templates/broken.yaml" in same("lint", str(small), "--set", "text=broken").stdout


def test_it_renders_a_package_as_the_command(tmp_path):
    assert helm("package", WORKER, "--destination", str(tmp_path)).returncode == 0
    package, = tmp_path.glob("*.tgz")
    assert same("template", "release", str(package), "--kube-version", KUBERNETES, "--values", "-", values=JOB).returncode == 0


def test_it_starts_again_where_it_has_ended():
    before = HELM_SERVER.run(TEMPLATE, "")
    HELM_SERVER.child.kill()
    HELM_SERVER.child.wait()
    after = HELM_SERVER.run(TEMPLATE, "")
    assert after.returncode == 0 and after.stdout == before.stdout


def test_relative_paths_are_those_of_the_test(small, monkeypatch):
    monkeypatch.chdir(small.parent)
    assert same("template", "release", "small").returncode == 0
