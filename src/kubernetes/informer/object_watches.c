#include "kubernetes/informer/object_watches.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    MAX_NEW_WATCHES = 16, /* that have not been answered yet */
    IDLE_MS = 60 * 1000,
};

void object_watches_init(struct object_watches *watches, const struct object_watches_owner *owner)
{
    *watches = (struct object_watches){.owner = *owner};
}

void object_watches_done(struct object_watches *watches)
{
    for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
        object_watches_drop(watches->of_kind[kind]);
}

/* ---- what watches say ---- */

static void pass_event_on(void *context, const struct api_watch_event *event)
{
    const struct object_watch *watched = context;
    const struct object_watches_owner *owner = &watched->watches->owner;
    owner->changed(owner->context, watched->watch.kind, event);
}

static void set_live(struct object_watch *watched, int64_t live_ms)
{
    const struct object_watches_owner *owner = &watched->watches->owner;
    if (watched->live_ms == live_ms)
        return;
    watched->live_ms = live_ms;
    owner->live_changed(owner->context, watched);
}

static void go_live(void *context, int64_t live_ms)
{
    struct object_watch *watched = context;
    const struct object_watches_owner *owner = &watched->watches->owner;
    owner->answered(owner->context);
    if (watched->live_ms != live_ms)
        watched->refused_ms = 0;
    set_live(watched, live_ms);
}

static void lose(void *context)
{
    set_live(context, CLOCK_NEVER);
}

/* ---- which there are ---- */

struct object_watch *object_watches_add(struct object_watches *watches, enum api_object_kind kind,
                                        const char *namespace, const char *name, void *user)
{
    struct object_watch *watched = memory_new(sizeof(*watched));
    const struct api_watch_owner owner = {.multi = watches->owner.multi,
                                          .replies = watches->owner.replies,
                                          .api = watches->owner.api,
                                          .changed = pass_event_on,
                                          .went_live = go_live,
                                          .lost = lose,
                                          .context = watched};
    watched->watches = watches;
    watched->user = user;
    watched->live_ms = CLOCK_NEVER;
    api_watch_init(&watched->watch, &owner, kind, namespace, name);
    DL_APPEND(watches->all, watched);
    watches->count++;
    return watched;
}

void object_watches_add_kind(struct object_watches *watches, enum api_object_kind kind)
{
    if (watches->of_kind[kind] == NULL)
        watches->of_kind[kind] = object_watches_add(watches, kind, NULL, NULL, NULL);
}

void object_watches_drop(struct object_watch *watched)
{
    if (watched == NULL)
        return;
    api_watch_done(&watched->watch);
    DL_DELETE(watched->watches->all, watched);
    watched->watches->count--;
    free(watched);
}

bool object_watch_is_live(const struct object_watch *watched)
{
    return watched != NULL && watched->live_ms != CLOCK_NEVER;
}

size_t object_watches_count_live(const struct object_watches *watches)
{
    size_t live = 0;
    const struct object_watch *watched;
    DL_FOREACH(watches->all, watched)
        live += object_watch_is_live(watched);
    return live;
}

/* ---- their requests ---- */

void object_watch_end(struct api_request *request)
{
    _cleanup_(error_done) struct error error = {0};
    struct object_watch *watched = (struct object_watch *)request;
    struct api_watch *watch = &watched->watch;
    const struct object_watches_owner *owner = &watched->watches->owner;
    int64_t retry_after_ms = watch->request.retry_after_ms;
    bool is_refused = !watch->is_connected && api_request_is_refused_by_all(&watch->request);
    if (!watch->is_connected && watch->request.status != 200 && watch->request.status != 410)
        api_request_explain(&watch->request, owner->api, &error);
    owner->ended(owner->context, &error);
    api_watch_end(watch);
    if (is_refused &&
        !api_health_is_refused_alone(owner->health, &watched->refused_ms, clock_now_ms()))
        owner->failed(owner->context, &error, retry_after_ms);
}

/* One whose answer does not begin must not keep the place of others. Where those were answered
 * since, it is not the API that fails. Returns when the next one is late. */
static int64_t end_late(struct object_watches *watches, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    struct object_watch *watched;
    DL_FOREACH(watches->all, watched) {
        if (api_watch_late_ms(&watched->watch) <= now_ms) {
            if (watched->refused_ms == 0)
                watched->refused_ms = watched->watch.begun_ms;
            api_watch_give_up(&watched->watch);
            object_watch_end(&watched->watch.request);
        }
        next_ms = clock_earlier(next_ms, api_watch_late_ms(&watched->watch));
    }
    return next_ms;
}

int64_t object_watches_begin(struct object_watches *watches)
{
    const struct object_watches_owner *owner = &watches->owner;
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = clock_earlier(now_ms + IDLE_MS, end_late(watches, now_ms));
    size_t unanswered = 0;
    struct object_watch *watched;
    DL_FOREACH(watches->all, watched)
        unanswered += watched->watch.request.curl != NULL && !watched->watch.is_connected;
    if (api_health_is_failing(owner->health) && owner->health->resume_ms > now_ms)
        return owner->health->resume_ms;
    DL_FOREACH(watches->all, watched) {
        _cleanup_(error_done) struct error error = {0};
        if (unanswered >= MAX_NEW_WATCHES)
            return next_ms; /* an answer is the next occasion */
        if (api_watch_is_due(&watched->watch, now_ms)) {
            if (api_watch_begin(&watched->watch, &error)) {
                unanswered++;
                next_ms = clock_earlier(next_ms, api_watch_late_ms(&watched->watch));
            } else
                owner->failed(owner->context, &error, 0);
        }
        if (watched->watch.request.curl == NULL)
            next_ms = clock_earlier(next_ms, watched->watch.due_ms);
    }
    return next_ms;
}
