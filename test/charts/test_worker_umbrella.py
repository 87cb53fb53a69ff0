"""examples/umbrella: a backend that KEDA scales, a frontend with an HPA and a Redis with a VPA, in one release."""

import pathlib

import pytest
import yaml

from support.charts.chart import KUBERNETES, helm, render_all
from support.kubernetes.kubernetes_schemas import mistakes
from support.charts.worker_chart import build_umbrella, check
from support.server.server import REPOSITORY


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory):
    return build_umbrella(tmp_path_factory.mktemp("repository"))


def of_umbrella(umbrella, values=None, *arguments):
    objects = render_all(values or {}, *arguments, chart=umbrella)
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def manifest(name):
    """The objects of a file of examples/memes-nats, by kind."""
    text = pathlib.Path(REPOSITORY, "examples", "memes-nats", "manifests", f"{name}.yaml").read_text()
    return {item["kind"]: item for item in yaml.safe_load_all(text)}


def test_the_umbrella_has_each_kind_of_autoscaling_once(umbrella, tmp_path):
    objects = of_umbrella(umbrella, {}, "--api-versions", "autoscaling.k8s.io/v1")
    scaled = objects["ScaledObject", "release-backend"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "release-backend"
    assert scaled["triggers"][0]["metadata"]["servers"] == "nats://release-nats.scaling.svc:4222"
    metadata = scaled["triggers"][0]["metadata"]
    assert (metadata["lagThreshold"], metadata.get("activationLagThreshold", "0")) == ("5", "0")
    assert scaled["minReplicaCount"] == 0
    hpa = objects["HorizontalPodAutoscaler", "release-frontend"]["spec"]
    assert [(metric["resource"]["name"], metric["resource"]["target"]["averageUtilization"]) for metric in hpa["metrics"]] == [
        ("cpu", 30), ("memory", 50)]
    assert (hpa["behavior"]["scaleUp"], hpa["behavior"]["scaleDown"]) == ({"stabilizationWindowSeconds": 0}, {"stabilizationWindowSeconds": 300})
    for part, resources in {"frontend": ("10m", "100m", "64Mi", "128Mi"), "backend": ("50m", "500m", "64Mi", "256Mi")}.items():
        found = objects["Deployment", f"release-{part}"]["spec"]["template"]["spec"]["containers"][0]["resources"]
        assert found == {"requests": {"cpu": resources[0], "memory": resources[2]}, "limits": {"cpu": resources[1], "memory": resources[3]}}
    service = objects["Service", "release-frontend"]["spec"]["selector"]
    labels = objects["Deployment", "release-frontend"]["spec"]["template"]["metadata"]["labels"]
    assert service.items() <= labels.items()
    vpa = objects["VerticalPodAutoscaler", "release-redis"]["spec"]
    assert vpa["targetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "release-redis"}
    policy, = vpa["resourcePolicy"]["containerPolicies"]
    by_hand = manifest("redis")
    assert vpa["resourcePolicy"] == by_hand["VerticalPodAutoscaler"]["spec"]["resourcePolicy"] and policy["controlledValues"] == "RequestsOnly"
    redis, by_hand = (item["spec"]["template"]["spec"] for item in (objects["StatefulSet", "release-redis"], by_hand["StatefulSet"]))
    for field in ("image", "args", "resources"):
        assert redis["containers"][0][field] == by_hand["containers"][0][field]
    assert redis["volumes"] == by_hand["volumes"]
    assert policy["minAllowed"] == {"cpu": "100m", "memory": "512Mi"}
    assert policy["maxAllowed"] == {"cpu": "1000m", "memory": "1Gi"}
    scalers = [key for key in objects if key[0] in ("ScaledObject", "HorizontalPodAutoscaler", "VerticalPodAutoscaler")]
    targets = [(objects[key]["spec"].get("scaleTargetRef") or objects[key]["spec"]["targetRef"])["name"] for key in scalers]
    assert sorted(targets) == ["release-backend", "release-frontend", "release-redis"]
    assert [mistake for item in objects.values() for mistake in mistakes(item)] == []
    assert check(objects.values(), tmp_path, "--strict").returncode == 0


@pytest.mark.parametrize("part, file", [("frontend", "frontend"), ("backend", "worker")])
def test_the_umbrella_has_the_numbers_of_the_manifests(umbrella, part, file):
    objects, by_hand = of_umbrella(umbrella), manifest(file)
    pods, pods_by_hand = (item["spec"]["template"]["spec"] for item in (objects["Deployment", f"release-{part}"], by_hand["Deployment"]))
    assert pods["containers"][0]["resources"] == pods_by_hand["containers"][0]["resources"]
    if part == "backend":
        assert pods["terminationGracePeriodSeconds"] == pods_by_hand["terminationGracePeriodSeconds"]
    else:
        hpa, written = objects["HorizontalPodAutoscaler", "release-frontend"]["spec"], by_hand["HorizontalPodAutoscaler"]["spec"]
        for field in ("minReplicas", "maxReplicas", "metrics", "behavior"):
            assert hpa[field] == written[field]


def test_the_umbrella_can_leave_a_part_out(umbrella):
    objects = of_umbrella(umbrella, {"frontend": {"enabled": False}, "global": {"imageRegistry": "mirror.example"}})
    assert ("Deployment", "release-frontend") not in objects and ("Deployment", "release-backend") in objects
    container, = objects["Deployment", "release-backend"]["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("mirror.example/")
    assert {"name": "REDIS_URL", "value": "redis://release-redis:6379"} in container["env"]
    assert ("VerticalPodAutoscaler", "release-redis") not in objects  # this cluster knows no VPA


def test_a_mistake_in_a_subchart_is_named(umbrella):
    result = helm("template", "release", umbrella, "--kube-version", KUBERNETES,
                  values={"backend": {"keda": {"triggers": {"requests": {"lagTreshold": 5}}}}})
    assert result.returncode != 0 and "lagTreshold" in result.stderr


def test_helm_lint_finds_nothing_in_the_umbrella(umbrella):
    result = helm("lint", "--strict", umbrella, values={})
    assert result.returncode == 0 and "Fail:" not in result.stderr, result.stdout + result.stderr
