#include "kubernetes/informer/object_reader.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

/* Without a watch a rotated Secret is in use within 10 s, and a deleted ScaledObject is one no more
 * within 60 s. */
enum {
    VALUES_INTERVAL_MS = 7000, /* of authentications, Secrets and ConfigMaps */
    OBJECT_INTERVAL_MS = 40 * 1000,
    ABSENT_OBJECT_INTERVAL_MS = 300 * 1000, /* a trigger is of the kind that is there */
    WATCHED_INTERVAL_MS = 3600 * 1000,      /* should a watch ever miss something */
    CATCH_UP_MS_EACH = 2,            /* what a watch may have missed is read so much later each, */
    LONGEST_CATCH_UP_MS = 19 * 1000, /* ... and within this */
    QUIET_MS = 10 * 1000,            /* without an answer one object is read: is the API there? */
    HPA_INTERVAL_MS =
        300 * 1000, /* it counts when it was read in an outage: it is wanted fresh then */
    REQUEST_TIMEOUT_MS = 5000,
    LARGEST_REPLY = 2 << 20,
    MAX_ALIKE = 24,                 /* of the requests in progress: has_room() */
    BACKOFF_MS = 6000,              /* the longest where few fail, */
    BACKOFF_MS_EACH = 20,           /* ... where many do, */
    LONGEST_BACKOFF_MS = 60 * 1000, /* ... and at all */
    IDLE_MS = 60 * 1000,
};

/* ---- when ---- */

static bool is_scaled(enum api_object_kind kind)
{
    return kind == OBJECT_SCALED_OBJECT || kind == OBJECT_SCALED_JOB;
}

/* NULL: none sees it at present. */
static const struct api_watch *live_watch_of(const struct object_reader *reader,
                                             const struct informer_entry *entry)
{
    const struct api_watch *watch =
        entry->watch == NULL ? reader->of_kind[entry->kind] : entry->watch;
    return watch == NULL || !watch->is_live ? NULL : watch;
}

/* Would a watch say that it has changed since it was read? */
static bool is_watched(const struct object_reader *reader, const struct informer_entry *entry)
{
    const struct api_watch *watch = live_watch_of(reader, entry);
    return watch != NULL && entry->read_ms >= watch->since_ms;
}

/* Until it is read again: it may have changed before the watch saw everything. Spread over a while
 * where there are many. */
static int64_t catch_up_ms(const struct object_reader *reader, const struct informer_entry *entry)
{
    int64_t all_ms = (int64_t)HASH_COUNT(reader->by_key) * CATCH_UP_MS_EACH;
    int64_t spread_ms = entry->watch != NULL ? 0 : MIN(all_ms, LONGEST_CATCH_UP_MS);
    return OBJECT_READER_MIN_INTERVAL_MS + clock_jitter((uint32_t)spread_ms + 1);
}

static int64_t interval_ms(const struct object_reader *reader, const struct informer_entry *entry)
{
    if (live_watch_of(reader, entry) != NULL && !is_watched(reader, entry))
        return catch_up_ms(reader, entry);
    int64_t interval = entry->kind == OBJECT_HPA   ? HPA_INTERVAL_MS
                       : is_watched(reader, entry) ? WATCHED_INTERVAL_MS
                       : !is_scaled(entry->kind)   ? VALUES_INTERVAL_MS
                       : entry->object == NULL     ? ABSENT_OBJECT_INTERVAL_MS
                                                   : OBJECT_INTERVAL_MS;
    return interval + clock_jitter((uint32_t)interval / 4);
}

/* Not while it is being read, or waits for its first turn: what comes of that says when. */
static void set_due_by(struct object_reader *reader, struct informer_entry *entry, int64_t due_ms)
{
    if (entry->due.heap != NULL && due_ms < heap_key(&entry->due))
        heap_set(&reader->due, &entry->due, due_ms);
}

void object_reader_want_fresh(struct object_reader *reader, struct informer_entry *entry)
{
    set_due_by(reader, entry, MAX(clock_now_ms(), entry->sent_ms + OBJECT_READER_MIN_INTERVAL_MS));
}

int64_t object_reader_longest_backoff_ms(size_t failing)
{
    if (failing > LONGEST_BACKOFF_MS / BACKOFF_MS_EACH)
        return LONGEST_BACKOFF_MS;
    return MAX((int)failing * BACKOFF_MS_EACH, BACKOFF_MS);
}

/* ---- news ---- */

static void add_changed(struct object_reader *reader, struct informer_entry *entry)
{
    if (entry->has_changed)
        return;
    entry->has_changed = true;
    DL_APPEND2(reader->changed, entry, prev_changed, next_changed);
}

void object_reader_notify(struct object_reader *reader)
{
    while (reader->changed != NULL) {
        struct informer_entry *entry = reader->changed;
        DL_DELETE2(reader->changed, entry, prev_changed, next_changed);
        entry->has_changed = false;
        reader->notify(reader->context, entry);
    }
}

/* ---- the API as a whole ---- */

static void answer_api(struct object_reader *reader)
{
    if (api_health_answer(&reader->health, clock_now_ms()))
        log_info("the Kubernetes API at %s answers again", reader->api->server);
}

/* What has not been read yet cannot be, and nobody else need try. */
static void fail_api(struct object_reader *reader, const struct error *error,
                     int64_t retry_after_ms)
{
    struct informer_entry *entry;
    struct informer_entry *next;
    if (!api_health_is_failing(&reader->health))
        log_warning("%s; what is known stays in use, retrying", error_text(error));
    if (!api_health_fail(&reader->health, error, retry_after_ms, clock_now_ms()))
        return;
    HASH_ITER(hh, reader->by_key, entry, next)
        if (!entry->is_read)
            add_changed(reader, entry);
}

static bool is_refused_alone(const struct object_reader *reader, int64_t *refused_ms)
{
    return api_health_is_refused_alone(&reader->health, refused_ms, clock_now_ms());
}

/* ---- watches ---- */

/* The caller frees it. */
static char *key_of(enum api_object_kind kind, const char *namespace, const char *name)
{
    return text_format("%d/%s/%s", (int)kind, namespace == NULL ? "" : namespace, name);
}

/* NULL: nobody needs it. */
static struct informer_entry *find(const struct object_reader *reader, enum api_object_kind kind,
                                   const char *namespace, const char *name)
{
    _cleanup_(memory_free) char *key = key_of(kind, namespace, name);
    struct informer_entry *entry;
    HASH_FIND_STR(reader->by_key, key, entry);
    return entry;
}

static bool is_as_seen(const struct informer_entry *entry, const char *revision)
{
    return text_equal(entry->object == NULL ? "" : entry->object->revision, revision);
}

/* A watch has named the revision that is known: it is as new as what the watch sees. */
static void confirm(struct object_reader *reader, struct informer_entry *entry)
{
    const struct api_watch *watch = live_watch_of(reader, entry);
    if (watch == NULL || entry->read_ms >= watch->since_ms)
        return;
    entry->read_ms = watch->since_ms;
    heap_set(&reader->due, &entry->due, clock_now_ms() + interval_ms(reader, entry));
}

static void take_event(void *context, const struct api_watch *watch,
                       const struct api_watch_event *event)
{
    struct object_reader *reader = context;
    const char *revision = event->kind == API_WATCH_DELETION ? "" : event->revision;
    struct informer_entry *entry = find(reader, watch->kind, event->namespace, event->name);
    if (entry == NULL)
        return;
    if (entry->request.curl == NULL && !error_is_set(&entry->failure)) {
        if (entry->is_read && is_as_seen(entry, revision))
            confirm(reader, entry);
        else if (entry->is_read)
            object_reader_want_fresh(reader, entry);
        return;
    }
    /* A reply that comes may be older. And what fails is worth a request once it is another one: a
     * watch also says that KEDA has written lastActiveTime. */
    if (entry->seen != NULL && text_equal(entry->seen, revision))
        return;
    free(entry->seen);
    entry->seen = text_copy(revision);
    entry->seen_ms = clock_now_ms();
    if (entry->is_forbidden)
        return;
    entry->backoff = (struct api_backoff){0};
    object_reader_want_fresh(reader, entry);
}

/* Its watch has become live, or is so no more. */
static void reschedule(struct object_reader *reader, struct informer_entry *entry)
{
    int64_t now_ms = clock_now_ms();
    bool is_failing = error_is_set(&entry->failure);
    const struct api_watch *watch = live_watch_of(reader, entry);
    if (is_failing && watch == NULL)
        return;
    /* What was absent, and is there now, is named: a ScaledObject is no ScaledJob of that name. */
    if (is_scaled(entry->kind) && watch != NULL && watch->has_named_all && entry->is_read &&
        entry->object == NULL && entry->due.heap != NULL && !is_failing)
        confirm(reader, entry);
    if (is_failing) /* perhaps it can be read now, as it can be watched */
        set_due_by(reader, entry, now_ms + catch_up_ms(reader, entry));
    else if (is_watched(reader, entry) && entry->due.heap != NULL)
        heap_set(&reader->due, &entry->due, now_ms + interval_ms(reader, entry));
    else
        set_due_by(reader, entry, now_ms + interval_ms(reader, entry));
}

static void follow_live(void *context, const struct api_watch *watch, bool was_live)
{
    struct object_reader *reader = context;
    struct informer_entry *entry;
    struct informer_entry *next;
    if (watch->is_live)
        answer_api(reader);
    if (watch->is_live == was_live) /* it went on where it was */
        return;
    if (watch->user != NULL)
        reschedule(reader, watch->user);
    else
        HASH_ITER(hh, reader->by_key, entry, next)
            if (entry->kind == watch->kind)
                reschedule(reader, entry);
}

static void end_watch(void *context, struct api_watch *watch, const struct error *error)
{
    struct object_reader *reader = context;
    reader->ended(reader->context, error);
    if (watch->is_connected)
        watch->refused_ms = 0;
    else if (api_request_is_refused_by_all(&watch->request) &&
             !is_refused_alone(reader, &watch->refused_ms))
        fail_api(reader, error, watch->request.retry_after_ms);
}

/* ---- the end of a request for an object ---- */

static void end_request(struct object_reader *reader, struct informer_entry *entry)
{
    if (entry->request.curl == NULL)
        return;
    api_request_end(&entry->request, reader->multi);
    reader->requests--;
    reader->first_requests -= entry->is_first;
}

static void set_failure(struct object_reader *reader, struct informer_entry *entry,
                        const struct error *error)
{
    reader->failing += (size_t)error_is_set(error) - (size_t)error_is_set(&entry->failure);
    error_copy(&entry->failure, error);
}

static void fail_entry(struct object_reader *reader, struct informer_entry *entry,
                       const struct error *error)
{
    if (!text_equal(error_text(&entry->failure), error_text(error))) {
        _cleanup_(memory_free) char *label =
            api_object_label(entry->kind, entry->namespace, entry->name);
        log_warning("%s cannot be read: %s; retrying", label, error_text(error));
        if (!entry->is_read)
            add_changed(reader, entry);
    }
    set_failure(reader, entry, error);
    if (entry->seen != NULL && entry->seen_ms >= entry->sent_ms)
        entry->backoff = (struct api_backoff){0}; /* it is another one by now */
    int64_t longest_ms = object_reader_longest_backoff_ms(reader->failing);
    heap_set(&reader->due, &entry->due,
             api_backoff_fail(&entry->backoff, longest_ms, 0, clock_now_ms()));
}

/* The object is taken; NULL: there is none. */
static void succeed(struct object_reader *reader, struct informer_entry *entry,
                    struct api_object *object)
{
    _cleanup_(memory_free) char *seen = TAKE(entry->seen);
    if (error_is_set(&entry->failure)) {
        _cleanup_(memory_free) char *label =
            api_object_label(entry->kind, entry->namespace, entry->name);
        log_info("%s can be read again", label);
        if (entry->watch != NULL) /* perhaps it can be watched now, too */
            api_watch_retry(entry->watch);
    }
    reader->bytes -= entry->object == NULL ? 0 : entry->object->bytes;
    reader->bytes += object == NULL ? 0 : object->bytes;
    api_object_free(entry->object);
    entry->object = object;
    entry->is_read = true;
    entry->read_ms = entry->sent_ms;
    entry->refused_ms = 0;
    entry->backoff = (struct api_backoff){0};
    set_failure(reader, entry, &(struct error){0});
    heap_set(&reader->due, &entry->due, clock_now_ms() + interval_ms(reader, entry));
    const struct api_watch *watch = live_watch_of(reader, entry);
    if (seen != NULL && !is_as_seen(entry, seen))
        object_reader_want_fresh(reader, entry);
    else if (seen != NULL && watch != NULL && entry->seen_ms + 1 >= watch->since_ms)
        confirm(reader, entry);
    add_changed(reader, entry);
}

/* NULL without an error: there is none. */
static struct api_object *read_reply(const struct object_reader *reader,
                                     const struct informer_entry *entry, struct error *error)
{
    const struct api_request *request = &entry->request;
    const char *text = request->body.bytes == NULL ? "" : request->body.bytes;
    size_t former_bytes = entry->object == NULL ? 0 : entry->object->bytes;
    struct api_object *object = NULL;
    if (request->status == 200)
        object = api_object_parse(entry->kind, entry->namespace, entry->name, text,
                                  request->body.length, error);
    else if (request->status != 404 ||
             !api_object_is_absent(entry->name, text, request->body.length))
        api_request_explain(request, reader->api, error);
    if (object == NULL || object->bytes <= former_bytes ||
        reader->bytes - former_bytes + object->bytes <= OBJECT_READER_MAX_BYTES)
        return object;
    api_object_free(object);
    error_unavailable(error, "all objects that triggers need take more than %d MiB of memory",
                      OBJECT_READER_MAX_BYTES >> 20);
    return NULL;
}

static void end_entry(struct api_request *request)
{
    struct informer_entry *entry = (struct informer_entry *)request;
    struct object_reader *reader = entry->reader;
    _cleanup_(error_done) struct error error = {0};
    struct api_object *object = read_reply(reader, entry, &error);
    bool is_refused = error_is_set(&error) && api_request_is_refused_by_all(request);
    int64_t retry_after_ms = request->retry_after_ms;
    entry->is_forbidden = request->status == 403;
    end_request(reader, entry);
    reader->ended(reader->context, &error);
    if (is_refused && !is_refused_alone(reader, &entry->refused_ms)) {
        fail_api(reader, &error, retry_after_ms);
        heap_set(&reader->due, &entry->due,
                 reader->health.resume_ms + OBJECT_READER_MIN_INTERVAL_MS);
        return;
    }
    if (!is_refused)
        answer_api(reader);
    if (error_is_set(&error))
        fail_entry(reader, entry, &error);
    else
        succeed(reader, entry, object);
}

void object_reader_wait(struct object_reader *reader, int64_t until_ms)
{
    const struct api_watches *watches = &reader->watches;
    until_ms = clock_earlier(until_ms, watches->perform_single_ms);
    curl_multi_poll(reader->multi, watches->single_fds, watches->single_fds_count,
                    clock_left_ms(until_ms, IDLE_MS), NULL);
}

void object_reader_take_replies(struct object_reader *reader)
{
    api_requests_perform(reader->multi);
    api_watches_perform(&reader->watches);
}

/* ---- its beginning ---- */

static void begin(struct object_reader *reader, struct informer_entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    const struct api_request_settings get = {
        .path = entry->path, .timeout_ms = REQUEST_TIMEOUT_MS, .max_bytes = LARGEST_REPLY};
    entry->is_first = entry->sent_ms == 0;
    entry->sent_ms = clock_now_ms();
    if (entry->is_first)
        DL_DELETE(reader->unread, entry);
    heap_remove(&entry->due);
    if (!api_request_begin(&entry->request, reader->multi, reader->api, &get, &error)) {
        fail_api(reader, &error, 0);
        heap_set(&reader->due, &entry->due, reader->health.resume_ms);
        return;
    }
    entry->request.ended = end_entry;
    entry->request.budget = &reader->replies;
    reader->requests++;
    reader->first_requests += entry->is_first;
}

/* First requests, and those of what was requested before, leave each other some room. */
static bool has_room(const struct object_reader *reader, bool is_first)
{
    size_t alike = is_first ? reader->first_requests : reader->requests - reader->first_requests;
    return alike < MAX_ALIKE && reader->requests < OBJECT_READER_MAX_REQUESTS &&
           !api_health_is_failing(&reader->health);
}

/* Returns when the next one is due; the end of a request is an occasion, too. */
static int64_t begin_entries(struct object_reader *reader, int64_t now_ms)
{
    while (reader->unread != NULL && has_room(reader, true)) {
        reader->is_turn_of_oldest = !reader->is_turn_of_oldest;
        begin(reader, reader->is_turn_of_oldest ? reader->unread->prev : reader->unread);
    }
    while (has_room(reader, false) && heap_first_key(&reader->due) <= now_ms)
        begin(reader, HEAP_OWNER(heap_first(&reader->due), struct informer_entry, due));
    return has_room(reader, false) ? heap_first_key(&reader->due) : CLOCK_NEVER;
}

/* One object, whether it is due or not, shows whether the API answers: each in turn, but first
 * those that were not refused, as others may be for ever (api_health_is_refused_alone()). */
static void begin_any(struct object_reader *reader)
{
    struct informer_entry *entry = reader->by_key;
    while (entry != NULL && entry->refused_ms != 0)
        entry = entry->hh.next;
    if (entry == NULL)
        entry = reader->by_key;
    HASH_DELETE(hh, reader->by_key, entry);
    HASH_ADD_KEYPTR(hh, reader->by_key, entry->key, strlen(entry->key), entry);
    begin(reader, entry);
}

int64_t object_reader_begin_due(struct object_reader *reader)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = now_ms + IDLE_MS;
    api_watches_end_late(&reader->watches, now_ms);
    bool is_failing = api_health_is_failing(&reader->health);
    bool is_idle = reader->by_key != NULL && reader->requests == 0;
    if (is_failing && now_ms < reader->health.resume_ms)
        return clock_earlier(reader->health.resume_ms, api_watches_late_ms(&reader->watches));
    int64_t quiet_ms = MAX(reader->health.answered_ms, reader->probed_ms) + QUIET_MS;
    if (is_idle && (is_failing || now_ms >= quiet_ms)) {
        reader->probed_ms = now_ms;
        begin_any(reader);
    } else if (is_idle)
        next_ms = clock_earlier(next_ms, quiet_ms);
    next_ms = clock_earlier(next_ms, begin_entries(reader, now_ms));
    if (!api_health_is_failing(&reader->health) || reader->by_key == NULL)
        next_ms = clock_earlier(next_ms, api_watches_begin_due(&reader->watches, now_ms));
    if (api_health_is_failing(&reader->health) && now_ms < reader->health.resume_ms)
        next_ms = clock_earlier(next_ms, reader->health.resume_ms); /* none could be begun */
    return clock_earlier(next_ms, api_watches_late_ms(&reader->watches));
}

/* ---- what is followed ---- */

struct informer_entry *object_reader_entry(struct object_reader *reader, enum api_object_kind kind,
                                           const char *namespace, const char *name)
{
    struct informer_entry *entry = find(reader, kind, namespace, name);
    if (entry != NULL)
        return entry;
    entry = memory_new(sizeof(*entry));
    entry->reader = reader;
    entry->kind = kind;
    entry->namespace = text_copy(namespace);
    entry->name = text_copy(name);
    entry->key = key_of(kind, namespace, name);
    entry->path = api_object_path(kind, namespace, name);
    HASH_ADD_KEYPTR(hh, reader->by_key, entry->key, strlen(entry->key), entry);
    DL_PREPEND(reader->unread, entry);
    if (kind == OBJECT_HPA) /* there is no right to watch it */
        return entry;
    if (api_object_is_of_keda(kind)) {
        if (reader->of_kind[kind] == NULL)
            reader->of_kind[kind] = api_watches_add(&reader->watches, kind, NULL, NULL, NULL);
    } else if (reader->watches.count < OBJECT_READER_MAX_WATCHES)
        entry->watch = api_watches_add(&reader->watches, kind, namespace, name, entry);
    return entry;
}

void object_reader_drop(struct object_reader *reader, struct informer_entry *entry)
{
    end_request(reader, entry);
    api_watch_drop(entry->watch);
    if (entry->sent_ms == 0)
        DL_DELETE(reader->unread, entry);
    heap_remove(&entry->due);
    if (entry->has_changed)
        DL_DELETE2(reader->changed, entry, prev_changed, next_changed);
    reader->bytes -= entry->object == NULL ? 0 : entry->object->bytes;
    api_object_free(entry->object);
    set_failure(reader, entry, &(struct error){0});
    HASH_DELETE(hh, reader->by_key, entry);
    free(entry->seen);
    free(entry->key);
    free(entry->path);
    free(entry->namespace);
    free(entry->name);
    free(entry);
}

void object_reader_init(struct object_reader *reader)
{
    reader->replies.max = OBJECT_READER_MAX_REPLIES;
    reader->multi = curl_multi_init();
    curl_multi_setopt(reader->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    reader->watches = (struct api_watches){
        .api = reader->api,
        .multi = reader->multi,
        .replies = &reader->replies,
        .changed = take_event,
        .live_changed = follow_live,
        .ended = end_watch,
        .context = reader,
    };
    api_watches_init(&reader->watches);
}

void object_reader_end(struct object_reader *reader)
{
    for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
        api_watch_drop(reader->of_kind[kind]);
}

void object_reader_done(struct object_reader *reader)
{
    curl_multi_cleanup(reader->multi);
    api_watches_done(&reader->watches);
    free(reader->due.entries);
    api_health_done(&reader->health);
}
