"""The manifests of all examples: what `backlog check`, the schemas of Kubernetes and KEDA, and the READMEs demand."""

import pathlib
import re
import subprocess

import pytest
import yaml

from support.charts.chart import ORDERS, merge, render, render_all
from support.charts.worker_chart import WORKER, build_umbrella
from support.kubernetes.kubernetes_schemas import mistakes
from support.pages.dashboard import dashboards
from support.process import need
from support.server.server import REPOSITORY, binary

EXAMPLES = sorted(run.parent for run in pathlib.Path(REPOSITORY, "examples").glob("*/run"))
MANIFESTS = [pytest.param(path, id=str(path.relative_to(EXAMPLES[0].parent)))
             for example in EXAMPLES for pattern in ("manifests/*.yaml", "routes/*/*.yaml", "alerts.yaml") for path in sorted(example.glob(pattern))]
OVERLAYS = [pytest.param(path.parent, id=str(path.parent.relative_to(EXAMPLES[0].parent)))
            for path in sorted(EXAMPLES[0].parent.glob("overlays/*/kustomization.yaml"))]


def objects(path):
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


def connections(example, folder):
    """The connections file that the chart makes of the example's values, with its secrets in this folder."""
    values = yaml.safe_load((example / "backlog-values.yaml").read_text())
    text = render(values)["ConfigMap"]["data"]["connections.yaml"]
    for path in re.findall(r"/etc/backlog/secrets/[^\s\"']+", text):
        local = folder / path.lstrip("/")
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_text("secret")
    return text.replace("/etc/backlog/secrets/", f"{folder}/etc/backlog/secrets/")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_backlog_check_accepts_the_scaled_objects(example, tmp_path):
    paths = [path for path in example.glob("manifests/*.yaml")
             if any(item["kind"] in ("ScaledObject", "ScaledJob") for item in objects(path))]
    assert paths
    config = tmp_path / "connections.yaml"
    config.write_text(connections(example, tmp_path))
    done = subprocess.run([binary(), "check", "--strict", "--config", config, *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "0 errors, 0 warnings" in done.stdout, done.stdout


@pytest.mark.parametrize("path", MANIFESTS)
def test_the_schemas_accept_each_object(path):
    for item in objects(path):
        assert mistakes(item) == []


def containers(item):
    """Every container in an object, with the security context that the kubelet makes of its own and its pod's."""
    if isinstance(item, list):
        for child in item:
            yield from containers(child)
    elif isinstance(item, dict):
        for key in ("initContainers", "containers"):
            for container in item.get(key) or ():
                if "image" in container:  # else it is an overlay's patch
                    yield container["image"], {**item.get("securityContext", {}), **container.get("securityContext", {})}
        for child in item.values():
            yield from containers(child)


def users_of_images():
    """The USER of each image that examples/up builds."""
    users = {}
    for cluster in EXAMPLES[0].parent.glob("*/cluster"):
        for image, folder in re.findall(r"([-a-z]+)=(examples/[-a-z/]+)", cluster.read_text()):
            last = pathlib.Path(REPOSITORY, folder, "Dockerfile").read_text().split("\nFROM ")[-1]
            users[f"{image}:latest"] = (re.findall(r"^USER (\S+)$", last, re.MULTILINE) or [None])[-1]
    return users


def test_the_kubelet_can_tell_that_a_container_does_not_run_as_root(tmp_path):
    """runAsNonRoot needs a number: in the manifest, or in an image of this repository. It refuses an image with a name."""
    folder = EXAMPLES[0].parent
    found = [item for path in sorted(folder.rglob("*.yaml")) if "templates" not in path.parts and "node_modules" not in path.parts
             for item in objects(path)]
    found += render_all(None, "--api-versions", "autoscaling.k8s.io/v1", chart=build_umbrella(tmp_path))
    for values in sorted(folder.glob("*/values*.yaml")):
        if values.parent.name != "umbrella":
            found += render_all(None, "--values", values.parent / "values.yaml", "--values", values, chart=WORKER)
    users, checked = users_of_images(), set()
    for image, context in containers(found):
        if context.get("runAsNonRoot"):
            checked.add(image)
            user = str(context.get("runAsUser", users.get(image)))
            assert user.isdigit() and user != "0", f"{image}: its user is {user}: set runAsUser"
    assert {"prom/prometheus:v3.5.0", "grafana/grafana:12.2.0"} | users.keys() <= checked


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_object_says_its_namespace_which_is_created_first(example):
    found = [item for path in sorted(example.glob("manifests/*.yaml")) for item in objects(path)]
    assert found[0]["kind"] == "Namespace"
    name = found[0]["metadata"]["name"]
    for item in found[1:]:
        assert item["metadata"]["namespace"] == name, f"{item['kind']} {item['metadata']['name']}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_adds_its_connections_to_an_installation_and_changes_nothing_else(example):
    text = (example / "backlog-values.yaml").read_text()
    values = yaml.safe_load(text)
    assert values.keys() == {"connections"}
    for name, connection in values["connections"].items():
        assert name.startswith("example-") and connection.get("secret", name).startswith("example-")
    command = "helm upgrade backlog charts/backlog -n keda --reset-then-reuse-values -f examples"
    assert f"{command}/{example.name}/backlog-values.yaml" in text
    assert "helm upgrade --install backlog" not in text + (example / "README.md").read_text()


def test_the_examples_and_an_installation_stand_beside_each_other():
    installed = merge(ORDERS, {"image": {"repository": "registry.example/backlog"}})
    added = [yaml.safe_load((example / "backlog-values.yaml").read_text()) for example in EXAMPLES]
    written = yaml.safe_load(render(merge(installed, *added))["ConfigMap"]["data"]["connections.yaml"])["connections"]
    assert len(written) == 1 + sum(len(values["connections"]) for values in added)
    assert written["orders"] == ORDERS["connections"]["orders"]
MONITORING = sorted(pathlib.Path(REPOSITORY, "examples", "common", "monitoring").glob("*.yaml"))


@pytest.mark.parametrize("path", MONITORING, ids=lambda path: path.name)
def test_the_schemas_accept_prometheus_and_grafana_of_all_examples(path):
    for item in objects(path):
        assert mistakes(item) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_pods_with_metrics_are_scraped_by_the_prometheus_of_all_examples(example):
    found = 0
    for item in (item for path in sorted(example.glob("manifests/*.yaml")) for item in objects(path) if item["kind"] in ("Deployment", "StatefulSet")):
        pod = item["spec"]["template"]
        for port in (port for container in pod["spec"]["containers"] for port in container.get("ports", []) if port["name"] == "metrics"):
            annotations = pod["metadata"].get("annotations", {})
            found += 1
            assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port["containerPort"])}, item["metadata"]["name"]
    assert found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_forward_opens_each_port_once(example):
    script = example.parent / "forward"
    always = re.findall(r'^    "\S+?=(\d+):\d+=', script.read_text(), re.MULTILINE)
    printed = subprocess.run(["bash", "-c", '. "$0" && printf "%s\n" "${forwards[@]}"', example / "cluster"], check=True, stdout=subprocess.PIPE,
                             text=True).stdout
    own = re.findall(r"=(\d+):\d+=", printed)
    assert own and len(always) == 3 and len(set(own + always)) == len(own + always)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_forward_prints_the_login_of_rabbitmqs_page(example):
    printed = re.findall(r"RabbitMQ's own page \((\S+), ([^)\s]+)\)", (example / "cluster").read_text())
    secrets = [item["stringData"] for path in example.glob("manifests/rabbitmq.yaml") for item in objects(path) if item["kind"] == "Secret"]
    assert printed == [(secret["username"], secret["password"]) for secret in secrets]


def test_grafana_has_the_dashboard_of_each_example():
    grafana = pathlib.Path(REPOSITORY, "examples", "common", "monitoring", "grafana.yaml").read_text()
    assert re.findall(r"dashboard-([-a-z]+), optional: true", grafana) == [example.name for example in EXAMPLES]


def test_a_dashboard_has_the_namespaces_of_its_own_workers():
    """And none of another example."""
    targets = {example: next(item["spec"]["scaleTargetRef"]["name"] for item in objects(example / "manifests" / "scaledobject.yaml"))
               for example in EXAMPLES}
    for example in EXAMPLES:
        [text] = {variable["query"]["query"] for dashboard in dashboards(example) for variable in dashboard["templating"]["list"]
                  if variable["name"] == "namespace"}
        pods = re.fullmatch(r'label_values\(worker_jobs_total\{pod=~"(.+)"\}, namespace\)', text)[1]
        assert [other for other, target in targets.items() if re.fullmatch(pods, f"{target}-7d9f-x2")] == [example]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_script_of_a_cluster_knows_the_example(example):
    """examples/up builds the images that the manifests name, in the namespace that they have."""
    text = (example / "cluster").read_text()
    found = [item for path in sorted(example.glob("manifests/*.yaml")) for item in objects(path)]
    assert f"\nnamespace={found[0]['metadata']['name']}\n" in text
    named = set(re.findall(r"image: ([-a-z]+):latest", "".join(path.read_text() for path in example.glob("manifests/*.yaml"))))
    assert named == set(re.findall(r"([-a-z]+)=examples/", text))
    for folder in re.findall(r"=(examples/[-a-z/]+)", text):
        assert pathlib.Path(REPOSITORY, folder, "Dockerfile").exists()


@pytest.mark.parametrize("folder", OVERLAYS)
def test_an_overlay_is_what_its_example_has_and_more(folder):
    """What kustomize builds passes the schemas, too, and has every object of the example's manifests."""
    text = subprocess.run([need("kustomize"), "build", folder], check=True, stdout=subprocess.PIPE, text=True).stdout
    built = {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text)}
    for item in built.values():
        assert mistakes(item) == []
    example = folder
    while (example / "kustomization.yaml").exists() and example not in EXAMPLES:  # an overlay may be one of another
        example = (example / yaml.safe_load((example / "kustomization.yaml").read_text())["resources"][0]).resolve()
    plain = {(item["kind"], item["metadata"]["name"]): item for path in example.glob("manifests/*.yaml") for item in objects(path)}
    assert plain.keys() <= built.keys()
    if folder.name.endswith("-gpu"):
        assert built["PersistentVolumeClaim", "videos"]["spec"]["accessModes"] == ["ReadWriteMany"]
    if folder.name == "video-rendering-argo-gpu":
        frames, *others = sorted(built["WorkflowTemplate", "render-video"]["spec"]["templates"], key=lambda template: template["name"] != "frames")
        assert frames["container"]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1}
        assert frames["nodeSelector"] == {"nvidia.com/gpu.present": "true"} and frames["tolerations"][0]["key"] == "nvidia.com/gpu"
        assert {"name": "FFMPEG_ENCODER", "value": "h264_nvenc"} in frames["container"]["env"]
        assert "nvidia" not in str(others) and "nvidia" not in str(built["Deployment", "video-renderer"])
    if folder.name == "video-rendering-gpu":
        worker = built["Deployment", "video-renderer"]["spec"]["template"]["spec"]
        assert worker["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1}
        assert worker["tolerations"] and worker["nodeSelector"]
        assert {"name": "KAFKA_BOOTSTRAP", "value": "kafka.rendering.svc:9092"} in worker["containers"][0]["env"]
