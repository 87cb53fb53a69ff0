#include "base/system/listen.h"

#include "base/memory.h"
#include "support/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void an_address_is_host_and_port(void **state)
{
    static const char *const good[] = {"[::]:9090", "127.0.0.1:0", "localhost:65535", ":9090"};
    static const char *const wrong[] = {"",
                                        "9090",
                                        ":",
                                        "::1:9090",
                                        "[::1]",
                                        "host:",
                                        "host:http",
                                        "host:65536",
                                        "host:-1",
                                        "[]:1",
                                        "h:9 ",
                                        "host:00000001",
                                        "host:4294976386",
                                        "[::1:9090"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(listen_is_address(good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(listen_is_address(wrong[i]));
}

static void a_port_alone_is_all_addresses(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *all = listen_whole(":9090");
    _cleanup_(memory_free) char *one = listen_whole("127.0.0.1:9090");
    assert_string_equal(all, "[::]:9090");
    assert_string_equal(one, "127.0.0.1:9090");
}

static void a_port_that_is_none_is_not_taken_for_another(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    (void)state;
    assert_int_equal(listen_open("127.0.0.1:70000", &error), -1);
    assert_non_null(strstr(error_text(&error), "at most 65535"));
}

static void port_0_takes_a_free_one(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    (void)state;
    int fd = listen_open("127.0.0.1:0", &error);
    assert_true(fd >= 0);
    assert_in_range(listen_port(fd), 1, 65535);
    close(fd);
}

static void a_name_is_its_first_address_that_can_be_had(void **state)
{
    static const char *const addresses[] = {"198.51.100.1", "127.0.0.1", NULL};
    _cleanup_(error_done) struct error error = {0};
    (void)state;
    names_set("backlog.test", addresses);
    int fd = listen_open("backlog.test:0", &error);
    assert_true(fd >= 0);
    close(fd);
    names_set("backlog.test", (const char *const[]){"198.51.100.1", "203.0.113.1", NULL});
    assert_int_equal(listen_open("backlog.test:0", &error), -1);
    assert_non_null(strstr(error_text(&error), "Cannot assign requested address"));
}

static int connect_to(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static size_t clients_of(int fd)
{
    size_t count = 0;
    assert_true(listen_clients(listen_port(fd), &count));
    return count;
}

static void clients_are_counted_by_the_port_that_they_came_in_at(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    (void)state;
    int fd = listen_open("[::]:0", &error);
    int other = listen_open("127.0.0.1:0", &error);
    assert_int_equal(clients_of(fd), 0);
    int clients[] = {connect_to(listen_port(fd)), connect_to(listen_port(fd)),
                     connect_to(listen_port(other))};
    int served[] = {accept(fd, NULL, NULL), accept(fd, NULL, NULL), accept(other, NULL, NULL)};
    assert_int_equal(clients_of(fd), 2);
    close(served[0]);
    assert_int_equal(clients_of(fd), 1);
    for (size_t i = 1; i < ARRAY_LENGTH(served); i++)
        close(served[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        close(clients[i]);
    close(fd);
    close(other);
}

static void without_a_free_descriptor_the_number_of_clients_is_unknown(void **state)
{
    struct rlimit before;
    size_t count;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}), 0);
    bool known = listen_clients(9090, &count);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_host_and_port),
        cmocka_unit_test(a_port_alone_is_all_addresses),
        cmocka_unit_test(a_port_that_is_none_is_not_taken_for_another),
        cmocka_unit_test(port_0_takes_a_free_one),
        cmocka_unit_test(a_name_is_its_first_address_that_can_be_had),
        cmocka_unit_test(clients_are_counted_by_the_port_that_they_came_in_at),
        cmocka_unit_test(without_a_free_descriptor_the_number_of_clients_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
