"""Every value once, each profile, and all together: helm finds nothing wrong, and Kubernetes' schemas neither."""

import pytest
import yaml

from support.charts.chart import CHART, IN_PRODUCTION, NAME, PRODUCTION, helm, merge, pod_of, render, render_all
from support.charts.chart_values import MATRIX, TOGGLES
from support.kubernetes.kubernetes_schemas import mistakes


@pytest.mark.parametrize("name", MATRIX)
def test_helm_lint_finds_nothing(name):
    result = helm("lint", "--strict", CHART, values=MATRIX[name])
    assert result.returncode == 0 and "[WARNING]" not in result.stdout, result.stdout + result.stderr


class Strict(yaml.SafeLoader):
    """helm and YAML's usual readers take the last one of two equal keys; a strict API server refuses the object."""


def mapping(loader, node):
    keys = [key.value for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"{keys} has one twice"
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Strict.add_constructor("tag:yaml.org,2002:map", mapping)


@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_schemas_find_nothing_and_no_key_stands_twice(name):
    result = helm("template", "release", CHART, "--namespace", "scaling", values=MATRIX[name])
    objects = [found for found in yaml.load_all(result.stdout, Strict) if found]
    assert objects and [mistake for item in objects for mistake in mistakes(item)] == [], result.stderr


def test_the_production_profile_is_sound():
    objects = render_all(IN_PRODUCTION, "--values", PRODUCTION)
    assert [mistake for item in objects for mistake in mistakes(item)] == []
    result = helm("lint", "--strict", CHART, "--values", PRODUCTION, values=IN_PRODUCTION)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schemas_find_a_mistake():
    """So that the tests above can fail."""
    deployment = render()["Deployment"]
    deployment["spec"]["replica"] = 2
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "grpc"
    assert mistakes(deployment) == [
        "Deployment release-backlog.spec.template.spec.containers[0].ports[0].containerPort: 'grpc' is no integer",
        "Deployment release-backlog.spec: there is no field replica"]
    monitor = render({"serviceMonitor": {"enabled": True, "endpoint": {"intervall": "1s"}}})["ServiceMonitor"]
    assert mistakes(monitor) == ["ServiceMonitor release-backlog.spec.endpoints[0]: there is no field intervall"]


@pytest.mark.parametrize("more", [{}, {"serviceMonitor": {"enabled": False}, **TOGGLES["pod monitor"]}], ids=["", "pod monitor"])
def test_common_labels_and_annotations_are_on_everything(more):
    everything = merge(MATRIX["everything"], more, {"commonLabels": {"team": "platform"}, "commonAnnotations": {"owner": "us"}})
    for item in render_all(everything):
        if not item["metadata"]["name"].endswith("-more"):
            assert item["metadata"]["labels"]["team"] == "platform", item["kind"]
            assert item["metadata"]["annotations"]["owner"] == "us", item["kind"]
    pods = render(everything)["Deployment"]["spec"]["template"]["metadata"]
    assert (pods["labels"]["team"], pods["annotations"]["owner"]) == ("platform", "us")


def test_the_namespace_can_be_another_one():
    for item in render_all({**MATRIX["everything"], "namespaceOverride": "elsewhere", "keda": {"namespace": "keda"}}):
        assert item["metadata"].get("namespace") in ("elsewhere", "monitoring", "keda", None), item["kind"]
    assert render({"namespaceOverride": "elsewhere"})["Service"]["metadata"]["namespace"] == "elsewhere"


@pytest.mark.parametrize("values, image", [
    ({}, "backlog:0.1.0"),
    ({"image": {"registry": "registry.example", "tag": "2"}}, "registry.example/backlog:2"),
    ({"image": {"repository": "registry.example/a/backlog", "digest": "sha256:" + "a" * 64}},
     "registry.example/a/backlog@sha256:" + "a" * 64),
    ({"global": {"imageRegistry": "mirror.example"}, "image": {"registry": "registry.example"}}, "mirror.example/backlog:0.1.0"),
], ids=str)
def test_the_image_is_what_the_values_say(values, image):
    assert pod_of(render(values))["containers"][0]["image"] == image


def test_objects_of_yours_are_templates():
    more = next(item for item in render_all(TOGGLES["more"]) if item["metadata"]["name"] == "release-more")
    assert more["data"]["address"] == f"{NAME}.scaling.svc:9090"


def test_an_older_kubernetes_gets_what_it_knows():
    assert "ValidatingAdmissionPolicy" not in render({}, kubernetes="1.29.0")
    assert "ValidatingAdmissionPolicy" in render({}, kubernetes="1.30.1-gke.1")
    assert "kubeVersion" in helm("template", "release", CHART, kubernetes="1.26.0").stderr
