/*
 * What tests of the transports share: a server with a small service, and a client on the C core.
 *
 *   /test/Echo       answers its message
 *   /test/Count      a stream of so many messages as the request says
 *   /test/Deadline   how much time the client gives, in milliseconds
 *   /test/Who        the first name that the client proves
 *   /test/Snow       is refused with a long text
 *   /test/Hold       a stream that says "pushed" when it is pushed, and ends with the drain
 *   /test/Unread     is never read
 */
#ifndef BACKLOG_TEST_SERVE_FIXTURE_H
#define BACKLOG_TEST_SERVE_FIXTURE_H

#include "serve/transport/transport.h"
#include "support/certificate.h"
#include "support/core_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <cmocka.h>

enum { MESSAGE_LIMIT = 64 * 1024 };

extern const struct transport *transport; /* that is tested */
extern struct certificate certificate;
extern const struct tls_files files;
extern struct server_options options;

/* What the service knows of a call. */
struct work {
    struct call *call;
    long left; /* messages still to be sent by Count */
    LIST_ENTRY(work) held;
};

/* Counts are atomic because the tests look at them from another thread. */
struct fixture {
    struct server *server;
    struct call_handler service;
    struct core_client client;
    LIST_HEAD(, work) held;
    atomic_size_t begun;
    atomic_size_t ended;
    atomic_size_t ended_as[STATUS_UNAUTHENTICATED + 1]; /* by what the service was told */
    atomic_size_t refused_as[STATUS_UNAUTHENTICATED + 1];
    atomic_size_t turns;
    atomic_size_t refused_sends;
    atomic_bool push;
    atomic_llong due_ms;
};

/* The one that the only argument names; with "+tls" behind it both sides show certificates. */
bool choose_transport(int argc, char **argv);

/* Around all tests. */
int make_certificate(void **state);
int remove_certificate(void **state);

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

void sleep_ms(long ms);

/* Waits until a count reached what is expected of it. */
void await_count(const atomic_size_t *count, size_t expected);

/* So many calls of Hold, which have all begun. */
void open_many(struct fixture *fixture, struct client_call **calls, size_t count);

void assert_answer(struct core_client *client, const char *path, const char *message,
                   const char *expected);
void assert_refusal(struct core_client *client, const char *path, const char *message,
                    enum status status);

#endif
