/* How the Kubernetes API is called. */
#include "kubernetes/api/api.h"

#include "base/memory.h"
#include "base/text.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/listener.h"

enum { MAX_SOCKETS = 1024 };

/* This process's socket that is connected to the port; -1: there is none. */
static int socket_to(int port)
{
    for (int socket = 3; socket < MAX_SOCKETS; socket++) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof(peer);
        if (getpeername(socket, (struct sockaddr *)&peer, &length) == 0 &&
            peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
            return socket;
    }
    return -1;
}

/* Requests that time out are no reason for libcurl to replace an HTTP/2 connection: the kernel is
 * to give up one whose other end is gone. */
static void a_connection_to_nobody_is_given_up(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    unsigned timeout_ms = 0;
    socklen_t length = sizeof(timeout_ms);
    int port = 0;
    int listener = listener_open(1, &port);
    _cleanup_(memory_free) char *port_text = text_format("%d", port);
    struct kubernetes_api api;
    setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", port_text, 1);
    assert_true(kubernetes_api_find("--test", &api, &error));
    free(api.token_file);
    api.token_file = text_copy("/proc/self/comm"); /* any text */
    CURLM *multi = curl_multi_init();
    struct api_request request;
    const struct api_request_settings get = {.path = "/", .timeout_ms = 5000, .max_bytes = 1};
    assert_true(api_request_begin(&request, multi, &api, &get, &error));
    int client = -1;
    for (int running = 1; running > 0 && client < 0; client = socket_to(port)) {
        curl_multi_perform(multi, &running);
        curl_multi_poll(multi, NULL, 0, 10, NULL);
    }

    assert_int_equal(getsockopt(client, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &length), 0);
    assert_in_range(timeout_ms, 1000, 20000);

    api_request_end(&request, multi);
    curl_multi_cleanup(multi);
    kubernetes_api_done(&api);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_to_nobody_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
