/*
 * One call on the C core. Hooks and events only note what is wanted or what happened, and touch the
 * call; core_call_advance() then checks all of it and starts the batches. So what one hook orders
 * leaves in one batch, and there is one place that knows what may be under way together.
 *
 * The core's rules: one read, one message and one status in flight each; a status needs the initial
 * metadata before it or with it; RECV_CLOSE_ON_SERVER exactly once, and the call is over when it
 * has come back, be it finished, cancelled or cut off.
 */
#include "serve/grpc_core/call.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/grpc_core/tls.h"
#include "serve/transport/status_text.h"

#include <stdlib.h>

struct core_call {
    struct call call;
    struct core_server *server;
    STAILQ_ENTRY(core_call) touched;
    bool is_touched;

    /* Filled by the core when the call arrives. */
    grpc_call *handle;
    grpc_call_details details;
    grpc_metadata_array metadata;
    char *path;
    struct client_names *names;

    /* What the service ordered. */
    bool is_denied; /* the service is not called for it */
    bool read_wanted;
    bool finished;
    enum status status;
    grpc_slice status_text;
    grpc_byte_buffer *message; /* waiting, or in flight while `writing` */

    /* What is under way in the core, or done. */
    bool reading;
    bool writing;
    bool watching; /* RECV_CLOSE_ON_SERVER was ordered */
    bool metadata_sent;
    bool status_sent;
    bool closed;
    bool refused_by_core; /* its message */
    grpc_byte_buffer *received;
    int cancelled;

    struct operation arrival;
    struct operation read;
    struct operation write;
    struct operation close;
    struct operation last; /* the status and the close as one */
};

static void touch(struct core_call *call)
{
    if (call->is_touched)
        return;
    call->is_touched = true;
    STAILQ_INSERT_TAIL(&call->server->touched, call, touched);
}

struct core_call *core_call_touched(struct core_server *server)
{
    struct core_call *call = STAILQ_FIRST(&server->touched);
    if (call == NULL)
        return NULL;
    STAILQ_REMOVE_HEAD(&server->touched, touched);
    call->is_touched = false;
    return call;
}

static void core_call_free(struct core_call *call)
{
    if (call->handle != NULL)
        core.grpc_call_unref(call->handle);
    core.grpc_byte_buffer_destroy(call->message);
    core.grpc_slice_unref(call->status_text);
    core.gpr_free(call->path);
    client_names_free(call->names);
    free(call);
}

/* The core refuses a batch only where its rules above were broken: we no longer know what is under
 * way, and an answer might go to the wrong place. */
static void start(struct core_call *call, const grpc_op *operations, size_t count,
                  struct operation *tag)
{
    grpc_call_error refusal =
        core.grpc_call_start_batch(call->handle, operations, count, tag, NULL);
    if (refusal == GRPC_CALL_OK)
        return;
    log_error("gRPC refused a batch of %s: %s", call->path,
              core.grpc_call_error_to_string(refusal));
    abort();
}

static void start_read(struct core_call *call)
{
    call->read_wanted = false;
    call->reading = true;
    const grpc_op read = {.op = GRPC_OP_RECV_MESSAGE,
                          .data.recv_message.recv_message = &call->received};
    start(call, &read, 1, &call->read);
}

static grpc_op watch(struct core_call *call)
{
    call->watching = true;
    return (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                     .data.recv_close_on_server.cancelled = &call->cancelled};
}

static grpc_op send_headers(struct core_call *call)
{
    call->metadata_sent = true;
    return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
}

static grpc_op send_status(struct core_call *call)
{
    call->status_sent = true;
    grpc_op operation = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    operation.data.send_status_from_server.status = (grpc_status_code)call->status;
    if (!GRPC_SLICE_IS_EMPTY(call->status_text))
        operation.data.send_status_from_server.status_details = &call->status_text;
    return operation;
}

/* All that is to be sent, as one batch. The last one of a call that is not watched yet, a unary one
 * as a rule, takes the close along: that is cheaper than a batch of its own. */
static void start_write(struct core_call *call)
{
    grpc_op operations[4];
    size_t count = 0;
    struct operation *tag = &call->write;

    if (!call->metadata_sent)
        operations[count++] = send_headers(call);
    if (call->message != NULL)
        operations[count++] =
            (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->message};
    if (call->finished)
        operations[count++] = send_status(call);
    if (call->finished && !call->watching) {
        operations[count++] = watch(call);
        tag = &call->last;
    }

    call->writing = true;
    start(call, operations, count, tag);
}

/* Of a message that it refuses the core does not give the reason: it is too large, but for one that
 * cannot be decompressed, whose client gets INTERNAL. */
static enum status ending_of(const struct core_call *call)
{
    if (call->finished)
        return call->status;
    return call->refused_by_core ? STATUS_RESOURCE_EXHAUSTED : call_unfinished(&call->call);
}

static void end(struct core_call *call)
{
    const struct call_handler *handler = call->server->handler;
    call->server->live--;
    if (!call->is_denied)
        handler->ended(handler->context, &call->call, ending_of(call));
    core_call_free(call);
}

void core_call_advance(struct core_call *call)
{
    bool has_more = call->message != NULL || call->finished;
    if (call->closed) {
        if (!call->reading && !call->writing)
            end(call);
        return;
    }
    if (has_more && !call->writing && !call->status_sent)
        start_write(call);
    if (call->read_wanted && !call->reading && !call->finished)
        start_read(call);
    /* A read notices by itself that the client is gone. */
    if (!call->reading && !call->watching) {
        const grpc_op close = watch(call);
        start(call, &close, 1, &call->close);
    }
}

/* Whether hooks are still called for it: after it is finished only ended() follows. */
static bool is_open(const struct core_call *call)
{
    return !call->finished && !call->closed;
}

/* The core has decompressed it, and refused what is too large before or after that. */
static void deliver(struct core_call *call, grpc_byte_buffer *message)
{
    const struct call_handler *handler = call->server->handler;
    grpc_byte_buffer_reader reader;
    if (!core.grpc_byte_buffer_reader_init(&reader, message)) {
        core_call_finish(&call->call, STATUS_INVALID_ARGUMENT,
                         "the message cannot be decompressed");
        return;
    }

    grpc_slice whole = core.grpc_byte_buffer_reader_readall(&reader);
    struct bytes bytes = {.data = GRPC_SLICE_START_PTR(whole), .length = GRPC_SLICE_LENGTH(whole)};
    handler->message(handler->context, &call->call, bytes);
    core.grpc_slice_unref(whole);
    core.grpc_byte_buffer_reader_destroy(&reader);
}

static void was_read(void *owner, bool success)
{
    struct core_call *call = owner;
    const struct call_handler *handler = call->server->handler;
    grpc_byte_buffer *message = TAKE(call->received);
    call->reading = false;
    touch(call);

    call->refused_by_core = !success; /* a client that is gone is none: that succeeds */
    bool in_order = success && !core.grpc_call_failed_before_recv_message(call->handle);
    if (is_open(call) && message != NULL)
        deliver(call, message);
    else if (is_open(call) && in_order)
        handler->half_closed(handler->context, &call->call);
    core.grpc_byte_buffer_destroy(message);
}

static void was_written(void *owner, bool success)
{
    struct core_call *call = owner;
    const struct call_handler *handler = call->server->handler;
    core.grpc_byte_buffer_destroy(TAKE(call->message));
    call->writing = false;
    touch(call);

    /* The client is gone, as the close will report; but make sure that it comes. */
    if (!success)
        core.grpc_call_cancel(call->handle, NULL);
    else if (is_open(call))
        handler->writable(handler->context, &call->call);
}

static void was_closed(void *owner, bool success)
{
    (void)success; /* this operation never fails */
    struct core_call *call = owner;
    call->closed = true;
    touch(call);
}

static void was_answered(void *owner, bool success)
{
    struct core_call *call = owner;
    call->writing = false;
    was_closed(owner, success);
}

/* The core's deadline, of a clock of its own, as clock_now_ms() counts. */
static int64_t deadline_of(gpr_timespec deadline)
{
    if (core.gpr_time_cmp(deadline, core.gpr_inf_future(deadline.clock_type)) == 0)
        return CLOCK_NEVER;
    gpr_timespec left = core.gpr_time_sub(deadline, core.gpr_now(deadline.clock_type));
    return clock_now_ms() + core.gpr_time_to_millis(left);
}

/* Who calls, and whether that is enough. */
static char *refusal_of(struct core_call *call)
{
    const struct client_rule *rule = call->server->client_rule;
    if (!call->server->requests_client_names)
        return NULL;
    call->names = core_tls_peer(call->handle);
    call->call.names = call->names;
    return call->names == NULL || rule == NULL ? NULL : client_names_refusal(call->names, rule);
}

static void begin(struct core_call *call)
{
    const struct call_handler *handler = call->server->handler;
    _cleanup_(memory_free) char *refusal = refusal_of(call);
    call->is_denied = refusal != NULL;
    if (refusal == NULL) {
        handler->begin(handler->context, &call->call);
        return;
    }
    core_call_finish(&call->call, STATUS_PERMISSION_DENIED, refusal);
    if (handler->refused != NULL)
        handler->refused(handler->context, call->path, STATUS_PERMISSION_DENIED);
}

static void has_arrived(void *owner, bool success)
{
    struct core_call *call = owner;
    struct core_server *server = call->server;
    call->path = core.grpc_slice_to_c_string(call->details.method);
    call->call = (struct call){.transport = server->server.transport,
                               .path = call->path,
                               .deadline_ms = deadline_of(call->details.deadline)};
    core.grpc_call_details_destroy(&call->details);
    if (!success) { /* the server shuts down: nobody will call */
        core.grpc_metadata_array_destroy(&call->metadata);
        core_call_free(call);
        return;
    }

    core_call_request(server);
    server->live++;
    touch(call);
    begin(call);
    core.grpc_metadata_array_destroy(&call->metadata);
}

void core_call_request(struct core_server *server)
{
    struct core_call *call = memory_new(sizeof(*call));
    call->server = server;
    call->status_text = core.grpc_empty_slice();
    call->arrival = (struct operation){.owner = call, .done = has_arrived};
    call->read = (struct operation){.owner = call, .done = was_read};
    call->write = (struct operation){.owner = call, .done = was_written};
    call->close = (struct operation){.owner = call, .done = was_closed};
    call->last = (struct operation){.owner = call, .done = was_answered};
    core.grpc_call_details_init(&call->details);
    core.grpc_metadata_array_init(&call->metadata);

    grpc_call_error refusal = core.grpc_server_request_call(
        server->handle, &call->handle, &call->details, &call->metadata, server->queue,
        server->queue, &call->arrival);
    if (refusal == GRPC_CALL_OK)
        return;
    log_error("gRPC refused to take calls: %s", core.grpc_call_error_to_string(refusal));
    abort();
}

void core_call_read(struct call *base)
{
    struct core_call *call = (struct core_call *)base;
    call->read_wanted = true;
    touch(call);
}

bool core_call_send(struct call *base, struct bytes message)
{
    struct core_call *call = (struct core_call *)base;
    if (!is_open(call))
        return true; /* the client is gone, and ended() is on its way */
    if (call->message != NULL)
        return false;

    grpc_slice slice =
        core.grpc_slice_from_copied_buffer((const char *)message.data, message.length);
    call->message = core.grpc_raw_byte_buffer_create(&slice, 1);
    core.grpc_slice_unref(slice);
    touch(call);
    return true;
}

void core_call_finish(struct call *base, enum status status, const char *text)
{
    struct core_call *call = (struct core_call *)base;
    if (!is_open(call))
        return;
    call->finished = true;
    call->status = status;
    if (text != NULL)
        call->status_text = core.grpc_slice_from_copied_buffer(text, status_text_cut(text));
    touch(call);
}
