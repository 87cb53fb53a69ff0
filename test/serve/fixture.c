#include "serve/fixture.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/transport/client_names.h"

#include <grpc/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct transport *transport;
struct certificate certificate;
const struct tls_files files = {
    .certificate = certificate.path, .key = certificate.key_path, .client_ca = certificate.path};

struct server_options options = {
    .listen = "127.0.0.1:0", .max_message_bytes = MESSAGE_LIMIT, .ping_interval_ms = 30000};

static void send_text(struct call *call, const char *text)
{
    call_send(call, (struct bytes){.data = (const uint8_t *)text, .length = strlen(text)});
}

static void on_begin(void *context, struct call *call)
{
    struct fixture *fixture = context;
    struct work *work = memory_new(sizeof(*work));
    work->call = call;
    call->context = work;
    fixture->begun++;
    LIST_INSERT_HEAD(&fixture->held, work, held);

    if (text_equal(call->path, "/test/Unread"))
        return;
    if (text_equal(call->path, "/test/Snow")) {
        char text[8000] = "abc";
        for (size_t at = 3; at + 4 < sizeof(text); at += 3)
            memcpy(text + at, "\xe2\x98\x83", 4);
        call_finish(call, STATUS_INVALID_ARGUMENT, text);
        return;
    }
    if (text_equal(call->path, "/test/Who")) {
        send_text(call, call->names == NULL ? "nobody" : call->names->names[0]);
        call_finish(call, STATUS_OK, NULL);
        return;
    }
    if (text_starts_with(call->path, "/test/"))
        call_read(call);
    else
        call_finish(call, STATUS_UNIMPLEMENTED, "unknown method");
}

static void send_next(struct call *call)
{
    struct work *work = call->context;
    char number[32];
    if (work->left == 0) {
        call_finish(call, STATUS_OK, NULL);
        return;
    }
    snprintf(number, sizeof(number), "%ld", work->left--);
    send_text(call, number);
}

static void on_message(void *context, struct call *call, struct bytes message)
{
    struct fixture *fixture = context;
    struct work *work = call->context;
    _cleanup_(memory_free) char *text = text_copy_bytes((const char *)message.data, message.length);
    if (text_equal(call->path, "/test/Echo")) {
        call_send(call, message);
        call_finish(call, STATUS_OK, NULL);
    } else if (text_equal(call->path, "/test/Count")) {
        work->left = atol(text);
        send_next(call);
        if (!call_send(call, message))
            fixture->refused_sends++;
    } else if (text_equal(call->path, "/test/Deadline")) {
        _cleanup_(memory_free) char *left = text_format(
            "%lld", call->deadline_ms == CLOCK_NEVER ? -1LL : call->deadline_ms - clock_now_ms());
        send_text(call, left);
        call_finish(call, STATUS_OK, NULL);
    }
}

static void on_half_closed(void *context, struct call *call)
{
    (void)context;
    call_finish(call, STATUS_INVALID_ARGUMENT, "a message is missing");
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    if (text_equal(call->path, "/test/Count"))
        send_next(call);
}

static void on_ended(void *context, struct call *call, enum status status)
{
    struct fixture *fixture = context;
    struct work *work = call->context;
    LIST_REMOVE(work, held);
    free(work);
    fixture->ended_as[status]++;
    fixture->ended++;
}

static void on_refused(void *context, const char *path, enum status status)
{
    struct fixture *fixture = context;
    fixture->refused_as[status] += text_starts_with(path, "/test/");
}

static int64_t on_turn(void *context, int64_t now_ms)
{
    struct fixture *fixture = context;
    struct work *work;
    fixture->turns++;
    if (atomic_exchange(&fixture->push, false))
        LIST_FOREACH(work, &fixture->held, held)
            send_text(work->call, "pushed");
    if (now_ms >= atomic_load(&fixture->due_ms))
        atomic_store(&fixture->due_ms, CLOCK_NEVER);
    return atomic_load(&fixture->due_ms);
}

static void on_drain(void *context)
{
    struct fixture *fixture = context;
    struct work *work;
    LIST_FOREACH(work, &fixture->held, held)
        if (text_equal(work->call->path, "/test/Hold"))
            call_finish(work->call, STATUS_OK, NULL);
}

bool choose_transport(int argc, char **argv)
{
    static const char secure[] = "+tls";
    if (argc == 2 && text_ends_with(argv[1], secure)) {
        argv[1][strlen(argv[1]) - strlen(secure)] = '\0';
        options.tls = &files;
    }
    transport = argc == 2 ? transport_find(argv[1]) : NULL;
    if (transport == NULL)
        fprintf(stderr, "the name of a transport that was built must be given\n");
    return transport != NULL;
}

int make_certificate(void **state)
{
    (void)state;
    certificate_make(&certificate);
    core_client_secure(options.tls == NULL ? NULL : &certificate);
    return 0;
}

int remove_certificate(void **state)
{
    (void)state;
    certificate_remove(&certificate);
    return 0;
}

int set_up(void **state)
{
    struct error error = {0};
    struct fixture *fixture = memory_new(sizeof(*fixture));
    fixture->service = (struct call_handler){.context = fixture,
                                             .begin = on_begin,
                                             .message = on_message,
                                             .half_closed = on_half_closed,
                                             .writable = on_writable,
                                             .ended = on_ended,
                                             .refused = on_refused,
                                             .turn = on_turn,
                                             .drain = on_drain};
    LIST_INIT(&fixture->held);
    fixture->due_ms = CLOCK_NEVER;
    grpc_init();
    assert_true(server_start(transport, &options, &fixture->service, &fixture->server, &error));
    core_client_init(&fixture->client, fixture->server->port, GRPC_COMPRESS_NONE);
    *state = fixture;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    core_client_done(&fixture->client);
    server_free(fixture->server);
    grpc_shutdown();
    assert_int_equal(fixture->begun, fixture->ended);
    assert_true(LIST_EMPTY(&fixture->held));
    free(fixture);
    return 0;
}

void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void await_count(const atomic_size_t *count, size_t expected)
{
    for (int i = 0; i < 5000 && atomic_load(count) < expected; i++)
        sleep_ms(2);
    assert_int_equal(atomic_load(count), expected);
}

void open_many(struct fixture *fixture, struct client_call **calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        calls[i] = client_call_open(&fixture->client, "/test/Hold", "", 0);
    await_count(&fixture->begun, count);
}

void assert_answer(struct core_client *client, const char *path, const char *message,
                   const char *expected)
{
    struct client_call *call = client_call_open(client, path, message, 0);
    _cleanup_(memory_free) char *answer = client_call_receive(call);
    assert_non_null(answer);
    assert_string_equal(answer, expected);
    assert_int_equal(client_call_status(call), STATUS_OK);
    client_call_free(call);
}

void assert_refusal(struct core_client *client, const char *path, const char *message,
                    enum status status)
{
    struct client_call *call = client_call_open(client, path, message, 0);
    assert_int_equal(client_call_status(call), status);
    client_call_free(call);
}
