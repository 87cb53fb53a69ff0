"""A start that fails halfway, while clients call already: nothing is used after it was freed, which ASan sees."""

import os
import socket
import subprocess
import threading
import time

import grpc
import pytest

from support.clients.grpc_client import Client
from support.process import free_port, need
from support.server.server import binary

pytestmark = pytest.mark.parametrize("transport", ["nghttp2"], indirect=True)  # the default, which the command takes

# The HTTP port is slow to fail, and a call that follows a Secret is slow there: so the end meets a call that it must wait for.
SLOW = """
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET && ntohs(((const struct sockaddr_in *)address)->sin_port) == HTTP_PORT)
        usleep(700000);
    return real(fd, address, length);
}

int curl_multi_wakeup(void *multi)
{
    int (*real)(void *) = dlsym(RTLD_NEXT, "curl_multi_wakeup");
    char bytes[16];
    if (syscall(SYS_gettid) != getpid())
        usleep(1500000);
    memcpy(bytes, multi, sizeof(bytes)); /* ASan checks it: libcurl is not built with it */
    return real(multi);
}
"""


@pytest.mark.first
def test_where_only_the_http_port_fails_a_call_in_progress_ends_before_what_it_uses(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        http = taken.getsockname()[1]
        (tmp_path / "slow.c").write_text(SLOW.replace("HTTP_PORT", str(http)))
        subprocess.run([need("cc"), "-shared", "-fPIC", "-fno-builtin", "-D_GNU_SOURCE", "-o", tmp_path / "slow.so", tmp_path / "slow.c"], check=True)
        port = free_port()
        environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "slow.so"), "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                       "KUBERNETES_SERVICE_PORT": "1",
                       "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}
        server = subprocess.Popen([binary(), "serve", "--listen", f"127.0.0.1:{port}", "--http", f"127.0.0.1:{http}",
                                   "--kubernetes"], env=environment, stderr=subprocess.PIPE, text=True)
        called = threading.Thread(target=call_until_it_ends, args=(port, server))
        called.start()
        log = server.communicate(timeout=60)[1]
        called.join()
    assert server.returncode == 1 and "Address already in use" in log, log
    assert "AddressSanitizer" not in log


def call_until_it_ends(port, server):
    while server.poll() is None:
        try:
            with Client(port) as client:
                client.is_active({"scaler": "rabbitmq", "connectionName": "orders", "queueName": "q", "value": "5"})
        except (grpc.RpcError, OSError):
            time.sleep(0.02)
