#include "serve/services/scaler_call.h"

#include "base/memory.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_decide.h"
#include "serve/services/reply.h"

#include <utlist.h>

struct scaler_calls *scaler_call_shared(const struct scaler_call *call)
{
    return call->rpc.service->context;
}

void scaler_call_put_on(struct scaler_call *call, struct scaler_call **list)
{
    if (call->list != NULL)
        DL_DELETE(*call->list, call);
    call->list = list;
    if (list != NULL)
        DL_APPEND(*list, call);
}

bool scaler_call_find_trigger(struct scaler_call *call,
                              const Externalscaler__ScaledObjectRef *message, int64_t now_ms,
                              struct error *error)
{
    struct option_entry entries[OPTION_MAX_KEYS];
    if (message == NULL)
        return error_invalid(error, "the request has no scaledObjectRef");
    if (message->n_scalermetadata > OPTION_MAX_KEYS)
        return error_set(error, ERROR_LIMIT, "scalerMetadata has %zu keys: at most %d are allowed",
                         message->n_scalermetadata, OPTION_MAX_KEYS);

    for (size_t i = 0; i < message->n_scalermetadata; i++)
        entries[i] = (struct option_entry){message->scalermetadata[i]->key,
                                           message->scalermetadata[i]->value};
    struct trigger_ref ref = {message->name, message->namespace_, entries,
                              message->n_scalermetadata};
    if (!triggers_find(scaler_call_shared(call)->triggers, &ref, now_ms, &call->trigger, error))
        return false;
    triggers_pin(scaler_call_shared(call)->triggers, call->trigger);
    return true;
}

void scaler_call_reply_spec(const struct scaler_call *call)
{
    reply_specs(call->rpc.call, call->trigger->parsed.metric_name, call->trigger->parsed.target);
}

void scaler_call_record_answer(struct scaler_call *call, const struct answer *answer,
                               int64_t now_ms)
{
    trigger_answers_record(call->trigger, method_name(call->rpc.method), answer, now_ms);
}

void scaler_call_refuse(struct scaler_call *call, const struct error *error, int64_t now_ms)
{
    trigger_answers_refuse(call->trigger, method_name(call->rpc.method), error, now_ms);
    rpc_finish_with(&call->rpc, error);
}

bool scaler_call_find_query(struct scaler_call *call, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query;
    if (triggers_acquire_query(scaler_call_shared(call)->triggers, call->trigger, now_ms, &query,
                               &error))
        return true;
    enum trigger_phase phase = call->trigger->phase;
    bool may_be_connected = phase == TRIGGER_PENDING || phase == TRIGGER_UNCONNECTED;
    if (!call->is_stream && phase == TRIGGER_PENDING)
        return true; /* it waits as for a measurement */
    if (!call->is_stream || !may_be_connected)
        scaler_call_refuse(call, &error, now_ms);
    return false;
}

bool scaler_call_prepare(struct scaler_call *call, const Externalscaler__ScaledObjectRef *message,
                         int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (scaler_call_find_trigger(call, message, now_ms, &error))
        return scaler_call_find_query(call, now_ms);
    rpc_finish_with(&call->rpc, &error);
    return false;
}

void scaler_call_watch(struct scaler_call *call)
{
    if (call->is_watching)
        return;
    call->is_watching = true;
    call->watcher.caller = call;
    trigger_watch(call->trigger, &call->watcher, call->is_stream);
}

void scaler_call_decide(const struct scaler_call *call, int64_t now_ms, bool out_of_time,
                        struct answer *ret_answer)
{
    const struct answer_call as = {
        .is_stream = call->is_stream, .arrived_ms = call->arrived_ms, .out_of_time = out_of_time};
    trigger_decide(call->trigger, &as, now_ms, ret_answer);
}
