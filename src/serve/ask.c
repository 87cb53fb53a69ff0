#include "serve/ask.h"

#include "base/memory.h"

#include <utlist.h>

struct external_scaler *ask_scaler(const struct ask *ask)
{
    return ask->rpc.service->context;
}

void ask_put_on(struct ask *ask, struct ask **list)
{
    if (ask->list != NULL)
        DL_DELETE(*ask->list, ask);
    ask->list = list;
    if (list != NULL)
        DL_APPEND(*list, ask);
}

bool ask_find_trigger(struct ask *ask, const Externalscaler__ScaledObjectRef *message,
                      int64_t now_ms, struct error *error)
{
    struct option_entry entries[EXTERNAL_SCALER_MOST_KEYS];
    if (message == NULL)
        return error_invalid(error, "the request has no scaledObjectRef");
    if (message->n_scalermetadata > EXTERNAL_SCALER_MOST_KEYS)
        return error_invalid(error, "scalerMetadata has %zu keys: at most %d are allowed",
                             message->n_scalermetadata, EXTERNAL_SCALER_MOST_KEYS);

    for (size_t i = 0; i < message->n_scalermetadata; i++)
        entries[i] = (struct option_entry){message->scalermetadata[i]->key,
                                           message->scalermetadata[i]->value};
    struct trigger_ref ref = {message->name, message->namespace_, entries,
                              message->n_scalermetadata};
    if (!triggers_find(ask_scaler(ask)->settings.triggers, &ref, now_ms, &ask->trigger, error))
        return false;
    trigger_pin(ask->trigger);
    return true;
}

void ask_tell(struct ask *ask, const struct answer *answer, int64_t now_ms)
{
    trigger_record_answer(ask->trigger, method_name(ask->rpc.method), answer, now_ms);
}

void ask_refuse(struct ask *ask, const struct error *error, int64_t now_ms)
{
    const struct answer refused = {.kind = ANSWER_REFUSED, .error = *error};
    ask_tell(ask, &refused, now_ms);
    rpc_finish_with(&ask->rpc, error);
}

bool ask_find_query(struct ask *ask, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query;
    if (trigger_query(ask_scaler(ask)->settings.triggers, ask->trigger, &query, &error))
        return true;
    if (!ask->is_stream || !ask->trigger->lacks_connection)
        ask_refuse(ask, &error, now_ms);
    return false;
}

bool ask_understand(struct ask *ask, const Externalscaler__ScaledObjectRef *message, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    if (ask_find_trigger(ask, message, now_ms, &error))
        return ask_find_query(ask, now_ms);
    rpc_finish_with(&ask->rpc, &error);
    return false;
}

void ask_watch(struct ask *ask)
{
    if (ask->is_watching)
        return;
    ask->is_watching = true;
    ask->watcher.asker = ask;
    trigger_watch(ask->trigger, &ask->watcher, ask->is_stream);
}

void ask_decide(const struct ask *ask, int64_t now_ms, bool out_of_time, struct answer *ret_answer)
{
    const struct answer_call call = {
        .is_stream = ask->is_stream, .arrived_ms = ask->arrived_ms, .out_of_time = out_of_time};
    trigger_answer(ask->trigger, &call, now_ms, ret_answer);
}
