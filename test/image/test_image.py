"""The image: what it says of itself, what is in it, and that it works as a container runs it."""

import json
import os
import pathlib
import re
import stat
import subprocess

import pytest
from elftools.elf.elffile import ELFFile
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from support.certificates import make_certificates
from support.charts.chart import pod_of, render
from support.clients.grpc_client import Client
from support.clients.health import SERVING, Health
from support.kubernetes.image import USER, Contained, compressed_bytes, config, unpack
from support.pages.page import get, metric
from support.process import wait_until
from support.brokers.prometheus import Prometheus
from support.brokers.redis import Redis
from support.server.server import REPOSITORY

MIB = 1024 * 1024
MAX_COMPRESSED = 21 * MIB  # 18 at the time of writing, 13 without the gRPC C core
MAX_UNPACKED = 54 * MIB  # 46, 32 without it
# Those whose files nobody links with: names of the release, authorities, Kerberos.
NOT_LINKED = {"base-files", "ca-certificates", "libsasl2-modules-gssapi-mit"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    return pathlib.Path(unpack(folder))


@pytest.fixture
def broker():
    with Redis() as running, running.connect() as redis:
        redis.call("RPUSH", "jobs", *range(7))
        yield running


def packages(root):
    stanzas = (root / "var/lib/dpkg/status").read_text().strip().split("\n\n")
    fields = [dict(re.findall(r"^(Package|Version|Status): (.*)$", each, re.MULTILINE)) for each in stanzas]
    assert {each["Status"] for each in fields} == {"install ok installed"}
    return {each["Package"]: each["Version"] for each in fields}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needs(path):
    with open(path, "rb") as file:
        segments = [each for each in ELFFile(file).iter_segments() if each["p_type"] == "PT_DYNAMIC"]
        return {tag.needed for each in segments for tag in each.iter_tags() if tag.entry.d_tag == "DT_NEEDED"}


def loaded(root):
    """All that the program and its plug-ins are linked with, directly or not, by their names; and the gRPC C core, which it loads."""
    folder = next((root / "usr/lib").glob("*-linux-gnu"))
    core = next(folder.glob("libgrpc.so.??"))
    found, left = {core.name}, [root / "usr/local/bin/backlog", core, *folder.glob("sasl2/*.so*")]
    while left:
        missing = needs(left.pop()) - found
        found |= missing
        left += [folder / name for name in missing if not name.startswith("ld-linux")]
    return found


def test_it_reports_its_version():
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config()["config"]["Labels"].items()}
    project = re.search(r"^project\(backlog VERSION (\S+)", pathlib.Path(REPOSITORY, "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    assert labels["version"] == project and labels["licenses"] == "Apache-2.0"
    assert {"title", "description", "vendor", "created", "revision", "source", "url", "documentation"} <= labels.keys()
    assert re.fullmatch("[0-9a-f]{40}", labels["revision"]) and re.match(r"\d{4}-\d\d-\d\dT", labels["created"])


def test_it_is_what_the_chart_runs():
    pod = pod_of(render())
    user = pod["securityContext"]["runAsUser"]
    assert config()["config"]["User"] == f"{user}:{user}" == f"{USER}:{USER}"
    assert config()["config"]["Entrypoint"] == ["/usr/local/bin/backlog"]
    assert pod["containers"][0]["args"][0] == "serve" and config()["config"]["Cmd"] == ["serve"]


def test_it_is_small(root):
    unpacked = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{compressed_bytes() / MIB:.1f} MiB compressed, {unpacked / MIB:.1f} MiB unpacked, {len(packages(root))} packages")
    assert compressed_bytes() < MAX_COMPRESSED and unpacked < MAX_UNPACKED


def test_it_has_the_packages_that_the_program_loads_and_no_others(root):
    owned = {name: (root / f"var/lib/dpkg/info/{found.name}").read_text() for name in packages(root)
             for found in (root / "var/lib/dpkg/info").glob("*.list") if found.name.split(":")[0].removesuffix(".list") == name}
    assert owned.keys() == packages(root).keys()
    wanted = {package for library in loaded(root) for package, files in owned.items()
              if re.search(rf"/{re.escape(library)}$", files, re.MULTILINE)}
    assert wanted == packages(root).keys() - NOT_LINKED


def test_its_libraries_are_those_that_the_broker_tests_run_with(root):
    """The tested server has more: the sanitizers'."""
    core = next(pathlib.Path("/usr/lib").glob("*-linux-gnu/libgrpc.so.??"))
    libraries = [str(core), *re.findall(r"/\S+\.so\S*[^:\s]", output("ldd", os.environ["BACKLOG"], core))]
    owners = output("dpkg-query", "--search", *sorted({os.path.realpath(path) for path in libraries}))
    names = {line.split(":")[0] for line in owners.splitlines()}
    lines = output("dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *sorted(names)).splitlines()
    tested = dict(line.split() for line in lines)
    shipped = {name: version for name, version in packages(root).items() if name not in NOT_LINKED}
    assert {name: tested.get(name) for name in shipped} == shipped
    assert "librdkafka1" in shipped and "libasan8" in tested


def test_it_has_no_shell_no_interpreter_and_nothing_that_gives_rights(root):
    programs = [path.relative_to(root).as_posix() for path in root.rglob("*")
                if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111 and ".so" not in path.name]
    assert programs == ["usr/local/bin/backlog"]
    assert not [path for path in root.rglob("*") if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID) and path.is_file()]
    writable = [path.relative_to(root).as_posix() for path in root.rglob("*")
                if not path.is_symlink() and path.stat().st_mode & 0o002]
    assert writable in ([], ["tmp"], ["tmp", "var/tmp"])
    assert not [path for path in root.rglob("*") if path.lstat().st_uid == USER]


def test_its_sbom_is_valid_and_has_all_packages(root):
    path = root / "usr/share/sbom/backlog.spdx.json"
    document = parse_file(str(path))
    assert not validate_full_spdx_document(document), validate_full_spdx_document(document)
    listed = {each.name: each.version for each in document.packages if not each.spdx_id.endswith("-srcpkg")}
    top = document.creation_info.name
    assert top == "backlog" and listed.pop("backlog") == config()["config"]["Labels"]["org.opencontainers.image.version"]
    known = packages(root)
    embedded = json.loads(pathlib.Path(REPOSITORY, "src/web/package-lock.json").read_text())["packages"]
    assert listed["uplot"] == embedded["node_modules/uplot"]["version"]
    assert {name: version for name, version in listed.items() if name in known} == known
    purls = json.dumps(json.loads(path.read_text())["packages"])
    assert all(f"pkg:deb/debian/{name.replace('+', '%2B')}@" in purls for name in known)
    assert f"pkg:npm/uplot@{listed['uplot']}" in purls


def test_every_licence_is_there(root):
    for package in [*packages(root), "backlog"]:
        assert (root / "usr/share/doc" / package / "copyright").exists(), package


@pytest.mark.parametrize("transport", ["nghttp2", "grpc-core"])
def test_it_answers_as_a_container_runs_it(root, broker, transport):
    with Contained(root, "--transport", transport) as server, Client(server.port) as client:
        assert Health(client.channel).check("readiness") == SERVING
        requested = {"scaler": "redis", "address": broker.address, "listName": "jobs", "listLength": "5"}
        assert client.metric_spec(requested).targetSize == 5
        assert client.metrics(requested).metricValue == 7 and client.is_active(requested)
        assert "backlog_build_info" in get(server, "/metrics").text
        status = pathlib.Path(f"/proc/{inner_pid(server)}/status").read_text()
        assert re.search(rf"^Uid:\t{USER}\t{USER}", status, re.MULTILINE)
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE) and re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)


def inner_pid(server):
    found = subprocess.run(["pgrep", "--pgroup", str(server.pid), "--exact", "backlog"], check=True, capture_output=True, text=True)
    return int(found.stdout.split()[0])


def test_kafka_s_agent_starts_in_it(root):
    """The agent is the program once more, found without a shell or a PATH."""
    with Contained(root) as server, Client(server.port) as client:
        requested = {"scaler": "kafka", "bootstrapServers": "127.0.0.1:1", "topic": "jobs", "consumerGroup": "workers"}
        with pytest.raises(Exception, match="127.0.0.1:1"):
            client.metrics(requested)
        wait_until(lambda: metric(get(server, "/metrics").text, "backlog_agent_processes") == 1, 60, "the agent")


def test_it_trusts_the_public_authorities_and_those_that_are_mounted(root, tmp_path):
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    public = bundle.read_text()
    assert public.count("BEGIN CERTIFICATE") > 100
    make_certificates(tmp_path)
    web = f"tls_server_config:\n  cert_file: {tmp_path}/own.pem\n  key_file: {tmp_path}/own.key\n"
    with Prometheus("jobs 37", web=web) as source:
        requested = {"scaler": "prometheus", "serverAddress": f"https://127.0.0.1:{source.port}", "query": "jobs", "threshold": "5"}
        with Contained(root) as server, Client(server.port) as client, pytest.raises(Exception, match="certificate"):
            client.metrics(requested)
        bundle.write_text(public + (tmp_path / "ca.pem").read_text())
        try:
            with Contained(root) as server, Client(server.port) as client:
                assert client.metrics(requested).metricValue == 37
        finally:
            bundle.write_text(public)


def test_every_plug_in_finds_its_libraries(root):
    """As the loader of the image itself says: Kerberos for sasl: gssapi."""
    loader = next(path for path in (root / "usr").glob("lib*/ld-linux*.so.*"))
    plugins = [path for path in root.glob("usr/lib/*/sasl2/*.so*")]
    assert plugins
    for plugin in plugins:
        listed = subprocess.run(["chroot", root, f"/{loader.relative_to(root)}", "--list", f"/{plugin.relative_to(root)}"],
                                check=True, capture_output=True, text=True, timeout=20).stdout
        assert "not found" not in listed and "libgssapi_krb5" in listed


def test_the_release_is_the_dockerfile_s(root):
    release = re.search(r"^ARG BASE=debian:(\d+)", pathlib.Path(REPOSITORY, "Dockerfile").read_text(), re.MULTILINE)[1]
    assert re.search(rf'^VERSION_ID="{release}"$', (root / "usr/lib/os-release").read_text(), re.MULTILINE)
    assert os.path.exists(root / "etc/debian_version")
