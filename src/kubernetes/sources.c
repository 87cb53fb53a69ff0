#include "kubernetes/sources.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    MAX_NEW_WATCHES = 16, /* that have not been answered yet */
    IDLE_MS = 60 * 1000,
};

void sources_init(struct sources *sources, const struct sources_owner *owner)
{
    *sources = (struct sources){.owner = *owner};
}

void sources_done(struct sources *sources)
{
    for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
        sources_drop(sources->of_kind[kind]);
}

/* ---- what watches say ---- */

static void take_event(void *context, const struct watch_event *event)
{
    const struct source *source = context;
    const struct sources_owner *owner = &source->sources->owner;
    owner->changed(owner->context, source->watch.kind, event);
}

static void change_live(void *context, int64_t live_ms)
{
    struct source *source = context;
    const struct sources_owner *owner = &source->sources->owner;
    if (live_ms != CLOCK_NEVER)
        owner->answered(owner->context);
    if (source->live_ms == live_ms)
        return;
    source->live_ms = live_ms;
    if (live_ms != CLOCK_NEVER)
        source->refused_ms = 0;
    owner->went_live(owner->context, source);
}

/* ---- which there are ---- */

struct source *sources_watch(struct sources *sources, enum object_kind kind, const char *namespace,
                             const char *name, void *user)
{
    struct source *source = memory_new(sizeof(*source));
    const struct watch_owner owner = {.multi = sources->owner.multi,
                                      .replies = sources->owner.replies,
                                      .api = sources->owner.api,
                                      .changed = take_event,
                                      .went_live = change_live,
                                      .context = source};
    source->sources = sources;
    source->user = user;
    source->live_ms = CLOCK_NEVER;
    watch_init(&source->watch, &owner, kind, namespace, name);
    DL_APPEND(sources->all, source);
    sources->count++;
    return source;
}

void sources_watch_kind(struct sources *sources, enum object_kind kind)
{
    if (sources->of_kind[kind] == NULL)
        sources->of_kind[kind] = sources_watch(sources, kind, NULL, NULL, NULL);
}

void sources_drop(struct source *source)
{
    if (source == NULL)
        return;
    watch_done(&source->watch);
    DL_DELETE(source->sources->all, source);
    source->sources->count--;
    free(source);
}

bool source_is_live(const struct source *source)
{
    return source != NULL && source->live_ms != CLOCK_NEVER;
}

size_t sources_count_live(const struct sources *sources)
{
    size_t live = 0;
    const struct source *source;
    DL_FOREACH(sources->all, source)
        live += source_is_live(source);
    return live;
}

/* ---- their requests ---- */

static void end(struct source *source)
{
    _cleanup_(error_done) struct error error = {0};
    struct watch *watch = &source->watch;
    const struct sources_owner *owner = &source->sources->owner;
    int64_t retry_after_ms = watch->request.retry_after_ms;
    bool is_refused = !watch->is_connected && request_is_refused_by_all(&watch->request);
    if (!watch->is_connected && watch->request.status != 200 && watch->request.status != 410)
        request_explain(&watch->request, owner->api, &error);
    owner->ended(owner->context, &error);
    watch_end(watch);
    if (is_refused &&
        !api_health_is_refused_alone(owner->health, &source->refused_ms, clock_now_ms()))
        owner->failed(owner->context, &error, retry_after_ms);
}

void source_end(struct request *request)
{
    end((struct source *)request);
}

/* One whose answer does not begin must not keep the place of others. Where those were answered
 * since, it is not the API that fails. Returns when the next one is late. */
static int64_t end_late(struct sources *sources, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    struct source *source;
    DL_FOREACH(sources->all, source) {
        if (watch_late_ms(&source->watch) <= now_ms) {
            if (source->refused_ms == 0)
                source->refused_ms = source->watch.begun_ms;
            watch_give_up(&source->watch);
            end(source);
        }
        next_ms = clock_earlier(next_ms, watch_late_ms(&source->watch));
    }
    return next_ms;
}

int64_t sources_begin(struct sources *sources)
{
    const struct sources_owner *owner = &sources->owner;
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = clock_earlier(now_ms + IDLE_MS, end_late(sources, now_ms));
    size_t unanswered = 0;
    struct source *source;
    DL_FOREACH(sources->all, source)
        unanswered += source->watch.request.curl != NULL && !source->watch.is_connected;
    if (api_health_is_failing(owner->health) && owner->health->resume_ms > now_ms)
        return owner->health->resume_ms;
    DL_FOREACH(sources->all, source) {
        _cleanup_(error_done) struct error error = {0};
        if (unanswered >= MAX_NEW_WATCHES)
            return next_ms; /* an answer is the next occasion */
        if (watch_is_due(&source->watch, now_ms)) {
            if (watch_begin(&source->watch, &error)) {
                unanswered++;
                next_ms = clock_earlier(next_ms, watch_late_ms(&source->watch));
            } else
                owner->failed(owner->context, &error, 0);
        }
        if (source->watch.request.curl == NULL)
            next_ms = clock_earlier(next_ms, source->watch.due_ms);
    }
    return next_ms;
}
