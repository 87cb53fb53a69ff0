/* Several hosts and addresses, of which some are silent. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "postgresql/client.h"
#include "postgresql/options.h"
#include "scalers/postgresql_peer.h"
#include "support/black_hole.h"
#include "support/listener.h"
#include "support/names.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_postgresql;

enum { ENOUGH_MS = 3000 };

static const char *const two_addresses[] = {"127.0.0.2", "127.0.0.1", NULL};
static const char *const no_addresses[] = {NULL};
static const char *const many_addresses[] = {
    "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3",
    "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3",
    "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.3", "127.0.0.1", NULL};

/* Two servers on 127.0.0.1; a host without packets, also at the first one's port of 127.0.0.2; one
 * that accepts connections and says nothing; and a port where nobody listens. */
struct world {
    struct postgresql_peer primary;
    struct postgresql_peer standby;
    struct black_hole hole;
    int frozen;
    int frozen_port;
    int closed_port;
    struct postgresql_connection_options options;
    struct postgresql_client *client;
    struct error error;
};

static void world_start(struct world *world)
{
    names_set("two", two_addresses);
    names_set("none", no_addresses);
    names_set("many", many_addresses);
    names_set("two.", two_addresses);
    *world = (struct world){.primary = {.version = 150000},
                            .standby = {.version = 150000, .is_standby = true}};
    postgresql_peer_start(&world->primary);
    postgresql_peer_start(&world->standby);
    black_hole_open(&world->hole, "127.0.0.2", world->primary.port);
    world->frozen = listener_open(8, &world->frozen_port);
    close(listener_open(1, &world->closed_port));
}

static void world_stop(struct world *world)
{
    postgresql_peer_stop(&world->primary);
    postgresql_peer_stop(&world->standby);
    black_hole_close(&world->hole);
    close(world->frozen);
    error_done(&world->error);
}

static void disconnect(struct world *world)
{
    if (world->client != NULL)
        scaler_postgresql.disconnect(world->client);
    world->client = NULL;
}

/* Returns the port that it is connected to; 0: none. */
static int connect_to(struct world *world, const char *connection)
{
    void *client = NULL;
    disconnect(world);
    error_done(&world->error);
    world->options =
        (struct postgresql_connection_options){.connection = connection, .max_sessions = 4};
    if (!scaler_postgresql.connect(&world->options, clock_now_ms() + ENOUGH_MS, &client,
                                   &world->error))
        return 0;
    world->client = client;
    return atoi(world->client->port);
}

#define CONNECT(world, format, ...)                                                                \
    ({                                                                                             \
        _cleanup_(memory_free) char *string =                                                      \
            text_format("user=me dbname=jobs sslmode=disable " format, __VA_ARGS__);               \
        int port_of_client = connect_to(world, string);                                            \
        disconnect(world);                                                                         \
        port_of_client;                                                                            \
    })

static void a_silent_host_does_not_hide_the_next(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    int primary = world.primary.port;
    assert_int_equal(
        CONNECT(&world, "host=127.0.0.2,127.0.0.1 port=%d,%d", world.hole.port, primary), primary);
    assert_int_equal(CONNECT(&world, "host=127.0.0.2,127.0.0.1 port=%d", primary), primary);
    world_stop(&world);
}

/* Errors are cut at 1,024 bytes. */
static void many_hosts_leave_room_for_the_reason(void **state)
{
    (void)state;
    struct world world;
    struct text hosts = {0};
    world_start(&world);
    for (size_t i = 0; i < 100; i++)
        text_add(&hosts, i == 0 ? "127.0.0.1" : ",127.0.0.1");
    assert_int_equal(CONNECT(&world, "host=%s port=%d", hosts.bytes, world.closed_port), 0);
    const char *words = strstr(error_text(&world.error), "refused");
    assert_true(text_starts_with(error_text(&world.error), "PostgreSQL at 127.0.0.1,127.0.0.1,"));
    assert_non_null(words);
    assert_in_range(words - error_text(&world.error), 0, 500);
    text_done(&hosts);
    world_stop(&world);
}

static void a_host_that_does_not_answer_the_login_does_not_hide_the_next(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    int primary = world.primary.port;
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,127.0.0.2,127.0.0.1 port=%d,%d,%d",
                             world.frozen_port, world.hole.port, primary),
                     primary);
    world_stop(&world);
}

/* It checks passwords with another server, or many times. */
static void a_host_that_answers_has_all_the_time_for_the_login(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    world.primary.login_ms = ENOUGH_MS * 2 / 3;
    assert_int_equal(
        CONNECT(&world, "host=127.0.0.1,127.0.0.2 port=%d,%d", world.primary.port, world.hole.port),
        world.primary.port);
    world_stop(&world);
}

static void a_silent_address_does_not_hide_the_next_of_its_host(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    int primary = world.primary.port;
    assert_int_equal(CONNECT(&world, "host=two port=%d", primary), primary);
    /* libpq itself looks up the second host, where it comes to it. */
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,two port=%d,%d", world.closed_port, primary),
                     primary);
    assert_int_equal(CONNECT(&world, "host=none,two port=%d", primary), primary);
    /* libpq comes to the last one, too, which is not among those that have a share of the time. */
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,many port=%d,%d", world.closed_port, primary),
                     primary);
    world_stop(&world);
}

/* It would block, and its resolver may be slow. */
static void a_name_with_a_dot_is_looked_up_where_its_turn_comes(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    int primary = world.primary.port;
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,two. port=%d,%d", primary, world.standby.port),
                     primary);
    assert_int_equal(names_lookups("two."), 0);

    assert_int_equal(CONNECT(&world, "host=127.0.0.1,two. port=%d,%d", world.closed_port, primary),
                     primary);
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,two.,two. port=%d,%d,%d", world.closed_port,
                             world.closed_port, primary),
                     primary);
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,two. port=%d,%d target_session_attrs=standby",
                             primary, world.standby.port),
                     world.standby.port);
    world_stop(&world);
}

static void a_silent_host_does_not_change_what_is_demanded_of_the_others(void **state)
{
    (void)state;
    static const struct {
        const char *attributes;
        bool is_standby;
    } rows[] = {
        {"any", true}, {"read-write", false}, {"read-only", true}, {"prefer-standby", true}};
    struct world world;
    world_start(&world);
    int primary = world.primary.port;
    int standby = world.standby.port;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(
            CONNECT(&world,
                    "host=127.0.0.2,127.0.0.1,127.0.0.1 port=%d,%d,%d target_session_attrs=%s",
                    world.hole.port, standby, primary, rows[i].attributes),
            rows[i].is_standby ? standby : primary);
    /* Only a second pass finds it. */
    assert_int_equal(CONNECT(&world,
                             "host=127.0.0.1,127.0.0.2 port=%d target_session_attrs=prefer-standby",
                             primary),
                     primary);
    world_stop(&world);
}

static void the_last_host_has_all_of_the_time_that_is_left(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    int64_t start_ms = clock_now_ms();
    assert_int_equal(CONNECT(&world, "host=127.0.0.1,127.0.0.1 port=%d,%d", world.closed_port,
                             world.frozen_port),
                     0);
    assert_true(clock_now_ms() - start_ms >= ENOUGH_MS);
    world_stop(&world);
}

static void an_error_names_those_that_are_silent(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    assert_int_equal(
        CONNECT(&world, "host=127.0.0.2,127.0.0.1 port=%d,%d", world.hole.port, world.closed_port),
        0);
    assert_non_null(strstr(error_text(&world.error), "Connection refused"));
    assert_non_null(strstr(error_text(&world.error), "; no answer in time from 127.0.0.2"));

    assert_int_equal(
        CONNECT(&world, "host=127.0.0.2,127.0.0.1 port=%d,%d", world.hole.port, world.frozen_port),
        0);
    assert_non_null(strstr(error_text(&world.error), "PostgreSQL at 127.0.0.2,127.0.0.1:"));
    assert_non_null(strstr(error_text(&world.error), ": no answer in time"));

    assert_int_equal(CONNECT(&world, "host=none port=%d", world.closed_port), 0);
    assert_non_null(strstr(error_text(&world.error), "could not translate host name \"none\""));
    assert_null(strstr(error_text(&world.error), "no answer in time"));

    /* The look-up has taken all of the time. */
    void *client = NULL;
    error_done(&world.error);
    world.options.connection = "host=none port=5432 user=me";
    assert_false(scaler_postgresql.connect(&world.options, clock_now_ms(), &client, &world.error));
    assert_non_null(strstr(error_text(&world.error), "cannot look up none: "));
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_host_does_not_hide_the_next),
        cmocka_unit_test(many_hosts_leave_room_for_the_reason),
        cmocka_unit_test(a_host_that_does_not_answer_the_login_does_not_hide_the_next),
        cmocka_unit_test(a_host_that_answers_has_all_the_time_for_the_login),
        cmocka_unit_test(a_silent_address_does_not_hide_the_next_of_its_host),
        cmocka_unit_test(a_name_with_a_dot_is_looked_up_where_its_turn_comes),
        cmocka_unit_test(a_silent_host_does_not_change_what_is_demanded_of_the_others),
        cmocka_unit_test(the_last_host_has_all_of_the_time_that_is_left),
        cmocka_unit_test(an_error_names_those_that_are_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
