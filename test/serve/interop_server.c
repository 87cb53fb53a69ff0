/*
 * gRPC's TestService over one of our transports, for gRPC's own interop client:
 *
 *     interop_server TRANSPORT
 *
 * Listens on a free loopback port, which it prints, and ends in order with SIGTERM. The cases are
 * described in grpc/grpc's doc/interop-test-descriptions.md.
 */
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "interop.pb-c.h"
#include "serve/services/message.h"
#include "serve/transport/transport.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MESSAGE_LIMIT = 1 << 20, /* large_unary sends 271,828 bytes and wants 314,159 */
    MAX_REPLIES = 64,        /* that one stream may have asked for and not got yet */
    LAST_STATUS = 16,        /* UNAUTHENTICATED */
};

struct method;

struct work {
    struct call *call;
    const struct method *method;
    int32_t sizes[MAX_REPLIES]; /* of the replies that are still to be sent */
    size_t sizes_count;
    size_t sizes_sent;
    int32_t received; /* bytes of payload */
};

struct method {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    void (*message)(struct work *work, const ProtobufCMessage *request);
    void (*half_closed)(struct work *work);
};

/* ---- what methods share ---- */

/* True: the client wanted this status rather than an answer, and has it. */
static bool finish_as_requested(struct work *work, const Grpc__Testing__EchoStatus *status)
{
    if (status == NULL)
        return false;
    if (status->code < 0 || status->code > LAST_STATUS)
        call_finish(work->call, STATUS_INVALID_ARGUMENT, "no such status");
    else
        call_finish(work->call, (enum status)status->code, status->message);
    return true;
}

static bool has_size(struct work *work, int32_t size)
{
    if (size >= 0 && size <= MESSAGE_LIMIT)
        return true;
    call_finish(work->call, STATUS_INVALID_ARGUMENT, "a reply of this size is not to be had");
    return false;
}

/* A payload of zeros; the caller frees its body. */
static Grpc__Testing__Payload payload_of(int32_t size)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body.len = (size_t)size;
    payload.body.data = size > 0 ? memory_new((size_t)size) : NULL;
    return payload;
}

static void refuse_half_close(struct work *work)
{
    call_finish(work->call, STATUS_INVALID_ARGUMENT, "a message is missing");
}

/* ---- one message, one reply ---- */

static void answer_empty(struct work *work, const ProtobufCMessage *request)
{
    (void)request;
    call_send(work->call, (struct bytes){0});
    call_finish(work->call, STATUS_OK, NULL);
}

static void answer_unary(struct work *work, const ProtobufCMessage *message)
{
    const Grpc__Testing__SimpleRequest *request = (const void *)message;
    Grpc__Testing__SimpleResponse response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    if (finish_as_requested(work, request->response_status) ||
        !has_size(work, request->response_size))
        return;
    Grpc__Testing__Payload payload = payload_of(request->response_size);
    response.payload = &payload;
    message_send(work->call, &response.base);
    call_finish(work->call, STATUS_OK, NULL);
    free(payload.body.data);
}

/* ---- many messages, one reply ---- */

static void add_up(struct work *work, const ProtobufCMessage *message)
{
    const Grpc__Testing__StreamingInputCallRequest *request = (const void *)message;
    if (request->payload != NULL)
        work->received += (int32_t)request->payload->body.len;
    call_read(work->call);
}

static void answer_sum(struct work *work)
{
    Grpc__Testing__StreamingInputCallResponse response =
        GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
    response.aggregated_payload_size = work->received;
    message_send(work->call, &response.base);
    call_finish(work->call, STATUS_OK, NULL);
}

/* ---- one or many messages, and as many replies to each as it asks for ---- */

/* Sends the next reply; asks for the next message when all have left. */
static void send_next(struct work *work)
{
    if (work->sizes_sent == work->sizes_count) {
        work->sizes_sent = 0;
        work->sizes_count = 0;
        call_read(work->call);
        return;
    }
    Grpc__Testing__StreamingOutputCallResponse response =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
    Grpc__Testing__Payload payload = payload_of(work->sizes[work->sizes_sent++]);
    response.payload = &payload;
    message_send(work->call, &response.base);
    free(payload.body.data);
}

static void answer_each(struct work *work, const ProtobufCMessage *message)
{
    const Grpc__Testing__StreamingOutputCallRequest *request = (const void *)message;
    if (finish_as_requested(work, request->response_status))
        return;
    if (request->n_response_parameters > MAX_REPLIES) {
        call_finish(work->call, STATUS_INVALID_ARGUMENT, "too many replies are wanted");
        return;
    }
    for (size_t i = 0; i < request->n_response_parameters; i++) {
        work->sizes[i] = request->response_parameters[i]->size;
        if (!has_size(work, work->sizes[i]))
            return;
    }
    work->sizes_count = request->n_response_parameters;
    send_next(work);
}

static void finish_well(struct work *work)
{
    call_finish(work->call, STATUS_OK, NULL);
}

#define TEST_SERVICE "/grpc.testing.TestService/"

static const struct method methods[] = {
    /* An Empty is any message without the fields of another: this one will do. */
    {TEST_SERVICE "EmptyCall", &grpc__testing__payload__descriptor, answer_empty,
     refuse_half_close},
    {TEST_SERVICE "UnaryCall", &grpc__testing__simple_request__descriptor, answer_unary,
     refuse_half_close},
    {TEST_SERVICE "StreamingInputCall", &grpc__testing__streaming_input_call_request__descriptor,
     add_up, answer_sum},
    {TEST_SERVICE "StreamingOutputCall", &grpc__testing__streaming_output_call_request__descriptor,
     answer_each, finish_well},
    {TEST_SERVICE "FullDuplexCall", &grpc__testing__streaming_output_call_request__descriptor,
     answer_each, finish_well},
};

/* ---- hooks ---- */

static const struct method *find_method(const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (text_equal(methods[i].path, path))
            return &methods[i];
    return NULL;
}

static void on_begin(void *context, struct call *call)
{
    (void)context;
    const struct method *method = find_method(call->path);
    struct work *work = memory_new(sizeof(*work));
    *work = (struct work){.call = call, .method = method};
    call->context = work;
    if (method == NULL)
        call_finish(call, STATUS_UNIMPLEMENTED, "unknown method");
    else
        call_read(call);
}

static void on_message(void *context, struct call *call, struct bytes bytes)
{
    (void)context;
    struct work *work = call->context;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(arena_done) struct arena arena;
    ProtobufCMessage *message = NULL;
    arena_init(&arena);
    if (message_decode(&arena, work->method->request, bytes, &message, &error))
        work->method->message(work, message);
    else
        call_finish(call, STATUS_INVALID_ARGUMENT, error_text(&error));
}

static void on_half_closed(void *context, struct call *call)
{
    (void)context;
    struct work *work = call->context;
    work->method->half_closed(work);
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    struct work *work = call->context;
    if (work->method->half_closed == finish_well)
        send_next(work);
}

static void on_ended(void *context, struct call *call, enum status status)
{
    (void)context;
    (void)status;
    free(call->context);
}

static int64_t on_turn(void *context, int64_t now_ms)
{
    (void)context;
    return now_ms + 1000;
}

static void on_drain(void *context)
{
    (void)context;
}

static void on_retire(void *context, struct call *call)
{
    (void)context;
    (void)call;
}

static const struct call_handler service = {
    .begin = on_begin,
    .message = on_message,
    .half_closed = on_half_closed,
    .writable = on_writable,
    .ended = on_ended,
    .turn = on_turn,
    .drain = on_drain,
    .retire = on_retire,
};

int main(int argc, char **argv)
{
    const struct server_options options = {
        .listen = "127.0.0.1:0", .max_message_bytes = MESSAGE_LIMIT, .ping_interval_ms = 30000};
    _cleanup_(error_done) struct error error = {0};
    const struct transport *transport = argc == 2 ? transport_find(argv[1]) : NULL;
    struct server *server = NULL;
    sigset_t signals;
    int signal_number = 0;

    if (transport == NULL) {
        fputs("usage: interop_server TRANSPORT\n", stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!server_start(transport, &options, &service, &server, &error)) {
        fprintf(stderr, "interop_server: %s\n", error_text(&error));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", server->port);
    fflush(stdout);
    sigwait(&signals, &signal_number);
    server_drain(server, 1000);
    server_free(server);
    return 0;
}
