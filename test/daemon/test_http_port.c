/* Health, as far as it is a matter of whether the server takes its turns: here a test takes them,
 * or does not. */
#include "daemon/http_port.h"

#include "base/log.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
    struct loop_calls *loop_calls;
    struct http_port *port;
    atomic_bool is_over;
};

static void receive_nothing(void *context)
{
    (void)context;
}

static int set_up(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    struct fixture *fixture = memory_new(sizeof(*fixture));
    fixture->loop_calls = loop_calls_new(receive_nothing, NULL);
    const struct http_port_parts parts = {.loop_calls = fixture->loop_calls};
    *state = fixture;
    const struct http_port_addresses addresses = {.http = "127.0.0.1:0", .probes = "127.0.0.1:0"};
    return http_port_begin(&addresses, &parts, &fixture->port, &error) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_port_end(fixture->port);
    loop_calls_free(fixture->loop_calls);
    free(fixture);
    return 0;
}

static void assert_status_at(int port, const char *path, const char *status)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_(memory_free) char *request =
        text_format("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    char answer[1024] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
    close(fd);
    if (strncmp(answer + strlen("HTTP/1.1 "), status, strlen(status)) != 0)
        fail_msg("%s is answered %s", path, answer);
}

/* Of the HTTP port and of the probes' own. */
static void assert_status(const struct fixture *fixture, const char *path, const char *status)
{
    assert_status_at(http_port_number(fixture->port), path, status);
    assert_status_at(http_port_probes(fixture->port), path, status);
}

static void the_port_of_the_probes_has_nothing_else(void **state)
{
    const struct fixture *fixture = *state;
    assert_status_at(http_port_probes(fixture->port), "/metrics", "404");
    assert_status_at(http_port_probes(fixture->port), "/", "404");
    assert_status_at(http_port_probes(fixture->port), "/api/triggers", "404");
}

static void a_server_that_does_not_come_to_its_calls_is_not_healthy(void **state)
{
    assert_status(*state, "/healthz", "503");
    assert_status(*state, "/readyz", "503");
}

static void *take_turns(void *argument)
{
    struct fixture *fixture = argument;
    while (!atomic_load(&fixture->is_over)) {
        loop_calls_turn(fixture->loop_calls);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static void one_that_does_is_and_while_it_ends_is_only_not_ready(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take_turns, fixture), 0);
    assert_status(fixture, "/healthz", "200");
    assert_status(fixture, "/readyz", "200");
    http_port_drain(fixture->port);
    assert_status(fixture, "/healthz", "200");
    assert_status(fixture, "/readyz", "503");
    atomic_store(&fixture->is_over, true);
    pthread_join(thread, NULL);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_that_does_not_come_to_its_calls_is_not_healthy,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_port_of_the_probes_has_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_does_is_and_while_it_ends_is_only_not_ready,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
