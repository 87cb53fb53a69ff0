#include "client/scaler_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/rpc_status.h"
#include "base/text.h"

#include <externalscaler.pb-c.h>
#include <math.h>
#include <stdlib.h>

#define SERVICE "/externalscaler.ExternalScaler/"

typedef Externalscaler__ScaledObjectRef ref_message;
typedef Externalscaler__ScaledObjectRef__ScalerMetadataEntry entry_message;

void scaler_client_answer_done(struct scaler_client_answer *answer)
{
    free(answer->metric_name);
    error_done(&answer->error);
    *answer = (struct scaler_client_answer){0};
}

/* ---- requests ---- */

/* A request as messages that borrow the ref's strings. */
struct packed {
    ref_message ref;
    entry_message *entries;
    entry_message **pointers;
};

static void pack_ref(const struct scaler_client_ref *ref, struct packed *packed)
{
    externalscaler__scaled_object_ref__init(&packed->ref);
    packed->entries = memory_array(ref->count, sizeof(*packed->entries));
    packed->pointers = memory_array(ref->count, sizeof(*packed->pointers));
    for (size_t i = 0; i < ref->count; i++) {
        externalscaler__scaled_object_ref__scaler_metadata_entry__init(&packed->entries[i]);
        packed->entries[i].key = (char *)ref->entries[i].key;
        packed->entries[i].value = (char *)ref->entries[i].value;
        packed->pointers[i] = &packed->entries[i];
    }
    packed->ref.name = (char *)ref->name;
    packed->ref.namespace_ = (char *)ref->namespace;
    packed->ref.n_scalermetadata = ref->count;
    packed->ref.scalermetadata = packed->pointers;
}

static void packed_done(struct packed *packed)
{
    free(packed->entries);
    free(packed->pointers);
}

static struct grpc_client_call *start(struct grpc_client *client, const char *path,
                                      const ProtobufCMessage *message, int64_t deadline_ms)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    _cleanup_(memory_free) uint8_t *bytes = memory_new(length + 1);
    protobuf_c_message_pack(message, bytes);
    return grpc_client_call_start(client, path, bytes, length, deadline_ms);
}

static struct grpc_client_call *start_with_ref(struct grpc_client *client, const char *path,
                                               const struct scaler_client_ref *ref,
                                               int64_t deadline_ms)
{
    _cleanup_(packed_done) struct packed packed;
    pack_ref(ref, &packed);
    return start(client, path, &packed.ref.base, deadline_ms);
}

static struct grpc_client_call *start_metrics(struct grpc_client *client,
                                              const struct scaler_client_ref *ref,
                                              const char *metric_name, int64_t deadline_ms)
{
    _cleanup_(packed_done) struct packed packed;
    Externalscaler__GetMetricsRequest request = EXTERNALSCALER__GET_METRICS_REQUEST__INIT;
    pack_ref(ref, &packed);
    request.scaledobjectref = &packed.ref;
    request.metricname = (char *)metric_name;
    return start(client, SERVICE "GetMetrics", &request.base, deadline_ms);
}

/* ---- replies ---- */

static void refuse(struct scaler_client_answer *answer, const char *method, const char *reason)
{
    answer->is_failed = true;
    error_unavailable(&answer->error, "%s: %s", method, reason);
}

/* The reply's bytes, which the caller frees; NULL where there is none, with the answer failed. */
static uint8_t *take_reply(struct grpc_client_call *call, const char *method,
                           struct scaler_client_answer *answer, size_t *ret_length)
{
    uint8_t *bytes = NULL;
    if (grpc_client_call_status(call) != GRPC_CLIENT_OK) {
        answer->is_failed = true;
        error_unavailable(&answer->error, "%s: %s: %s", method,
                          rpc_status_name(grpc_client_call_status(call)),
                          grpc_client_call_text(call));
    } else if (!grpc_client_call_take(call, &bytes, ret_length))
        refuse(answer, method, "unexpected reply: no message");
    return bytes;
}

static void take_spec(struct grpc_client_call *call, struct scaler_client_answer *answer)
{
    static const char method[] = "GetMetricSpec";
    size_t length = 0;
    _cleanup_(memory_free) uint8_t *bytes = take_reply(call, method, answer, &length);
    if (bytes == NULL)
        return;
    Externalscaler__GetMetricSpecResponse *reply =
        externalscaler__get_metric_spec_response__unpack(NULL, length, bytes);
    if (reply == NULL || reply->n_metricspecs == 0)
        refuse(answer, method, "unexpected reply: no metric");
    else {
        const Externalscaler__MetricSpec *spec = reply->metricspecs[0];
        answer->has_target = true;
        answer->metric_name = text_copy(spec->metricname);
        text_make_utf8(answer->metric_name); /* the decoder does not check it, and JSON needs it */
        answer->target =
            spec->targetsizefloat > 0 ? spec->targetsizefloat : (double)spec->targetsize;
    }
    if (reply != NULL)
        externalscaler__get_metric_spec_response__free_unpacked(reply, NULL);
}

static void take_metrics(struct grpc_client_call *call, struct scaler_client_answer *answer)
{
    static const char method[] = "GetMetrics";
    size_t length = 0;
    _cleanup_(memory_free) uint8_t *bytes = take_reply(call, method, answer, &length);
    if (bytes == NULL)
        return;
    Externalscaler__GetMetricsResponse *reply =
        externalscaler__get_metrics_response__unpack(NULL, length, bytes);
    if (reply == NULL || reply->n_metricvalues == 0)
        refuse(answer, method, "unexpected reply: no value");
    for (size_t i = 0; reply != NULL && i < reply->n_metricvalues; i++) {
        const Externalscaler__MetricValue *value = reply->metricvalues[i];
        answer->value +=
            value->metricvaluefloat > 0 ? value->metricvaluefloat : (double)value->metricvalue;
    }
    if (reply != NULL)
        externalscaler__get_metrics_response__free_unpacked(reply, NULL);
}

static bool unpack_active(const uint8_t *bytes, size_t length, bool *ret_active)
{
    Externalscaler__IsActiveResponse *reply =
        externalscaler__is_active_response__unpack(NULL, length, bytes);
    if (reply == NULL)
        return false;
    *ret_active = reply->result;
    externalscaler__is_active_response__free_unpacked(reply, NULL);
    return true;
}

static void take_active(struct grpc_client_call *call, struct scaler_client_answer *answer)
{
    static const char method[] = "IsActive";
    size_t length = 0;
    _cleanup_(memory_free) uint8_t *bytes = take_reply(call, method, answer, &length);
    if (bytes != NULL && !unpack_active(bytes, length, &answer->is_active))
        refuse(answer, method, "unexpected reply");
}

/* ---- rounds ---- */

enum round { ROUND_SPEC, ROUND_METRICS, ROUND_ACTIVE, ROUNDS };

static struct grpc_client_call *begin(struct grpc_client *client, enum round round,
                                      const struct scaler_client_ref *ref,
                                      const struct scaler_client_answer *answer,
                                      int64_t deadline_ms)
{
    if (answer->is_failed)
        return NULL;
    switch (round) {
    case ROUND_SPEC:
        return start_with_ref(client, SERVICE "GetMetricSpec", ref, deadline_ms);
    case ROUND_METRICS:
        return start_metrics(client, ref, answer->metric_name, deadline_ms);
    default:
        return start_with_ref(client, SERVICE "IsActive", ref, deadline_ms);
    }
}

static void end(struct grpc_client *client, enum round round, struct grpc_client_call *call,
                struct scaler_client_answer *answer)
{
    if (call == NULL)
        return;
    while (!grpc_client_call_is_done(call))
        grpc_client_wait(client, CLOCK_NEVER); /* its deadline ends it */
    if (round == ROUND_SPEC)
        take_spec(call, answer);
    else if (round == ROUND_METRICS)
        take_metrics(call, answer);
    else
        take_active(call, answer);
    grpc_client_call_free(call);
}

static void run_rounds(struct grpc_client *client, enum round rounds,
                       const struct scaler_client_ref *refs, size_t count, int64_t deadline_ms,
                       struct scaler_client_answer *ret_answers)
{
    _cleanup_(memory_free) struct grpc_client_call **calls = memory_array(count, sizeof(*calls));
    for (size_t i = 0; i < count; i++)
        ret_answers[i] = (struct scaler_client_answer){0};
    for (enum round round = ROUND_SPEC; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            calls[i] = begin(client, round, &refs[i], &ret_answers[i], deadline_ms);
        for (size_t i = 0; i < count; i++)
            end(client, round, calls[i], &ret_answers[i]);
    }
}

void scaler_client_read(struct grpc_client *client, const struct scaler_client_ref *refs,
                        size_t count, int64_t deadline_ms, struct scaler_client_answer *ret_answers)
{
    run_rounds(client, ROUNDS, refs, count, deadline_ms, ret_answers);
}

void scaler_client_read_specs(struct grpc_client *client, const struct scaler_client_ref *refs,
                              size_t count, int64_t deadline_ms,
                              struct scaler_client_answer *ret_answers)
{
    run_rounds(client, ROUND_METRICS, refs, count, deadline_ms, ret_answers);
}

/* ---- the stream ---- */

struct grpc_client_call *scaler_client_stream(struct grpc_client *client,
                                              const struct scaler_client_ref *ref)
{
    return start_with_ref(client, SERVICE "StreamIsActive", ref, CLOCK_NEVER);
}

bool scaler_client_take(struct grpc_client_call *stream, bool *ret_active)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (!grpc_client_call_take(stream, &bytes, &length))
        return false;
    bool good = unpack_active(bytes, length, ret_active);
    free(bytes);
    return good;
}
