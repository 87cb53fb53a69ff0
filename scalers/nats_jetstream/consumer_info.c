#include "nats_jetstream/consumer_info.h"

#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/limits.h"

#include <math.h>

enum {
    LARGEST_ANSWER = 1 << 20, /* usually 1 KB; a consumer's own metadata can make it larger */
    LONGEST_DESCRIPTION = 200,
};

/* Up to it every number is exact. And a server that has miscounted reports 2^64 - 1. */
#define MAX_MESSAGES 9007199254740992.0

/* err_code of the JetStream API. */
enum { CONSUMER_NOT_FOUND = 10014, STREAM_NOT_FOUND = 10059 };

bool nats_consumer_info_no_stream(const struct nats_query *query, struct error *error)
{
    return error_unavailable(error, "NATS stream \"%s\" (of consumer \"%s\") does not exist",
                             query->stream, query->consumer);
}

bool nats_consumer_info_no_consumer(const struct nats_query *query, struct error *error)
{
    return error_unavailable(error, "NATS consumer \"%s\" of stream \"%s\" does not exist",
                             query->consumer, query->stream);
}

bool nats_consumer_info_no_leader(const struct nats_query *query, struct error *error)
{
    return error_unavailable(error, "NATS consumer \"%s\" of stream \"%s\" has no leader now",
                             query->consumer, query->stream);
}

bool nats_consumer_info_not_opened(const struct nats_query *query, struct error *error)
{
    return error_unavailable(
        error,
        "NATS consumer \"%s\" of stream \"%s\": a server answered that has not opened its replica "
        "and does not know the counts; if that lasts, see its log (max_ha_assets)",
        query->consumer, query->stream);
}

static double code_of(const json_t *api_error)
{
    return json_number_value(json_object_get(api_error, "err_code"));
}

bool nats_consumer_info_is_absent(const json_t *api_error)
{
    double code = code_of(api_error);
    return code == STREAM_NOT_FOUND || code == CONSUMER_NOT_FOUND;
}

static bool explain_api_error(const json_t *api_error, const struct nats_query *query,
                              struct error *error)
{
    double code = code_of(api_error);
    if (code == STREAM_NOT_FOUND)
        return nats_consumer_info_no_stream(query, error);
    if (code == CONSUMER_NOT_FOUND)
        return nats_consumer_info_no_consumer(query, error);

    const char *description = json_string_value(json_object_get(api_error, "description"));
    if (description == NULL)
        description = "without a description";
    return error_unavailable(error,
                             "NATS refused to describe consumer \"%s\" of stream \"%s\": %.*s "
                             "(error %.0f)",
                             query->consumer, query->stream,
                             (int)text_cut(description, LONGEST_DESCRIPTION), description, code);
}

/* NAN: it is absent, or not valid. */
static double count_of(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    double count = json_number_value(value);
    bool is_valid =
        json_is_number(value) && count >= 0 && count <= MAX_MESSAGES && floor(count) == count;
    return is_valid ? count : (double)NAN;
}

/* An absent count is not 0: that would scale the workload away. */
static bool read_count(const json_t *info, const char *field, const struct nats_query *query,
                       double *ret_count, struct error *error)
{
    *ret_count = count_of(info, field);
    return !isnan(*ret_count) ||
           error_unavailable(
               error, "NATS answered for consumer \"%s\" of stream \"%s\" without a valid %s",
               query->consumer, query->stream, field);
}

/* Deliveries, as the sequences of the stream count messages that the consumer filters out, too. A
 * message that is delivered again counts again, as arrived and, once it is acknowledged, as
 * consumed. */
static void add_totals(const json_t *info, struct reading *reading)
{
    double deliveries = count_of(json_object_get(info, "delivered"), "consumer_seq");
    reading->arrived = deliveries + reading->waiting;
    reading->consumed = deliveries - reading->in_flight;
}

/* The server says for how many nanoseconds; a moment without is one that ends now. */
static double paused_seconds_of(const json_t *info)
{
    enum { NANOSECONDS = 1000 * 1000 * 1000 };
    if (!json_is_true(json_object_get(info, "paused")))
        return 0;
    return fmax(1,
                round(json_number_value(json_object_get(info, "pause_remaining")) / NANOSECONDS));
}

void nats_consumer_info_note(const struct nats_consumer_origin *origin, struct task *task)
{
    if (origin->paused_seconds <= 0)
        return;
    _cleanup_(memory_free) char *note =
        text_format("the consumer is paused for %.0f s more: its pending messages, which nobody "
                    "gets until then, count 0",
                    origin->paused_seconds);
    task_note(task, note);
}

bool nats_consumer_info_counts(const json_t *info, const struct nats_query *query,
                               struct reading *ret_reading, struct error *error)
{
    struct reading reading = READING_UNKNOWN;
    if (!read_count(info, "num_pending", query, &reading.waiting, error) ||
        !read_count(info, "num_ack_pending", query, &reading.in_flight, error))
        return false;
    add_totals(info, &reading);
    if (paused_seconds_of(info) > 0)
        reading.waiting = 0;
    *ret_reading = reading;
    return true;
}

static bool is_default(const json_t *info)
{
    static const char *const counts[] = {"num_pending", "num_ack_pending", "num_redelivered",
                                         "num_waiting"};
    static const char *const positions[] = {"delivered", "ack_floor"};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++)
        if (json_number_value(json_object_get(info, counts[i])) != 0)
            return false;
    for (size_t i = 0; i < ARRAY_LENGTH(positions); i++) {
        const json_t *position = json_object_get(info, positions[i]);
        if (json_number_value(json_object_get(position, "consumer_seq")) != 0 ||
            json_number_value(json_object_get(position, "stream_seq")) != 0)
            return false;
    }
    return true;
}

struct nats_consumer_origin nats_consumer_info_origin(const json_t *info)
{
    const json_t *cluster = json_object_get(info, "cluster");
    bool has_leader = json_string_length(json_object_get(cluster, "leader")) > 0;
    struct nats_consumer_origin origin = {.paused_seconds = paused_seconds_of(info)};
    if (cluster == NULL)
        origin.source = is_default(info) ? NATS_CONSUMER_DEFAULTS : NATS_CONSUMER_COUNTED;
    else
        origin.source = has_leader ? NATS_CONSUMER_COUNTED : NATS_CONSUMER_NO_LEADER;
    return origin;
}

bool nats_consumer_info_parse(const char *bytes, size_t length, const struct nats_query *query,
                              struct reading *ret_reading, struct nats_consumer_origin *ret_origin,
                              struct error *error)
{
    if (length > LARGEST_ANSWER)
        return error_unavailable(
            error, "NATS answered for consumer \"%s\" of stream \"%s\" with %zu bytes: at most %d",
            query->consumer, query->stream, length, LARGEST_ANSWER);

    _cleanup_(json_done) json_t *info = json_text_tree(
        (struct json_text){bytes, length}, JSON_DECODE_INT_AS_REAL, NATS_REPLY_TREE_BYTES);
    if (!json_is_object(info))
        return error_unavailable(
            error,
            "NATS answered for consumer \"%s\" of stream \"%s\" with something else than a "
            "JSON object",
            query->consumer, query->stream);

    const json_t *api_error = json_object_get(info, "error");
    if (api_error != NULL)
        return explain_api_error(api_error, query, error);
    *ret_origin = nats_consumer_info_origin(info);
    return nats_consumer_info_counts(info, query, ret_reading, error);
}
