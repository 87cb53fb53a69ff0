"""The chart's alerts and dashboards, in a real Prometheus that scrapes a real server."""

import json
import os
import re
import subprocess

import grpc
import pytest
import requests
import yaml

from support.certificates import Authority, make_certificate, make_root
from support.charts.chart import CHART, NAME, render, render_all
from support.clients.grpc_client import Client
from support.kubernetes.fake_kubernetes import FakeKubernetes
from support.kubernetes.pod_server import PodServer
from support.process import need, wait_until
from support.brokers.prometheus import Prometheus
from support.brokers.redis import Redis
from support.server.server import Server

SECONDS = 60
SERIES = {"namespace": "scaling", "job": NAME}  # as the monitors label them
OTHERS = ("keda_", "kube_")                     # metrics of KEDA and kube-state-metrics
OURS = ",".join(f'{name}="{value}"' for name, value in SERIES.items())


with open(os.path.join(CHART, "files", "monitoring.yaml")) as file:
    MONITORING = yaml.safe_load(file)
ALERTS = [pytest.param(alert["expr"].replace("$series", OURS).replace("$replicas", "2"), id=alert["alert"]) for alert in MONITORING["alerts"]]
PANELS = [pytest.param(query["expr"].replace("$series", OURS).replace("$__rate_interval", "1m"),
                       id=f"{page['title']}: {panel['title']}: {query['legend']}")
          for page in MONITORING["dashboards"].values() for panel in page["panels"] for query in panel["queries"]]


def rules():
    return render({"prometheusRule": {"enabled": True}})["PrometheusRule"]["spec"]


def test_the_chart_has_the_dashboards_with_their_queries():
    values = {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "Scaling"}}}
    pages = [item for item in render_all(values) if item["metadata"]["labels"].get("grafana_dashboard") == "1"]
    assert len(pages) == len(MONITORING["dashboards"]) == 3
    shown = []
    for item in pages:
        assert item["metadata"]["annotations"] == {"grafana_folder": "Scaling"}
        [(name, text)] = item["data"].items()
        page = json.loads(text)
        assert name.startswith("release-backlog.scaling-") and name.endswith(".json")
        assert len({panel["id"] for panel in page["panels"]}) == len(page["panels"])
        assert [variable["name"] for variable in page["templating"]["list"]] == ["datasource", "namespace", "job"]
        for panel in page["panels"]:
            assert panel["gridPos"]["x"] in (0, 12)
            shown += [target["expr"].replace("$namespace", "scaling").replace("$job", NAME).replace("$__rate_interval", "1m")
                      .replace("=~", "=") for target in panel["targets"]]
    assert sorted(shown) == sorted(panel.values[0].replace("=~", "=") for panel in PANELS)
    uids = [json.loads(text)["uid"] for item in pages for text in item["data"].values()]
    assert len(set(uids)) == 3 and all(len(uid) <= 40 for uid in uids)


def test_the_chart_has_the_alerts_of_this_release():
    values = {"enabled": True, "ruleLabels": {"team": "platform"}, "disabled": ["BacklogCallsSlow"],
              "overrides": {"BacklogDown": {"for": "9m", "labels": {"severity": "page"}}},
              "extraRules": [{"record": "backlog:triggers", "expr": "sum(backlog_triggers)"}]}
    group, = render({"prometheusRule": values})["PrometheusRule"]["spec"]["groups"]
    found = {rule.get("alert", rule.get("record")): rule for rule in group["rules"]}
    assert set(found) == {alert["alert"] for alert in MONITORING["alerts"]} - {"BacklogCallsSlow"} | {"backlog:triggers"}
    assert found["BacklogDown"]["for"] == "9m"
    assert found["BacklogDown"]["labels"] == {"severity": "page", "team": "platform"}
    assert 'namespace="scaling",job="release-backlog"' in found["BacklogReloadFailed"]["expr"]
    other = render({"prometheusRule": {"enabled": True, "selector": 'cluster="a"'}})["PrometheusRule"]
    assert '{cluster="a"}' in other["spec"]["groups"][0]["rules"][0]["expr"]
    assert "$series" not in yaml.safe_dump(other) and "$replicas" not in yaml.safe_dump(other)
    three = render({"replicaCount": 3, "prometheusRule": {"enabled": True}})["PrometheusRule"]["spec"]["groups"][0]["rules"]
    assert next(rule for rule in three if rule["alert"] == "BacklogReplicaDown")["expr"].endswith(" < 3")


class Stack:
    """A server with TLS that has measured, pushed, refused and failed, an idle one that reads Kubernetes, and a Prometheus that
    saw them do so."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        own, keda = self.authority.issue("own"), self.authority.issue("keda")
        self.redis = Redis()
        self.server = Server(interval="500ms", hold="1h", http=True, config="connections: {}", arguments=[
            "--tls-cert", own[0], "--tls-key", own[1], "--tls-client-ca", self.authority.certificate, "--all-in-agents"])
        self.files = self.authority.certificate, *keda
        (folder / "api").mkdir()
        make_root(folder / "api")
        make_certificate(folder / "api", "api")
        self.kubernetes = FakeKubernetes(folder / "api")
        self.reader = PodServer(folder / "api" / "ca.pem", self.kubernetes.server_port, self.kubernetes.token,
                                arguments=["--kubernetes"])

    def __enter__(self):
        for process in (self.redis, self.server, self.kubernetes, self.reader):
            process.__enter__()
        self.prometheus = Prometheus(rules=yaml.safe_dump(rules()), scrapes=[{
            "job_name": SERIES["job"], "static_configs": [{
                "targets": [f"127.0.0.1:{server.http_port}"],
                "labels": {"namespace": SERIES["namespace"], "pod": f"{NAME}-{i}"}}
                    for i, server in enumerate((self.server, self.reader))]}])
        self.prometheus.__enter__()
        self._exercise()
        return self

    def __exit__(self, *exception):
        for process in (self.prometheus, self.reader, self.kubernetes, self.server, self.redis):
            process.__exit__(*exception)

    def _exercise(self):
        root, certificate, key = (open(path, "rb").read() for path in self.files)
        credentials = grpc.ssl_channel_credentials(root, key, certificate)
        metadata = {"scaler": "redis", "address": self.redis.address, "listName": "videos", "listLength": "5"}
        with Client(self.server.port, credentials=credentials) as client, self.redis.connect() as redis:
            stream = client.stream_is_active(metadata)
            assert client.metrics(metadata).metricValue == 0
            self.scraped()
            redis.call("RPUSH", "videos", "one")
            assert next(iter(stream)).result
            for wrong in ({**metadata, "listLength": "five"}, {**metadata, "address": "127.0.0.1:1"}):
                with pytest.raises(grpc.RpcError):
                    client.metrics(wrong)
            self.scraped()
            self.redis.stop()
            wait_until(lambda: self.value('backlog_connections{state="failed"}') >= 2, SECONDS, "Redis is away")
            client.metrics(metadata)  # held
            stream.cancel()
            self.scraped()

    def scraped(self):
        """Prometheus has scraped twice since now, so that there are rates."""
        before = self.value("count_over_time(up[1h])")  # of two servers
        wait_until(lambda: self.value("count_over_time(up[1h])") >= before + 4, SECONDS, "two scrapes")

    def query(self, text):
        answer = requests.get(f"{self.prometheus.url()}/api/v1/query", params={"query": text}, timeout=SECONDS).json()
        assert answer["status"] == "success", f"{text}: {answer.get('error')}"
        return answer["data"]["result"]

    def value(self, text):
        return sum(float(row["value"][1]) for row in self.query(text))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def selectors(query):
    """Each metric of the query with its labels."""
    return re.findall(r"\b(?:backlog|process|keda|kube)_\w+(?:\{[^}]*\})?", query)


def alerts():
    return [rule for group in rules()["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("query", [*PANELS, *ALERTS])
def test_a_query_is_about_series_that_the_server_exports(stack, query):
    """With these labels, so that a renamed metric, label or value is found."""
    stack.query(query)
    found = [selector for selector in selectors(query) if not selector.startswith(OTHERS)]
    assert found or query.startswith(("sum by (exported_namespace", "sum by (namespace, horizontal")), query
    for selector in found:
        assert stack.query(selector), f"the server exports no {selector}"
        left_out = re.sub(r"!=(?=\")", "=", selector)
        assert stack.query(left_out), f"the server exports no {left_out}, so it is not left out"


@pytest.mark.parametrize("query", PANELS)
def test_a_panel_shows_something(stack, query):
    if not any(selector.startswith(OTHERS) for selector in selectors(query)):
        assert stack.query(query)


def test_prometheus_takes_the_rules_and_sees_the_outage(stack):
    def states():
        found = requests.get(f"{stack.prometheus.url()}/api/v1/rules", timeout=SECONDS).json()["data"]["groups"]
        return {rule["name"]: rule for group in found for rule in group["rules"]}
    wait_until(lambda: states()["BacklogConnectionFailed"]["state"] == "pending", SECONDS, "the alert is pending")
    found = states()
    assert set(found) == {rule["alert"] for rule in alerts()}
    assert {rule["health"] for rule in found.values()} == {"ok"}
    assert found["BacklogDown"]["state"] == "inactive"
    [alert] = found["BacklogConnectionFailed"]["alerts"]
    assert alert["labels"]["scaler"] == "redis" and alert["labels"]["namespace"] == "scaling"
    assert "redis failed" in alert["annotations"]["summary"]


LABELS = OURS + ',pod="a"'
SECOND = 'backlog_build_info{' + OURS + ',pod="b"}'
FRESH, REFUSED = ('backlog_answers_total{%%s,result="%s"}' % result for result in ("fresh", "refused"))
# What fires each alert: series with values a minute apart.
FIRES = {
    "BacklogReplicaDown": {SECOND: "1x5 stale"},
    "BacklogConnectionFailed": {'backlog_connections{%s,scaler="redis",state="failed",connection="orders"}': "1x120"},
    "BacklogQueriesFailing": {'backlog_queries{%s,scaler="redis",state="failing"}': "3x120"},
    "BacklogReadingsHeld": {'backlog_held_triggers{%s,scaler="redis",connection="orders"}': "1x120"},
    "BacklogHoldExpired": {'backlog_hold_expired_triggers{%s,scaler="redis",connection="orders"}': "1x120"},
    "BacklogAnswersRefused": {FRESH: "0+5994x120", REFUSED: "0+6x120"},   # 0.1 %, which the objective permits
    "BacklogErrorBudgetBurnFast": {FRESH: "0+98x120", REFUSED: "0+2x120"},
    "BacklogErrorBudgetBurnSlow": {FRESH: "0+99x120", REFUSED: "0+1x120"},
    "BacklogTriggerInvalid": {'backlog_calls_total{%s,method="GetMetrics",code="INVALID_ARGUMENT"}': "0+6x120"},
    "BacklogCallsSlow": {'backlog_call_duration_seconds_bucket{%s,method="GetMetrics",le="1"}': "0x120",
                         'backlog_call_duration_seconds_bucket{%s,method="GetMetrics",le="10"}': "0+6x120",
                         'backlog_call_duration_seconds_bucket{%s,method="GetMetrics",le="+Inf"}': "0+6x120"},
    "BacklogReloadFailed": {'backlog_last_reload_successful{%s,file="connections"}': "0x120"},
    "BacklogConnectionInvalid": {"backlog_invalid_connections{%s}": "2x120"},
    "BacklogCredentialsRefused": {'backlog_trigger_credentials{%s,state="refused"}': "1x120"},
    "BacklogCertificateExpires": {"backlog_certificate_expiry_timestamp_seconds{%s}": "100000x120"},
    "BacklogTLSHandshakesFailing": {"backlog_tls_handshake_failures_total{%s}": "0+6x120"},
    "BacklogClientLimitReached": {'backlog_limit_hits_total{%s,limit="calls"}': "0+1x120"},
    "BacklogPushSubscribeFailing": {'backlog_push_subscribe_failures_total{%s,scaler="redis"}': "0+1x120"},
}
# Which others fire with it.
ALONG = {"BacklogErrorBudgetBurnFast": {"BacklogErrorBudgetBurnSlow", "BacklogAnswersRefused"},
         "BacklogErrorBudgetBurnSlow": {"BacklogAnswersRefused"}}
MINUTES = 90
HEALTHY = {"backlog_build_info{%s}": "1x120", SECOND: "1x120", FRESH: "0+60x120", REFUSED: "0x120"}


def promtool(folder, series, expected):
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
    (folder / "test.yaml").write_text(yaml.safe_dump({
        "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{
            "interval": "1m", "input_series": [{"series": name.replace("%s", LABELS), "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": f"{MINUTES}m", "alertname": name, "exp_alerts": found}
                                for name, found in expected.items()]}]}))
    return subprocess.run([need("promtool"), "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True,
                          timeout=SECONDS)


def expected(**alert):
    rule = next(rule for rule in alerts() if rule["alert"] == alert["name"])
    return [{"exp_labels": {**SERIES, **rule["labels"], **alert["labels"]}, "exp_annotations": alert["annotations"]}]


def test_an_alert_names_its_connection(tmp_path):
    rule = next(rule for rule in alerts() if rule["alert"] == "BacklogConnectionFailed")
    alert = expected(name="BacklogConnectionFailed", labels={"scaler": "redis", "state": "failed", "connection": "orders"},
                     annotations={**rule["annotations"], "summary": 'Connection "orders" to redis failed'})
    result = promtool(tmp_path, {**HEALTHY, **FIRES["BacklogConnectionFailed"]}, {"BacklogConnectionFailed": alert})
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", [alert["alert"] for alert in MONITORING["alerts"]])
def test_an_alert_fires_when_it_should_and_only_then(tmp_path, name):
    quiet = {each["alert"]: [] for each in alerts()}
    assert promtool(tmp_path, HEALTHY, quiet).returncode == 0
    series = {} if name == "BacklogDown" else {**HEALTHY, **FIRES[name]}
    fired = promtool(tmp_path, series, {name: []})
    assert fired.returncode != 0 and name in fired.stdout + fired.stderr, "it does not fire"
    others = promtool(tmp_path, series, {other: [] for other in quiet.keys() - {name} - ALONG.get(name, set())})
    assert others.returncode == 0, others.stdout + others.stderr


def test_a_single_failed_handshake_is_no_alert(tmp_path):
    """A client that tries once, such as a scanner of ports. KEDA tries again and again."""
    series, alert = "backlog_tls_handshake_failures_total{%s}", "BacklogTLSHandshakesFailing"
    assert promtool(tmp_path, {**HEALTHY, series: "0x86 1x30"}, {alert: []}).returncode == 0
    assert promtool(tmp_path, {**HEALTHY, series: "0x86 1 2x30"}, {alert: []}).returncode != 0


def burns(folder, alert, series):
    return promtool(folder, {**HEALTHY, **series}, {alert: []}).returncode != 0


def test_a_burn_of_the_error_budget_ends_soon_after_the_errors(tmp_path):
    """All answers of half an hour are errors: the long windows remember them, and the short ones decide."""
    def outage(ended):
        began = MINUTES - ended - 30
        return {FRESH: f"0+60x{began} {60 * began}x29 {60 * began}+60x60", REFUSED: f"0x{began} 0+60x30 1800x60"}
    assert [burns(tmp_path, "BacklogErrorBudgetBurnFast", outage(minutes)) for minutes in (0, 10)] == [True, False]
    assert [burns(tmp_path, "BacklogErrorBudgetBurnSlow", outage(minutes)) for minutes in (10, 40)] == [True, False]
    brief = {FRESH: f"0+60x{MINUTES - 1} {60 * MINUTES - 60}x30", REFUSED: f"0x{MINUTES - 5} 0+1x30"}
    assert not burns(tmp_path, "BacklogErrorBudgetBurnFast", brief)   # above 1.44 % for minutes, not in the hour
