#include "base/clock.h"
#include "base/memory.h"
#include "client/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { TIMES = 20, TOGETHER_MS = TIMES * 500, PATIENCE_MS = 60 * 1000 };

/* Takes connections, and says nothing. */
static int listen_silently(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, TIMES), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void *get(void *context)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text body = {0};
    return http_client_get(context, "/", &body, &error) ? context : NULL;
}

/* libcurl alone looks once a second. Twenty requests would then take twenty seconds. */
static void a_request_that_hangs_ends_at_once_when_it_is_cancelled(void **state)
{
    (void)state;
    int port, hanging = listen_silently(&port);
    _cleanup_(memory_free) char *address = text_format("127.0.0.1:%d", port);
    int64_t waited_ms = 0;
    for (int i = 0; i < TIMES; i++) {
        pthread_t thread;
        void *result;
        struct http_client *client =
            http_client_new(&(struct http_server){.address = address}, PATIENCE_MS);
        assert_int_equal(pthread_create(&thread, NULL, get, client), 0);
        int accepted = accept(hanging, NULL, NULL);
        char byte;
        assert_true(accepted >= 0);
        assert_int_equal(recv(accepted, &byte, 1, 0), 1); /* it has sent its request, and waits */
        int64_t began_ms = clock_now_ms();
        http_client_cancel(client);
        assert_int_equal(pthread_join(thread, &result), 0);
        waited_ms += clock_now_ms() - began_ms;
        assert_null(result);
        assert_null(get(client)); /* as do all to come */
        close(accepted);
        http_client_free(client);
    }
    close(hanging);
    assert_true(waited_ms < TOGETHER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_hangs_ends_at_once_when_it_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
