#include "support/core_client.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/certificate.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/compression.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum tag { SENT, HEADERS, MESSAGE, STATUS };

static gpr_timespec in_ms(int64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static const struct certificate *trusted;

void core_client_secure(const struct certificate *certificate)
{
    trusted = certificate;
}

static grpc_channel_credentials *make_credentials(void)
{
    if (trusted == NULL)
        return grpc_insecure_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {.private_key = trusted->key_pem, .cert_chain = trusted->pem};
    return grpc_ssl_credentials_create_ex(trusted->pem, &pair, NULL, NULL);
}

void core_client_init(struct core_client *client, int port, grpc_compression_algorithm compression)
{
    grpc_arg arguments[] = {
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = 0}},
        {GRPC_ARG_INTEGER,
         (char *)GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM,
         {.integer = (int)compression}},
    };
    const grpc_channel_args all = {.num_args = ARRAY_LENGTH(arguments), .args = arguments};
    _cleanup_(memory_free) char *target = text_format("127.0.0.1:%d", port);
    grpc_channel_credentials *credentials = make_credentials();
    client->channel = grpc_channel_create(target, credentials, &all);
    client->queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_channel_credentials_release(credentials);
}

void core_client_connect(struct core_client *client)
{
    gpr_timespec end = in_ms(10000);
    grpc_connectivity_state now;
    while ((now = grpc_channel_check_connectivity_state(client->channel, 1)) !=
           GRPC_CHANNEL_READY) {
        grpc_channel_watch_connectivity_state(client->channel, now, end, client->queue, client);
        assert_int_equal(
            grpc_completion_queue_pluck(client->queue, client, in_ms(20000), NULL).success, 1);
    }
}

void core_client_read(struct core_client *client, long ms)
{
    gpr_timespec until =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
    grpc_completion_queue_pluck(client->queue, client, until, NULL);
}

void core_client_done(struct core_client *client)
{
    grpc_channel_destroy(client->channel);
    grpc_completion_queue_shutdown(client->queue);
    grpc_completion_queue_destroy(client->queue);
}

static void start(struct client_call *call, const grpc_op *operations, size_t count, enum tag tag)
{
    assert_int_equal(grpc_call_start_batch(call->handle, operations, count, &call->tags[tag], NULL),
                     GRPC_CALL_OK);
}

static bool await(struct client_call *call, enum tag tag)
{
    grpc_event event =
        grpc_completion_queue_pluck(call->client->queue, &call->tags[tag], in_ms(10000), NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    return event.success != 0;
}

static void send_request(struct client_call *call, const char *message)
{
    grpc_slice slice =
        message == NULL ? grpc_empty_slice() : grpc_slice_from_copied_string(message);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op operations[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                             {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}};
    size_t count = 2;
    if (message != NULL)
        operations[count++] =
            (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    start(call, operations, count, SENT);
    await(call, SENT);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(slice);
}

static void expect_answer(struct client_call *call)
{
    grpc_op headers = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                       .data.recv_initial_metadata.recv_initial_metadata = &call->headers};
    grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                      .data.recv_status_on_client = {.trailing_metadata = &call->trailers,
                                                     .status = &call->status,
                                                     .status_details = &call->status_text}};
    start(call, &headers, 1, HEADERS);
    start(call, &status, 1, STATUS);
}

struct client_call *client_call_open(struct core_client *client, const char *path,
                                     const char *message, int64_t deadline_ms)
{
    struct client_call *call = memory_new(sizeof(*call));
    grpc_slice method = grpc_slice_from_copied_string(path);
    call->client = client;
    call->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&call->headers);
    grpc_metadata_array_init(&call->trailers);
    call->handle = grpc_channel_create_call(
        client->channel, NULL, 0, client->queue, method, NULL,
        deadline_ms == 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC) : in_ms(deadline_ms), NULL);
    grpc_slice_unref(method);
    expect_answer(call);
    send_request(call, message);
    return call;
}

char *client_call_receive(struct client_call *call)
{
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE,
                       .data.recv_message.recv_message = &call->received};
    start(call, &receive, 1, MESSAGE);
    if (!await(call, MESSAGE) || call->received == NULL)
        return NULL;

    grpc_byte_buffer_reader reader;
    assert_true(grpc_byte_buffer_reader_init(&reader, call->received));
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    char *text =
        text_copy_bytes((const char *)GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole));
    grpc_slice_unref(whole);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(TAKE(call->received));
    return text;
}

void client_call_cancel(struct client_call *call)
{
    assert_int_equal(grpc_call_cancel(call->handle, NULL), GRPC_CALL_OK);
}

grpc_status_code client_call_status(struct client_call *call)
{
    if (call->is_over)
        return call->status;
    await(call, STATUS);
    await(call, HEADERS);
    call->is_over = true;
    return call->status;
}

char *client_call_text(const struct client_call *call)
{
    return text_copy_bytes((const char *)GRPC_SLICE_START_PTR(call->status_text),
                           GRPC_SLICE_LENGTH(call->status_text));
}

void client_call_free(struct client_call *call)
{
    if (!call->is_over)
        client_call_cancel(call);
    client_call_status(call);
    grpc_call_unref(call->handle);
    grpc_metadata_array_destroy(&call->headers);
    grpc_metadata_array_destroy(&call->trailers);
    grpc_slice_unref(call->status_text);
    free(call);
}
