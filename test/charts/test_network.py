"""Who may connect to the pods and where they may connect to, and the certificates on both sides."""

import json

import pytest
import yaml

from support.charts.chart import CERT_MANAGER, IN_PRODUCTION, MUTUAL, PRODUCTION, flags_of, pod_of, render, render_all


def rules_of(objects, kind="ingress"):
    return objects["NetworkPolicy"]["spec"][kind]


def test_only_kedas_operator_and_the_monitoring_may_connect():
    objects = render({"tests": {"enabled": False}})
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == objects["Deployment"]["spec"]["selector"]
    assert objects["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress"]
    assert rules_of(objects) == [
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}},
                   "podSelector": {"matchLabels": {"app": "keda-operator"}}},
                  {"podSelector": objects["Deployment"]["spec"]["selector"]}],  # other replicas
         "ports": [{"port": "grpc", "protocol": "TCP"}]},
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
         "ports": [{"port": "http", "protocol": "TCP"}]}]
    names = {port["name"] for port in pod_of(objects)["containers"][0]["ports"]}
    assert {"grpc", "http", "probes"} == names  # the kubelet's probes come from the node, which no policy stops


def test_another_operator_of_keda_needs_the_default_label_to_be_removed():
    def labels_of(values):
        return rules_of(render({"keda": {"podLabels": values}}))[0]["from"][0]["podSelector"]["matchLabels"]

    assert labels_of({"app": None, "component": "operator"}) == {"component": "operator"}
    assert labels_of({"component": "operator"}) == {"app": "keda-operator", "component": "operator"}


def test_the_pods_of_helm_test_may_connect_and_are_none_of_the_servers():
    objects = render()
    labels = objects["Pod"]["metadata"]["labels"]
    _, _, selector = rules_of(objects)[0]["from"]
    assert selector["podSelector"]["matchLabels"].items() <= labels.items()
    assert "namespaceSelector" not in selector  # the release's own
    assert not objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_without_a_monitoring_namespace_the_http_port_is_closed():
    ingress = rules_of(render({"networkPolicy": {"monitoring": {"namespace": ""}}}))
    assert [port["port"] for rule in ingress for port in rule["ports"]] == ["grpc"]


def test_egress_reaches_dns_and_what_the_values_name():
    brokers = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5672, "protocol": "TCP"}]}
    objects = render({"networkPolicy": {"egress": {"enabled": True, "to": [brokers]}}})
    assert objects["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    dns, peers, named = rules_of(objects, "egress")
    assert peers == {"to": [{"podSelector": objects["Deployment"]["spec"]["selector"]}], "ports": [{"port": "grpc", "protocol": "TCP"}]}
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                          "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert named == brokers


def certificates_of(values):
    return {item["metadata"]["name"]: item for item in render_all(values) if item["kind"] == "Certificate"}


def test_cert_manager_issues_one_certificate_for_the_server_and_one_for_keda():
    issued = certificates_of(CERT_MANAGER)
    assert set(issued) == {"release-backlog-tls", "release-backlog-client"}
    server, client = (issued[f"release-backlog-{name}"] for name in ("tls", "client"))
    assert server["metadata"]["namespace"] == "scaling"
    assert "release-backlog.scaling.svc" in server["spec"]["dnsNames"]  # what a scalerAddress names
    assert "client auth" in server["spec"]["usages"]  # for other replicas
    without = certificates_of({**CERT_MANAGER, "peers": {"enabled": False}})["release-backlog-tls"]
    assert "client auth" not in without["spec"]["usages"]
    assert "server auth" in server["spec"]["usages"] and "client auth" in client["spec"]["usages"]
    assert client["metadata"]["namespace"] == "keda"  # where a ClusterTriggerAuthentication reads
    assert client["spec"]["dnsNames"] == ["keda-operator"]
    for certificate in (server, client):
        assert certificate["spec"]["issuerRef"] == {"name": "platform", "kind": "ClusterIssuer", "group": "cert-manager.io"}


def test_the_certificates_are_the_ones_that_the_server_and_keda_use():
    objects = render(CERT_MANAGER)
    flags = flags_of(objects)
    assert flags["--tls-client-names"] == "keda-operator,release-backlog.scaling.svc"
    secrets = {volume["name"]: volume["secret"] for volume in pod_of(objects)["volumes"] if "secret" in volume}
    issued = certificates_of(CERT_MANAGER)
    server, client = (issued[f"release-backlog-{name}"]["spec"]["secretName"] for name in ("tls", "client"))
    assert secrets["tls"]["secretName"] == secrets["client-ca"]["secretName"] == server
    assert secrets["client-ca"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    references = objects["ClusterTriggerAuthentication"]["spec"]["secretTargetRef"]
    assert {(found["parameter"], found["name"], found["key"]) for found in references} == {
        ("caCert", client, "ca.crt"), ("tlsClientCert", client, "tls.crt"), ("tlsClientKey", client, "tls.key")}


def test_beside_keda_an_authority_of_the_release_issues_both():
    values = {"keda": {"namespace": "scaling"}, "tls": {"certManager": {"enabled": True}}}
    issued = certificates_of(values)
    issuers = {item["metadata"]["name"]: item["spec"] for item in render_all(values) if item["kind"] == "Issuer"}
    authority = issued.pop("release-backlog-ca")
    assert authority["spec"]["isCA"] is True
    assert authority["spec"]["issuerRef"]["name"] == "release-backlog-self-signed" and "selfSigned" in issuers["release-backlog-self-signed"]
    assert issuers["release-backlog-ca"] == {"ca": {"secretName": authority["spec"]["secretName"]}}
    assert len(issued) == 2
    for certificate in issued.values():
        assert certificate["spec"]["issuerRef"] == {"name": "release-backlog-ca", "kind": "Issuer", "group": "cert-manager.io"}


def test_without_a_certificate_for_clients_there_is_no_mtls():
    values = {"tls": {"certManager": {"enabled": True, "client": {"enabled": False}}}}
    flags = flags_of(render(values))
    assert "--tls-cert" in flags and "--tls-client-ca" not in flags and "--tls-client-names" not in flags
    assert "release-backlog-client" not in certificates_of(values)


def test_the_authentication_of_a_secret_of_yours():
    tls = {**MUTUAL["tls"], "clusterTriggerAuthentication": {"create": True, "name": "mine", "secret": "keda-client"}}
    found = render({"tls": tls})["ClusterTriggerAuthentication"]
    assert found["metadata"]["name"] == "mine" and "namespace" not in found["metadata"]
    assert {reference["name"] for reference in found["spec"]["secretTargetRef"]} == {"keda-client"}
    tls = {"secret": "backlog-tls", "clusterTriggerAuthentication": {"create": True, "secret": "keda-client"}}
    references = render({"tls": tls})["ClusterTriggerAuthentication"]["spec"]["secretTargetRef"]
    assert [reference["parameter"] for reference in references] == ["caCert"]


def test_the_production_profile_is_closed():
    objects = render(IN_PRODUCTION, "--values", PRODUCTION)
    flags = flags_of(objects)
    assert flags["--deny-inline-connections"] is True
    assert flags["--tls-client-ca"] and flags["--tls-client-names"] == "keda-operator,release-backlog.scaling.svc"
    assert objects["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert {spread["whenUnsatisfiable"] for spread in pod_of(objects)["topologySpreadConstraints"]
            if spread["topologyKey"] == "kubernetes.io/hostname"} == {"DoNotSchedule"}


WORKERS_RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale", "statefulsets/scale"], "verbs": ["get"]}]


def test_each_namespace_whose_workers_are_shown_gives_the_rights_to_read_them():
    objects = render_all({"workers": {"namespaces": ["shop", "billing"]}})
    roles = [item for item in objects if item["kind"] == "Role"]
    assert [role["metadata"]["namespace"] for role in roles] == ["shop", "billing"]
    assert all(role["rules"] == WORKERS_RULES for role in roles)
    account = next(item["metadata"] for item in objects if item["kind"] == "ServiceAccount")
    bindings = [item for item in objects if item["kind"] == "RoleBinding"]
    assert [binding["metadata"]["namespace"] for binding in bindings] == ["shop", "billing"]
    for binding in bindings:
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                                      "name": roles[0]["metadata"]["name"]}
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": "scaling"}]
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    arguments = pod["containers"][0]["args"]
    assert arguments[arguments.index("--workers") + 1] == "shop,billing"
    assert yaml.safe_dump(objects).count("ClusterRole") == 0


def test_by_default_the_server_has_no_right_and_no_token():
    objects = render_all()
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & {item["kind"] for item in objects}
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "--workers" not in pod["containers"][0]["args"]


def test_addresses_beside_a_cluster_wide_authentication_are_the_servers():
    listed = {"redis": {"hosts": ["redis.shop.svc:6379", "*.cache.svc"], "namespaces": ["shop"]}}
    objects = render_all({"kubernetes": {"enabled": True, "clusterAuthentications": listed}})
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    assert json.loads(arguments[arguments.index("--kubernetes-cluster-authentications") + 1]) == listed


def test_credentials_of_triggers_give_the_rights_that_are_listed():
    objects = render_all({"kubernetes": {"enabled": True, "secrets": {"shop": ["rabbitmq"], "keda": ["shared"]},
                                         "configMaps": {"shop": ["hosts"]}, "namespaces": ["all"]}})
    verbs = ["get", "list", "watch"]
    cluster = next(item for item in objects if item["kind"] == "ClusterRole")
    assert cluster["rules"] == [{"apiGroups": ["keda.sh"], "verbs": verbs, "resources": [
        "scaledobjects", "scaledjobs", "triggerauthentications", "clustertriggerauthentications"]}]

    def rule(kind, names):
        return {"apiGroups": [""], "resources": [kind], "resourceNames": names, "verbs": verbs}

    roles = {item["metadata"]["namespace"]: item["rules"] for item in objects if item["kind"] == "Role"}
    assert roles == {"all": [{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": verbs}],
                     "keda": [rule("secrets", ["shared"])],
                     "shop": [rule("secrets", ["rabbitmq"]), rule("configmaps", ["hosts"])]}
    account = next(item["metadata"] for item in objects if item["kind"] == "ServiceAccount")
    bindings = [item for item in objects if item["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    assert len(bindings) == 4
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": "scaling"}]
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    arguments = pod["containers"][0]["args"]
    assert "--kubernetes" in arguments
    assert arguments[arguments.index("--kubernetes-cluster-namespace") + 1] == "keda"


@pytest.mark.parametrize("namespace", ["keda", "scaling-system"])
def test_secrets_of_cluster_wide_authentications_are_read_by_name_only(namespace):
    """They are in KEDA's namespace, beside KEDA's own."""
    rights = {"enabled": True, "secrets": {namespace: ["shared"], "shop": ["rabbitmq"]},
              "configMaps": {namespace: ["hosts"]}, "namespaces": ["all"]}
    objects = render_all({"kubernetes": rights, "keda": {"namespace": namespace}})
    rules = [(item["metadata"].get("namespace"), rule) for item in objects if item["kind"] in ("Role", "ClusterRole")
             for rule in item["rules"] if {"secrets", "configmaps"} & set(rule["resources"])]
    found = {rule["resources"][0]: rule["resourceNames"] for where, rule in rules if where == namespace}
    assert found == {"secrets": ["shared"], "configmaps": ["hosts"]}
    assert None not in {where for where, _rule in rules}, "a right in all namespaces"


def test_the_right_to_read_hpas_is_one_of_its_own():
    objects = render_all({"kubernetes": {"enabled": True, "readHpas": True}})
    cluster = next(item for item in objects if item["kind"] == "ClusterRole")
    assert cluster["rules"][1:] == [{"apiGroups": ["autoscaling"], "verbs": ["get"], "resources": ["horizontalpodautoscalers"]}]
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert "--kubernetes-hpa" in pod["containers"][0]["args"]


def test_without_it_there_is_no_right_and_no_token():
    objects = render_all({})
    assert not [item for item in objects if "Role" in item["kind"]]
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not [word for word in pod["containers"][0]["args"] if word.startswith("--kubernetes")]
