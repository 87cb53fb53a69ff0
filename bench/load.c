/*
 * The load of bench/run: keeps calls of GetMetrics in progress for some seconds, each with the next
 * of the requests in a file (length as a native uint32, then the message), and prints what came of
 * them.
 *
 *     load PORT CONNECTIONS CALLS_PER_CONNECTION SECONDS REQUESTS
 *
 * One thread. A call that does not end with OK and a message ends the program with 1.
 */
#include "base/memory.h"
#include "base/text.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_REQUESTS = 100000,
    MAX_REQUEST_BYTES = 65536,
    MAX_CALL_SECONDS = 10,
    MAX_LATENCY_US = 1000000, /* what took longer is counted as this */
};

struct load {
    grpc_completion_queue *queue;
    grpc_slice requests[MAX_REQUESTS];
    size_t requests_count;
    size_t next_request;
    size_t in_progress;
    uint64_t answered;
    int64_t end_us;
    uint32_t latencies[MAX_LATENCY_US + 1]; /* how many calls took so many microseconds */
};

/* One of the calls that are in progress at a time; a new one begins where it ends. */
struct slot {
    grpc_channel *channel;
    grpc_call *call;
    grpc_metadata_array headers, trailers;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice status_text;
    int64_t began_us;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void fail(const char *text)
{
    fprintf(stderr, "load: %s\n", text);
    exit(1);
}

static void begin(struct load *load, struct slot *slot)
{
    static const char path[] = "/externalscaler.ExternalScaler/GetMetrics";
    grpc_slice request = load->requests[load->next_request++ % load->requests_count];
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&request, 1);
    grpc_metadata_array_init(&slot->headers);
    grpc_metadata_array_init(&slot->trailers);
    slot->call = grpc_channel_create_call(
        slot->channel, NULL, 0, load->queue, grpc_slice_from_static_string(path), NULL,
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_seconds(MAX_CALL_SECONDS, GPR_TIMESPAN)),
        NULL);
    const grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &slot->headers},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &slot->received},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &slot->trailers,
                                        .status = &slot->status,
                                        .status_details = &slot->status_text}},
    };
    slot->began_us = now_us();
    if (grpc_call_start_batch(slot->call, operations, ARRAY_LENGTH(operations), slot, NULL) !=
        GRPC_CALL_OK)
        fail("a call could not be started");
    load->in_progress++;
    grpc_byte_buffer_destroy(message);
}

static void check_slot(const struct slot *slot)
{
    if (slot->status == GRPC_STATUS_OK && slot->received != NULL &&
        grpc_byte_buffer_length(slot->received) > 0)
        return;
    fprintf(stderr, "load: a call ended with status %d: %.*s\n", (int)slot->status,
            (int)GRPC_SLICE_LENGTH(slot->status_text),
            (const char *)GRPC_SLICE_START_PTR(slot->status_text));
    exit(1);
}

static void end(struct load *load, struct slot *slot)
{
    int64_t took_us = now_us() - slot->began_us;
    check_slot(slot);
    load->latencies[took_us < MAX_LATENCY_US ? took_us : MAX_LATENCY_US]++;
    load->answered++;
    load->in_progress--;
    grpc_byte_buffer_destroy(TAKE(slot->received));
    grpc_slice_unref(slot->status_text);
    grpc_metadata_array_destroy(&slot->headers);
    grpc_metadata_array_destroy(&slot->trailers);
    grpc_call_unref(TAKE(slot->call));
}

/* Each call that ends makes room for the next, until the time is over and the last has ended. */
static void run_load(struct load *load)
{
    while (load->in_progress > 0) {
        grpc_event event =
            grpc_completion_queue_next(load->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        end(load, event.tag);
        if (now_us() < load->end_us)
            begin(load, event.tag);
    }
}

static void read_requests(struct load *load, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint32_t length;
    if (file == NULL)
        fail("the file of requests cannot be read");
    while (load->requests_count < MAX_REQUESTS && fread(&length, sizeof(length), 1, file) == 1) {
        if (length > MAX_REQUEST_BYTES)
            fail("a request is too long");
        grpc_slice request = grpc_slice_malloc(length);
        if (fread(GRPC_SLICE_START_PTR(request), 1, length, file) != length)
            fail("the file of requests ends within one");
        load->requests[load->requests_count++] = request;
    }
    fclose(file);
    if (load->requests_count == 0)
        fail("the file of requests is empty");
}

/* A channel of its own is a connection of its own only with a pool of its own. */
static grpc_channel *connect_to(const char *port)
{
    grpc_arg arguments[] = {
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, {.integer = 1}},
        {GRPC_ARG_INTEGER, (char *)GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = 0}},
    };
    const grpc_channel_args all = {.num_args = ARRAY_LENGTH(arguments), .args = arguments};
    _cleanup_(memory_free) char *target = text_format("127.0.0.1:%s", port);
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(target, credentials, &all);
    grpc_channel_credentials_release(credentials);
    return channel;
}

static int percentile_us(const struct load *load, double percent)
{
    uint64_t seen = 0;
    for (int us = 0; us < MAX_LATENCY_US; us++) {
        seen += load->latencies[us];
        if ((double)seen >= (double)load->answered * percent / 100)
            return us;
    }
    return MAX_LATENCY_US;
}

static size_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (value < 1 || value > 10000 || *end != '\0')
        fail("connections, calls and seconds are numbers from 1 to 10000");
    return value;
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc != 6)
        fail("usage: load PORT CONNECTIONS CALLS_PER_CONNECTION SECONDS REQUESTS");
    size_t connections = number(argv[2]);
    size_t calls = number(argv[3]);
    read_requests(&load, argv[5]);

    grpc_init();
    load.queue = grpc_completion_queue_create_for_next(NULL);
    struct slot *slots = memory_array(connections * calls, sizeof(*slots));
    int64_t began_us = now_us();
    load.end_us = began_us + (int64_t)number(argv[4]) * 1000000;
    for (size_t i = 0; i < connections * calls; i++) {
        slots[i].channel = i < connections ? connect_to(argv[1]) : slots[i - connections].channel;
        begin(&load, &slots[i]);
    }
    run_load(&load);

    printf("{\"answered\": %llu, \"seconds\": %.3f, \"p50_us\": %d, \"p99_us\": %d, \"grpc\": "
           "\"%s\"}\n",
           (unsigned long long)load.answered, (double)(now_us() - began_us) / 1e6,
           percentile_us(&load, 50), percentile_us(&load, 99), grpc_version_string());
    return 0;
}
