/* A changed connections file: waiting calls and open streams go on with what their triggers ask now. */
#include "serve/ask.h"

#include "base/clock.h"

#include <utlist.h>

/* How long one turn renews triggers: calls wait meanwhile. */
enum { RENEW_MS = 5 };

static bool watches_former(const struct ask *ask)
{
    const struct trigger *trigger = ask->trigger;
    return ask->watcher.query != NULL && trigger != NULL &&
           ask->watcher.query == trigger->former_query;
}

/* Whose trigger asks the same as before is left alone, and so is a stream of specs. */
static void follow_trigger(struct ask *ask, int64_t now_ms)
{
    bool waited_for_connection = ask->watcher.query == NULL;
    if (ask->rpc.finished || ask->news == NULL || (!waited_for_connection && !watches_former(ask)))
        return;
    watcher_stop(&ask->watcher);
    if (ask_find_query(ask, now_ms)) {
        ask_watch(ask);
        ask->news(ask, now_ms, false);
    } else if (!ask->rpc.finished)
        stream_tell_nothing(ask);
}

static void end(struct external_scaler *scaler, int64_t now_ms)
{
    struct ask *ask;
    struct ask *next;
    DL_FOREACH_SAFE(scaler->waiting, ask, next)
    follow_trigger(ask, now_ms);
    triggers_forget_former(scaler->settings.triggers);
    scaler->is_renewing = false;
}

/* As much as may be done at a time: first for the streams, then for triggers that nobody is asking about. */
void renewal_go_on(struct external_scaler *scaler, int64_t now_ms)
{
    int64_t until_ms = now_ms + RENEW_MS;
    while (scaler->next_renewed != NULL) {
        struct ask *ask = scaler->next_renewed;
        scaler->next_renewed = ask->next_open;
        if (ask->trigger != NULL)
            trigger_renew(scaler->settings.triggers, ask->trigger);
        follow_trigger(ask, now_ms);
        if (clock_now_ms() >= until_ms)
            return;
    }
    while (triggers_renew(scaler->settings.triggers))
        if (clock_now_ms() >= until_ms)
            return;
    end(scaler, now_ms);
}

bool renewal_begin(struct external_scaler *scaler, struct connections *connections)
{
    if (scaler->is_renewing)
        return false;
    triggers_set_connections(scaler->settings.triggers, connections);
    scaler->next_renewed = scaler->streams;
    scaler->is_renewing = true;
    return true;
}
