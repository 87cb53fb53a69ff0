/*
 * What tests of the nghttp2 transport share: a server with a small service, and questions to it.
 *
 *   /test/Echo    answers its first message
 *   /test/Slow    the same, after 2 ms of the loop's time
 *   /test/Many    answers how many bytes there were, when the client has sent the last message
 *   /test/Talk    answers each message, and reads the next one when the answer has left
 *   /test/Hold    a stream that says nothing, and ends with its connection's age
 *   /test/Stay    the same, of those that stay
 *   /test/First   one that stays, and answers its first message
 *   /test/Left    one that stays, and is over with the answer to its first message
 *                 (all that stay are refused where they have no place)
 *   /test/Unread  is never read
 */
#ifndef BACKLOG_TEST_SERVE_H2_FIXTURE_H
#define BACKLOG_TEST_SERVE_H2_FIXTURE_H

#include "serve/transport/transport.h"
#include "support/h2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MESSAGE_LIMIT = 64 * 1024 };

/* Calls of /test/Refused wait until so many do, and end together with a status of 1,100 bytes. */
enum { REFUSED_TOGETHER = 20 };

struct fixture {
    struct server *server;
    struct call_handler service;
    atomic_size_t live;                                 /* calls */
    atomic_size_t ended_as[STATUS_UNAUTHENTICATED + 1]; /* those that were refused, too */
    struct call *waiting[REFUSED_TOGETHER];
    size_t waiting_count;
};

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* With other limits. */
void restart(struct fixture *fixture, const struct server_options *options);

/* How often this limit was run into. */
uint64_t hits(const struct fixture *fixture, const char *name);

/* All that a server says to these bytes until it hangs up; the caller frees it. */
char *talk(const struct fixture *fixture, const void *bytes, size_t length);

/* Asks for an echo of an empty message with these headers, and how it ended. */
void assert_answered(struct h2_client *client, const char *const *headers, const char *http,
                     const char *grpc);

/* Opens calls that do not end, of which so many are expected to be refused. */
void open_calls(const struct fixture *fixture, struct h2_client *client, struct h2_stream *streams,
                size_t count, const char *path, size_t refused);

#endif
