#include "kubernetes/informer/object_reader.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Without a watch a rotated Secret is in use within 10 s, and a deleted ScaledObject is one no more
 * within 60 s. */
enum {
    VALUES_INTERVAL_MS = 7000, /* of authentications, Secrets and ConfigMaps */
    OBJECT_INTERVAL_MS = 40 * 1000,
    ABSENT_OBJECT_INTERVAL_MS = 300 * 1000, /* a trigger is of the kind that is there */
    WATCHED_INTERVAL_MS = 3600 * 1000,      /* should a watch ever miss something */
    CATCH_UP_MS = 20 * 1000,                /* what a watch may have missed is read within this, */
    CATCH_UP_MS_EACH = 2,                   /* ... sooner where there are few objects */
    QUIET_MS = 10 * 1000, /* without an answer one object is read: is the API there? */
    HPA_INTERVAL_MS =
        300 * 1000, /* it counts when it was read in an outage: it is wanted fresh then */
    REQUEST_TIMEOUT_MS = 5000,
    FIRST_BACKOFF_MS = 1000,
    LONGEST_ENTRY_BACKOFF_MS = 30 * 1000,
    LARGEST_REPLY = 2 << 20,
    MAX_ALIKE = OBJECT_READER_MAX_REQUESTS - NAMESPACE_SHARE_MAX_REQUESTS, /* has_room() */
    IDLE_MS = 60 * 1000,
    SCAN_INTERVAL_MS = 20, /* tens of thousands of entries are looked at each time */
};

/* ---- when ---- */

static bool is_scaled(enum api_object_kind kind)
{
    return kind == OBJECT_SCALED_OBJECT || kind == OBJECT_SCALED_JOB;
}

/* Those of KEDA are watched together. */
static const struct object_watch *watch_of(const struct object_reader *reader,
                                           const struct informer_entry *entry)
{
    return api_object_is_of_keda(entry->kind) ? reader->watches.of_kind[entry->kind] : entry->watch;
}

/* Would a watch say that it has changed since it was read? */
static bool is_watched(const struct object_reader *reader, const struct informer_entry *entry)
{
    const struct object_watch *watch = watch_of(reader, entry);
    return object_watch_is_live(watch) && entry->read_ms >= watch->live_ms;
}

/* Until it is read again: it may have changed before the watch saw everything. Spread over a while
 * where there are many. */
static int64_t catch_up_ms(const struct object_reader *reader, const struct informer_entry *entry)
{
    size_t spread =
        entry->watch == NULL ? HASH_COUNT(reader->entries.by_key) * CATCH_UP_MS_EACH : 0;
    if (spread > CATCH_UP_MS - INFORMER_MIN_INTERVAL_MS)
        spread = CATCH_UP_MS - INFORMER_MIN_INTERVAL_MS;
    return INFORMER_MIN_INTERVAL_MS + (int64_t)clock_jitter((uint32_t)spread + 1);
}

static int64_t interval_ms(const struct object_reader *reader, const struct informer_entry *entry)
{
    if (object_watch_is_live(watch_of(reader, entry)) && !is_watched(reader, entry))
        return catch_up_ms(reader, entry);
    int64_t interval = entry->kind == OBJECT_HPA   ? HPA_INTERVAL_MS
                       : is_watched(reader, entry) ? WATCHED_INTERVAL_MS
                       : !is_scaled(entry->kind)   ? VALUES_INTERVAL_MS
                       : entry->object == NULL     ? ABSENT_OBJECT_INTERVAL_MS
                                                   : OBJECT_INTERVAL_MS;
    return interval + clock_jitter((uint32_t)interval / 4);
}

/* ---- what watches say ---- */

static bool is_as_seen(const struct informer_entry *entry, const char *revision)
{
    return text_equal(entry->object == NULL ? "" : entry->object->revision, revision);
}

static void take_watch_event(void *context, enum api_object_kind kind,
                             const struct api_watch_event *event)
{
    struct object_reader *reader = context;
    const char *revision = event->kind == API_WATCH_DELETION ? "" : event->revision;
    struct informer_entry *entry =
        informer_entries_find(&reader->entries, kind, event->namespace, event->name);
    if (entry == NULL)
        return;
    if (entry->request.curl == NULL && !entry->is_failing) {
        if (entry->is_read && !is_as_seen(entry, revision))
            informer_entries_want_fresh(&reader->entries, entry);
        return;
    }
    /* A reply that comes may be older. And what fails is worth a request once it is another one: a
     * watch also says that KEDA has written lastActiveTime. */
    if (entry->seen != NULL && text_equal(entry->seen, revision))
        return;
    free(entry->seen);
    entry->seen = text_copy(revision);
    entry->seen_ms = clock_now_ms();
    if (entry->request.curl != NULL || entry->is_forbidden)
        return;
    entry->backoff_ms = FIRST_BACKOFF_MS;
    informer_entries_want_fresh(&reader->entries, entry);
}

static void reschedule(struct object_reader *reader, struct informer_entry *entry)
{
    int64_t now_ms = clock_now_ms();
    int64_t due_ms = now_ms + interval_ms(reader, entry);
    if (!entry->is_read && !entry->is_forbidden)
        return;
    if (entry->is_failing) { /* perhaps it can be read now, as it can be watched */
        if (object_watch_is_live(watch_of(reader, entry)))
            informer_entries_set_due_by(&reader->entries, entry,
                                        now_ms + catch_up_ms(reader, entry));
    } else if (is_watched(reader, entry))
        informer_entries_set_due(&reader->entries, entry, due_ms);
    else
        informer_entries_set_due_by(&reader->entries, entry, due_ms);
}

static void follow_live(void *context, const struct object_watch *watch)
{
    struct object_reader *reader = context;
    struct informer_entry *entry;
    struct informer_entry *next;
    if (watch->user != NULL) {
        reschedule(reader, watch->user);
        return;
    }
    HASH_ITER(hh, reader->entries.by_key, entry, next)
        if (entry->kind == watch->watch.kind)
            reschedule(reader, entry);
}

/* ---- the API as a whole ---- */

static void answer_api(void *context)
{
    struct object_reader *reader = context;
    if (api_health_answer(&reader->health, clock_now_ms()))
        log_info("the Kubernetes API at %s answers again", reader->api->server);
}

/* What has not been read yet cannot be, and nobody else need try. */
static void fail_api(void *context, const struct error *error, int64_t retry_after_ms)
{
    struct object_reader *reader = context;
    struct informer_entry *entry;
    struct informer_entry *next;
    if (!api_health_is_failing(&reader->health))
        log_warning("%s; what is known stays in use, retrying", error_text(error));
    bool is_new = api_health_fail(&reader->health, error, retry_after_ms, clock_now_ms());
    informer_entries_scan_soon(&reader->entries); /* what could not begin is due then */
    if (!is_new)
        return;
    HASH_ITER(hh, reader->entries.by_key, entry, next)
        if (!entry->is_read)
            informer_entries_add_changed(&reader->entries, entry);
}

static void count_request(void *context, const struct error *error)
{
    const struct object_reader *reader = context;
    reader->ended(reader->context, error);
}

/* ---- the end of a request ---- */

static void end_request(struct object_reader *reader, struct informer_entry *entry)
{
    if (entry->request.curl == NULL)
        return;
    api_request_end(&entry->request, reader->multi);
    entry->turn.share->requests--;
    reader->first_requests -= entry->is_first;
    size_t place = 0;
    while (reader->sent[place] != entry)
        place++;
    reader->sent[place] = reader->sent[--reader->requests];
    informer_entries_scan_soon(&reader->entries); /* another one may begin */
}

static void fail_entry(struct object_reader *reader, struct informer_entry *entry,
                       const struct error *error)
{
    if (!text_equal(error_text(&entry->failure), error_text(error))) {
        _cleanup_(memory_free) char *label =
            api_object_label(entry->kind, entry->namespace, entry->name);
        log_warning("%s cannot be read: %s; retrying", label, error_text(error));
        if (!entry->is_read)
            informer_entries_add_changed(&reader->entries, entry);
    }
    informer_entries_set_failing(&reader->entries, entry, true);
    error_copy(&entry->failure, error);
    if (entry->is_forbidden) {
        int64_t again_ms = api_health_forbidden_ms(reader->entries.forbidden[entry->kind]);
        informer_entries_set_due(&reader->entries, entry,
                                 clock_now_ms() + again_ms + clock_jitter((uint32_t)again_ms / 4));
        return;
    }
    if (entry->seen != NULL && entry->seen_ms >= entry->sent_ms)
        entry->backoff_ms = FIRST_BACKOFF_MS; /* it is another one by now */
    informer_entries_set_due(&reader->entries, entry,
                             clock_now_ms() + entry->backoff_ms +
                                 clock_jitter((uint32_t)entry->backoff_ms));
    api_health_grow_backoff(&entry->backoff_ms, LONGEST_ENTRY_BACKOFF_MS);
}

/* The object is taken; NULL: there is none. */
static void succeed(struct object_reader *reader, struct informer_entry *entry,
                    struct api_object *object)
{
    _cleanup_(memory_free) char *seen = TAKE(entry->seen);
    if (entry->is_failing) {
        _cleanup_(memory_free) char *label =
            api_object_label(entry->kind, entry->namespace, entry->name);
        log_info("%s can be read again", label);
    }
    if (entry->is_forbidden && entry->watch != NULL) /* the right to watch it is probably back */
        api_watch_retry(&entry->watch->watch);
    namespace_shares_keep(&reader->entries.shares, &entry->turn,
                          object == NULL ? 0 : object->bytes);
    api_object_free(entry->object);
    entry->object = object;
    entry->is_read = true;
    entry->read_ms = entry->sent_ms;
    entry->refused_ms = 0;
    error_done(&entry->failure);
    informer_entries_set_failing(&reader->entries, entry, false);
    informer_entries_set_forbidden(&reader->entries, entry, false);
    entry->backoff_ms = FIRST_BACKOFF_MS;
    informer_entries_set_due(&reader->entries, entry, clock_now_ms() + interval_ms(reader, entry));
    if (seen != NULL && !is_as_seen(entry, seen))
        informer_entries_want_fresh(&reader->entries, entry);
    informer_entries_add_changed(&reader->entries, entry);
}

static void end_entry(struct object_reader *reader, struct informer_entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    const struct api_request *request = &entry->request;
    const char *text = request->body.bytes == NULL ? "" : request->body.bytes;
    struct api_object *object = NULL;
    if (request->status == 200)
        object = api_object_parse(entry->kind, entry->namespace, entry->name, text,
                                  request->body.length, &error);
    if (object != NULL &&
        !namespace_shares_have_room(&reader->entries.shares, &entry->turn, object->bytes)) {
        api_object_free(TAKE(object));
        error_unavailable(&error,
                          "the objects of its namespace take too much memory: one may have "
                          "as much of %d MiB as it leaves to others",
                          NAMESPACE_SHARES_MAX_BYTES >> 20);
    }
    bool is_absent =
        request->status == 404 && api_object_is_absent(entry->name, text, request->body.length);
    if (object == NULL && !is_absent && !error_is_set(&error))
        api_request_explain(request, reader->api, &error);
    bool is_refused = error_is_set(&error) && api_request_is_refused_by_all(request);
    bool is_forbidden = request->status == 403;
    int64_t retry_after_ms = request->retry_after_ms;
    end_request(reader, entry);
    count_request(reader, &error);
    if (is_refused &&
        !api_health_is_refused_alone(&reader->health, &entry->refused_ms, clock_now_ms())) {
        fail_api(reader, &error, retry_after_ms);
        informer_entries_set_due(&reader->entries, entry,
                                 reader->health.resume_ms + INFORMER_MIN_INTERVAL_MS);
        return;
    }
    if (!is_refused)
        answer_api(reader);
    if (error_is_set(&error)) {
        informer_entries_set_forbidden(&reader->entries, entry, is_forbidden);
        fail_entry(reader, entry, &error);
    } else
        succeed(reader, entry, object);
}

void object_reader_take_replies(struct object_reader *reader)
{
    struct api_request *request;
    while ((request = api_request_take_ended(reader->multi)) != NULL) {
        size_t place = 0;
        while (place < reader->requests && &reader->sent[place]->request != request)
            place++;
        if (place < reader->requests)
            end_entry(reader, reader->sent[place]);
        else
            object_watch_end(request);
    }
}

/* ---- its beginning ---- */

/* It is behind all others from then on: what was requested longest ago comes first. */
static void begin(struct object_reader *reader, struct informer_entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    entry->is_first = entry->turn.is_unread;
    namespace_shares_end_unread(&reader->entries.shares, &entry->turn);
    informer_entries_put_last(&reader->entries, entry);
    entry->sent_ms = clock_now_ms();
    const struct api_request_settings get = {
        .path = entry->path, .timeout_ms = REQUEST_TIMEOUT_MS, .max_bytes = LARGEST_REPLY};
    if (!api_request_begin(&entry->request, reader->multi, reader->api, &get, &error)) {
        fail_api(reader, &error, 0);
        return;
    }
    entry->request.budgets[0] = &reader->replies;
    entry->request.budgets[1] = &entry->turn.share->replies;
    entry->turn.share->requests++;
    reader->sent[reader->requests++] = entry;
    reader->first_requests += entry->is_first;
}

/* First requests, and those of what was requested before, leave each other some room. */
static bool has_room(const struct object_reader *reader, bool is_first)
{
    size_t alike = is_first ? reader->first_requests : reader->requests - reader->first_requests;
    return alike < MAX_ALIKE && reader->requests < OBJECT_READER_MAX_REQUESTS &&
           !api_health_is_failing(&reader->health);
}

/* Begins what is due: for the first time what objects name, or all that was requested before. When
 * there is no room, the end of a request is the next occasion. */
static void begin_entries(struct object_reader *reader, bool is_first, int64_t now_ms,
                          int64_t *next_ms)
{
    struct informer_entry *entry;
    struct informer_entry *next;
    for (entry = reader->entries.by_key; entry != NULL; entry = next) {
        next = entry->hh.next;
        bool has_turn = entry->turn.is_unread && is_scaled(entry->kind); /* begin_unread() */
        if (entry->request.curl != NULL || entry->turn.is_unread != is_first || has_turn)
            continue;
        if (entry->due_ms > now_ms)
            *next_ms = clock_earlier(*next_ms, entry->due_ms);
        else if (!has_room(reader, is_first))
            return;
        else if (entry->turn.share->requests < NAMESPACE_SHARE_MAX_REQUESTS)
            begin(reader, entry);
    }
}

static struct informer_entry *entry_of(struct share_turn *turn)
{
    return (struct informer_entry *)((char *)turn - offsetof(struct informer_entry, turn));
}

static void begin_unread(struct object_reader *reader)
{
    struct share_turn *turn;
    while (has_room(reader, true) &&
           (turn = namespace_shares_next_unread(&reader->entries.shares)) != NULL)
        begin(reader, entry_of(turn));
}

/* While the API fails one request at a time shows whether it answers again, for an object that is
 * due or not, but was not refused yet: others may be refused for ever, though the API answers
 * (api_health_is_refused_alone()). Returns when to look again. */
static int64_t begin_trial(struct object_reader *reader, int64_t now_ms)
{
    struct informer_entry *entry = reader->entries.by_key;
    if (now_ms < reader->health.resume_ms)
        return reader->health.resume_ms;
    while (entry != NULL && entry->refused_ms != 0)
        entry = entry->hh.next;
    if (entry == NULL)
        entry = reader->entries.by_key;
    if (entry != NULL && reader->requests == 0)
        begin(reader, entry);
    return reader->health.resume_ms > now_ms ? reader->health.resume_ms : now_ms + IDLE_MS;
}

/* Returns when to look again. What objects name comes first, so that the first of many triggers
 * need not wait for all. */
static int64_t begin_due(struct object_reader *reader)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = now_ms + IDLE_MS;
    if (api_health_is_failing(&reader->health))
        return begin_trial(reader, now_ms);
    if (reader->entries.by_key != NULL) {
        if (now_ms < reader->health.answered_ms + QUIET_MS)
            next_ms = clock_earlier(next_ms, reader->health.answered_ms + QUIET_MS);
        else if (reader->requests == 0)
            informer_entries_want_fresh(&reader->entries, reader->entries.by_key);
    }
    int64_t scan_ms = informer_entries_next_scan_ms(&reader->entries);
    if (now_ms < scan_ms)
        return clock_earlier(next_ms, scan_ms);
    if (now_ms < reader->scanned_ms + SCAN_INTERVAL_MS)
        return reader->scanned_ms + SCAN_INTERVAL_MS;
    reader->scanned_ms = now_ms;
    informer_entries_begin_scan(&reader->entries);
    begin_entries(reader, true, now_ms, &next_ms);
    begin_unread(reader);
    begin_entries(reader, false, now_ms, &next_ms);
    informer_entries_end_scan(&reader->entries, next_ms);
    return informer_entries_next_scan_ms(&reader->entries);
}

int64_t object_reader_begin_due(struct object_reader *reader)
{
    int64_t next_ms = object_watches_begin(&reader->watches);
    return clock_earlier(next_ms, begin_due(reader));
}

/* ---- what is followed ---- */

struct informer_entry *object_reader_entry(struct object_reader *reader, enum api_object_kind kind,
                                           const char *namespace, const char *name)
{
    struct informer_entry *entry = informer_entries_find(&reader->entries, kind, namespace, name);
    if (entry != NULL)
        return entry;
    entry = informer_entries_add(&reader->entries, kind, namespace, name);
    entry->backoff_ms = FIRST_BACKOFF_MS;
    if (api_object_is_of_keda(kind))
        object_watches_add_kind(&reader->watches, kind);
    else if (kind != OBJECT_HPA && /* there is no right to watch it */
             namespace_shares_watch(&reader->entries.shares, &entry->turn))
        entry->watch = object_watches_add(&reader->watches, kind, namespace, name, entry);
    return entry;
}

void object_reader_drop(struct object_reader *reader, struct informer_entry *entry)
{
    end_request(reader, entry);
    object_watches_drop(entry->watch);
    informer_entries_drop(&reader->entries, entry);
}

void object_reader_init(struct object_reader *reader)
{
    api_health_init(&reader->health);
    reader->replies.max = NAMESPACE_SHARES_MAX_REPLIES;
    reader->multi = curl_multi_init();
    curl_multi_setopt(reader->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    const struct object_watches_owner owner = {
        .multi = reader->multi,
        .replies = &reader->replies,
        .api = reader->api,
        .health = &reader->health,
        .changed = take_watch_event,
        .live_changed = follow_live,
        .answered = answer_api,
        .ended = count_request,
        .failed = fail_api,
        .context = reader,
    };
    object_watches_init(&reader->watches, &owner);
}

void object_reader_end(struct object_reader *reader)
{
    object_watches_done(&reader->watches);
}

void object_reader_done(struct object_reader *reader)
{
    curl_multi_cleanup(reader->multi);
    api_health_done(&reader->health);
}
