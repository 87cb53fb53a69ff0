#include "kubernetes/informer.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/request.h"
#include "kubernetes/shares.h"
#include "kubernetes/watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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
    MIN_INTERVAL_MS = 1000,
    REQUEST_TIMEOUT_MS = 5000,
    FIRST_BACKOFF_MS = 1000,
    LONGEST_API_BACKOFF_MS = 8000,
    LONGEST_ENTRY_BACKOFF_MS = 30 * 1000,
    LARGEST_REPLY = 2 << 20,
    MAX_REQUESTS = 32,
    MAX_UNREAD = MAX_REQUESTS - SHARE_MAX_REQUESTS, /* some room is left for what is read again */
    MAX_NEW_WATCHES = 16,                           /* that have not been answered yet */
    MAX_HANDLERS = 4,
    IDLE_MS = 60 * 1000,
    SCAN_INTERVAL_MS = 20, /* tens of thousands of entries are looked at each time */
};

/* Who says that objects have changed: a watch of all of a kind, or of one object. */
struct source {
    struct watch watch; /* first: a watch's request is found by it */
    struct informer *informer;
    struct informer_entry *only; /* NULL: all of the kind */
    int64_t live_ms;             /* CLOCK_NEVER: nothing is seen at present */
    int64_t refused_ms;          /* is_refused_alone() */
    struct source *next, *prev;
};

struct informer_entry {
    struct request request; /* first, too */
    struct turn turn;
    char *key, *path;
    enum object_kind kind;
    char *namespace, *name;
    struct informer_link *links; /* none: it is freed */
    struct object *object;
    bool is_read;
    int64_t read_ms, sent_ms, due_ms, backoff_ms;
    int64_t refused_ms;    /* is_refused_alone() */
    char *seen;            /* the revision that a watch has named during the request; NULL: none */
    struct error failure;  /* of the last request */
    bool is_failing;       /* counted */
    struct source *source; /* of its own, or NULL */
    UT_hash_handle hh;
    struct informer_entry *next_changed, *prev_changed;
    bool has_changed;
};

struct informer {
    struct kubernetes_api api;
    struct informer_handler handlers[MAX_HANDLERS];
    size_t handlers_count;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;
    bool is_stopping; /* guarded, as the statistics */
    struct informer_stats stats;

    CURLM *multi; /* the rest is the thread's */
    struct informer_entry *entries;
    struct shares shares;
    struct request_budget replies;
    struct informer_entry *changed;
    struct informer_entry *sent[MAX_REQUESTS]; /* those with a request */
    size_t requests;
    size_t failing; /* entries */
    struct source *sources;
    struct source *of_kind[OBJECT_KINDS];
    size_t sources_count;
    int64_t scanned_ms;
    int64_t scan_ms; /* no entry is due before */
    int64_t answered_ms;
    /* The API failed as a whole: nothing is sent until then, and one request after it. */
    int64_t resume_ms;
    int64_t backoff_ms;
    struct error failure; /* ... for this reason */
};

/* ---- when ---- */

static bool is_scaled(enum object_kind kind)
{
    return kind == OBJECT_SCALED_OBJECT || kind == OBJECT_SCALED_JOB;
}

/* Whose objects are watched together: those that the server may list in all namespaces. */
static bool is_of_keda(enum object_kind kind)
{
    return kind <= OBJECT_CLUSTER_TRIGGER_AUTHENTICATION;
}

static void set_due(struct informer *informer, struct informer_entry *entry, int64_t due_ms)
{
    entry->due_ms = due_ms;
    if (due_ms < informer->scan_ms)
        informer->scan_ms = due_ms;
}

static void set_due_by(struct informer *informer, struct informer_entry *entry, int64_t due_ms)
{
    if (due_ms < entry->due_ms)
        set_due(informer, entry, due_ms);
}

static const struct source *source_of(const struct informer *informer,
                                      const struct informer_entry *entry)
{
    return is_of_keda(entry->kind) ? informer->of_kind[entry->kind] : entry->source;
}

static bool is_live(const struct source *source)
{
    return source != NULL && source->live_ms != CLOCK_NEVER;
}

/* Would a watch say that it has changed since it was read? */
static bool is_watched(const struct informer *informer, const struct informer_entry *entry)
{
    const struct source *source = source_of(informer, entry);
    return is_live(source) && entry->read_ms >= source->live_ms;
}

/* Until it is read again: it may have changed before the watch saw everything. Spread over a while
 * where there are many. */
static int64_t catch_up_ms(const struct informer *informer, const struct informer_entry *entry)
{
    size_t spread = entry->source == NULL ? HASH_COUNT(informer->entries) * CATCH_UP_MS_EACH : 0;
    if (spread > CATCH_UP_MS - MIN_INTERVAL_MS)
        spread = CATCH_UP_MS - MIN_INTERVAL_MS;
    return MIN_INTERVAL_MS + (int64_t)clock_jitter((uint32_t)spread + 1);
}

static int64_t interval_ms(const struct informer *informer, const struct informer_entry *entry)
{
    if (is_live(source_of(informer, entry)) && !is_watched(informer, entry))
        return catch_up_ms(informer, entry);
    int64_t interval = entry->kind == OBJECT_HPA     ? HPA_INTERVAL_MS
                       : is_watched(informer, entry) ? WATCHED_INTERVAL_MS
                       : !is_scaled(entry->kind)     ? VALUES_INTERVAL_MS
                       : entry->object == NULL       ? ABSENT_OBJECT_INTERVAL_MS
                                                     : OBJECT_INTERVAL_MS;
    return interval + clock_jitter((uint32_t)interval / 4);
}

/* Never more often than once per second, however many want it. */
static void want_fresh(struct informer *informer, struct informer_entry *entry)
{
    int64_t now_ms = clock_now_ms();
    int64_t allowed_ms = entry->sent_ms == 0 ? now_ms : entry->sent_ms + MIN_INTERVAL_MS;
    set_due_by(informer, entry, allowed_ms > now_ms ? allowed_ms : now_ms);
}

/* ---- entries ---- */

static void set_failing(struct informer *informer, struct informer_entry *entry, bool is_failing)
{
    informer->failing += (size_t)is_failing - (size_t)entry->is_failing;
    entry->is_failing = is_failing;
}

static void add_changed(struct informer *informer, struct informer_entry *entry)
{
    if (entry->has_changed)
        return;
    entry->has_changed = true;
    DL_APPEND2(informer->changed, entry, prev_changed, next_changed);
}

static void end_request(struct informer *informer, struct informer_entry *entry)
{
    if (entry->request.curl == NULL)
        return;
    request_end(&entry->request, informer->multi);
    entry->turn.share->requests--;
    size_t place = 0;
    while (informer->sent[place] != entry)
        place++;
    informer->sent[place] = informer->sent[--informer->requests];
    informer->scan_ms = 0; /* another one may begin */
}

static void end_source(struct informer *informer, struct source *source)
{
    if (source == NULL)
        return;
    watch_done(&source->watch);
    DL_DELETE(informer->sources, source);
    informer->sources_count--;
    free(source);
}

static void drop_entry(struct informer *informer, struct informer_entry *entry)
{
    end_request(informer, entry);
    shares_leave(&informer->shares, &entry->turn);
    object_free(entry->object);
    set_failing(informer, entry, false);
    end_source(informer, entry->source);
    HASH_DELETE(hh, informer->entries, entry);
    if (entry->has_changed)
        DL_DELETE2(informer->changed, entry, prev_changed, next_changed);
    error_done(&entry->failure);
    free(entry->seen);
    free(entry->key);
    free(entry->path);
    free(entry->namespace);
    free(entry->name);
    free(entry);
}

/* The caller frees it. */
static char *key_of(enum object_kind kind, const char *namespace, const char *name)
{
    return text_format("%d/%s/%s", (int)kind, namespace == NULL ? "" : namespace, name);
}

static struct informer_entry *find_entry(const struct informer *informer, enum object_kind kind,
                                         const char *namespace, const char *name)
{
    _cleanup_(memory_free) char *key = key_of(kind, namespace, name);
    struct informer_entry *entry;
    HASH_FIND_STR(informer->entries, key, entry);
    return entry;
}

/* ---- what watches say ---- */

static bool is_as_seen(const struct informer_entry *entry, const char *revision)
{
    return text_equal(entry->object == NULL ? "" : entry->object->revision, revision);
}

static void take_event(void *context, const struct watch_event *event)
{
    const struct source *source = context;
    const char *revision = event->kind == WATCH_DELETION ? "" : event->revision;
    struct informer_entry *entry =
        find_entry(source->informer, source->watch.kind, event->namespace, event->name);
    if (entry == NULL)
        return;
    if (entry->request.curl != NULL) { /* its reply may be older */
        free(entry->seen);
        entry->seen = text_copy(revision);
    } else if (entry->is_read && !is_as_seen(entry, revision))
        want_fresh(source->informer, entry);
}

/* Who waits for a team's Secret, or knows that it cannot be read, gets news of it. */
static void answer_api(struct informer *informer)
{
    struct informer_entry *entry;
    struct informer_entry *next;
    informer->backoff_ms = FIRST_BACKOFF_MS;
    informer->answered_ms = clock_now_ms();
    if (!error_is_set(&informer->failure))
        return;
    log_info("the Kubernetes API at %s answers again", informer->api.server);
    error_done(&informer->failure);
    HASH_ITER(hh, informer->entries, entry, next)
        if (entry->kind == OBJECT_CONNECTIONS)
            want_fresh(informer, entry);
}

static void reschedule(struct informer *informer, struct informer_entry *entry)
{
    int64_t due_ms = clock_now_ms() + interval_ms(informer, entry);
    if (!entry->is_read)
        return;
    if (is_watched(informer, entry))
        set_due(informer, entry, due_ms);
    else
        set_due_by(informer, entry, due_ms);
}

static void change_live(void *context, int64_t live_ms)
{
    struct source *source = context;
    struct informer *informer = source->informer;
    struct informer_entry *entry;
    struct informer_entry *next;
    if (live_ms != CLOCK_NEVER)
        answer_api(informer);
    if (source->live_ms == live_ms)
        return;
    source->live_ms = live_ms;
    if (live_ms != CLOCK_NEVER)
        source->refused_ms = 0;
    if (source->only != NULL) {
        reschedule(informer, source->only);
        return;
    }
    HASH_ITER(hh, informer->entries, entry, next)
        if (entry->kind == source->watch.kind)
            reschedule(informer, entry);
}

static struct source *add_source(struct informer *informer, enum object_kind kind,
                                 struct informer_entry *only)
{
    struct source *source = memory_new(sizeof(*source));
    const struct watch_owner owner = {informer->multi, &informer->replies, &informer->api,
                                      take_event,      change_live,        source};
    source->informer = informer;
    source->only = only;
    source->live_ms = CLOCK_NEVER;
    watch_init(&source->watch, &owner, kind, only == NULL ? NULL : only->namespace,
               only == NULL ? NULL : only->name);
    DL_APPEND(informer->sources, source);
    informer->sources_count++;
    return source;
}

/* ---- links ---- */

void informer_link(struct informer *informer, struct informer_link *link, enum object_kind kind,
                   const char *namespace, const char *name)
{
    struct informer_entry *entry = find_entry(informer, kind, namespace, name);
    if (entry == NULL) {
        entry = memory_new(sizeof(*entry));
        *entry = (struct informer_entry){.key = key_of(kind, namespace, name),
                                         .path = object_path(kind, namespace, name),
                                         .kind = kind,
                                         .namespace = text_copy(namespace),
                                         .name = text_copy(name),
                                         .backoff_ms = FIRST_BACKOFF_MS};
        shares_enter(&informer->shares, &entry->turn, namespace);
        HASH_ADD_KEYPTR(hh, informer->entries, entry->key, strlen(entry->key), entry);
        if (kind == OBJECT_HPA)
            entry->source = NULL; /* there is no right to watch it */
        else if (!is_of_keda(kind))
            entry->source = shares_watch(&informer->shares, &entry->turn)
                                ? add_source(informer, kind, entry)
                                : NULL;
        else if (informer->of_kind[kind] == NULL)
            informer->of_kind[kind] = add_source(informer, kind, NULL);
        set_due(informer, entry, clock_now_ms());
    }
    link->entry = entry;
    DL_APPEND(entry->links, link);
}

void informer_unlink(struct informer *informer, struct informer_link *link)
{
    struct informer_entry *entry = TAKE(link->entry);
    DL_DELETE(entry->links, link);
    if (entry->links == NULL)
        drop_entry(informer, entry);
}

struct informer_view informer_look(const struct informer *informer,
                                   const struct informer_link *link)
{
    const struct informer_entry *entry = link->entry;
    struct informer_view view = {
        .is_read = entry->is_read, .object = entry->object, .read_ms = entry->read_ms};
    if (error_is_set(&entry->failure))
        view.failure = &entry->failure;
    else if (error_is_set(&informer->failure))
        view.failure = &informer->failure;
    return view;
}

void informer_want_fresh(struct informer *informer, const struct informer_link *link)
{
    want_fresh(informer, link->entry);
}

/* ---- news ---- */

/* A handler may add and remove links meanwhile, but the users that are there stay for this turn. */
static void notify_users(struct informer_entry *entry)
{
    size_t count = 0;
    size_t i = 0;
    struct informer_link *link;
    DL_COUNT(entry->links, link, count);
    _cleanup_(memory_free) struct informer_link *links = memory_array(count + 1, sizeof(*links));
    DL_FOREACH(entry->links, link)
        links[i++] = *link;
    for (i = 0; i < count; i++)
        if (i == 0 || links[i].user != links[i - 1].user)
            links[i].handler->changed(links[i].handler->context, links[i].user);
}

static void notify_changes(struct informer *informer)
{
    while (informer->changed != NULL) {
        struct informer_entry *entry = informer->changed;
        DL_DELETE2(informer->changed, entry, prev_changed, next_changed);
        entry->has_changed = false;
        notify_users(entry);
    }
}

/* ---- requests ---- */

static void grow_backoff(int64_t *backoff_ms, int64_t longest_ms)
{
    *backoff_ms = *backoff_ms * 2 > longest_ms ? longest_ms : *backoff_ms * 2;
}

static bool is_api_failing(const struct informer *informer)
{
    return error_is_set(&informer->failure);
}

/* The API as a whole does not answer: what has not been read yet cannot be, and nobody else need
 * try. */
static void fail_api(struct informer *informer, const struct error *error, int64_t retry_after_ms)
{
    struct informer_entry *entry;
    struct informer_entry *next;
    int64_t now_ms = clock_now_ms();
    int64_t requested_ms = now_ms + retry_after_ms;
    bool is_first = !is_api_failing(informer);
    if (is_first)
        log_warning("%s; what is known stays in use, retrying", error_text(error));
    bool is_known = !is_first && now_ms < informer->resume_ms; /* by another request */
    error_copy(&informer->failure, error);
    if (!is_known) {
        informer->resume_ms =
            now_ms + informer->backoff_ms + clock_jitter((uint32_t)informer->backoff_ms / 2);
        grow_backoff(&informer->backoff_ms, LONGEST_API_BACKOFF_MS);
    }
    if (informer->resume_ms < requested_ms)
        informer->resume_ms = requested_ms;
    informer->scan_ms = 0; /* what could not begin is due then */
    if (is_known)
        return;
    HASH_ITER(hh, informer->entries, entry, next)
        if (!entry->is_read || entry->kind == OBJECT_CONNECTIONS)
            add_changed(informer, entry);
}

/* Were others answered since it was refused first? Then it is not the API that fails: a Secret
 * whose encryption key is lost is a 500 each time. */
static bool is_refused_alone(const struct informer *informer, int64_t *refused_ms)
{
    if (*refused_ms != 0 && informer->answered_ms > *refused_ms)
        return true;
    *refused_ms = clock_now_ms();
    return false;
}

/* The API has refused it: whether it refuses all, another object is to show. */
static void try_last(struct informer *informer, struct informer_entry *entry)
{
    HASH_DELETE(hh, informer->entries, entry);
    HASH_ADD_KEYPTR(hh, informer->entries, entry->key, strlen(entry->key), entry);
    set_due(informer, entry, informer->resume_ms + MIN_INTERVAL_MS);
}

static void fail_entry(struct informer *informer, struct informer_entry *entry,
                       const struct error *error)
{
    if (!text_equal(error_text(&entry->failure), error_text(error))) {
        _cleanup_(memory_free) char *label =
            object_label(entry->kind, entry->namespace, entry->name);
        log_warning("%s cannot be read: %s; retrying", label, error_text(error));
        if (!entry->is_read || entry->kind == OBJECT_CONNECTIONS)
            add_changed(informer, entry);
    }
    set_failing(informer, entry, true);
    error_copy(&entry->failure, error);
    set_due(informer, entry,
            clock_now_ms() + entry->backoff_ms + clock_jitter((uint32_t)entry->backoff_ms));
    grow_backoff(&entry->backoff_ms, LONGEST_ENTRY_BACKOFF_MS);
}

/* The object is taken; NULL: there is none. */
static void succeed(struct informer *informer, struct informer_entry *entry, struct object *object)
{
    _cleanup_(memory_free) char *seen = TAKE(entry->seen);
    if (entry->is_failing) {
        _cleanup_(memory_free) char *label =
            object_label(entry->kind, entry->namespace, entry->name);
        log_info("%s can be read again", label);
    }
    shares_keep(&informer->shares, &entry->turn, object == NULL ? 0 : object->bytes);
    object_free(entry->object);
    entry->object = object;
    entry->is_read = true;
    entry->read_ms = entry->sent_ms;
    entry->refused_ms = 0;
    error_done(&entry->failure);
    set_failing(informer, entry, false);
    entry->backoff_ms = FIRST_BACKOFF_MS;
    set_due(informer, entry, clock_now_ms() + interval_ms(informer, entry));
    if (seen != NULL && !is_as_seen(entry, seen))
        want_fresh(informer, entry);
    add_changed(informer, entry);
}

static void count_request(struct informer *informer, const struct error *error)
{
    pthread_mutex_lock(&informer->lock);
    informer->stats.requests++;
    informer->stats.failures += error_is_set(error);
    if (error_is_set(error))
        snprintf(informer->stats.failure, sizeof(informer->stats.failure), "%s", error_text(error));
    pthread_mutex_unlock(&informer->lock);
}

static void end_entry(struct informer *informer, struct informer_entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    const struct request *request = &entry->request;
    const char *text = request->body.bytes == NULL ? "" : request->body.bytes;
    struct object *object = NULL;
    if (request->status == 200)
        object = object_parse(entry->kind, entry->namespace, entry->name, text,
                              request->body.length, &error);
    if (object != NULL && !shares_have_room(&informer->shares, &entry->turn, object->bytes)) {
        object_free(TAKE(object));
        error_unavailable(&error,
                          "the objects of its namespace take too much memory: one may have "
                          "as much of %d MiB as it leaves to others",
                          SHARES_MAX_BYTES >> 20);
    }
    bool is_absent =
        request->status == 404 && object_is_absent(entry->name, text, request->body.length);
    if (object == NULL && !is_absent && !error_is_set(&error))
        request_explain(request, &informer->api, &error);
    bool is_refused = error_is_set(&error) && request_is_refused_by_all(request);
    int64_t retry_after_ms = request->retry_after_ms;
    end_request(informer, entry);
    count_request(informer, &error);
    if (is_refused && !is_refused_alone(informer, &entry->refused_ms)) {
        fail_api(informer, &error, retry_after_ms);
        try_last(informer, entry);
        return;
    }
    if (!is_refused)
        answer_api(informer);
    if (error_is_set(&error))
        fail_entry(informer, entry, &error);
    else
        succeed(informer, entry, object);
}

static void end_watch(struct informer *informer, struct watch *watch)
{
    _cleanup_(error_done) struct error error = {0};
    int64_t retry_after_ms = watch->request.retry_after_ms;
    bool is_refused = !watch->is_connected && request_is_refused_by_all(&watch->request);
    if (!watch->is_connected && watch->request.status != 200 && watch->request.status != 410)
        request_explain(&watch->request, &informer->api, &error);
    count_request(informer, &error);
    watch_end(watch);
    if (is_refused && !is_refused_alone(informer, &((struct source *)watch)->refused_ms))
        fail_api(informer, &error, retry_after_ms);
}

static void end_requests(struct informer *informer)
{
    struct request *request;
    while ((request = request_take_ended(informer->multi)) != NULL) {
        size_t place = 0;
        while (place < informer->requests && &informer->sent[place]->request != request)
            place++;
        if (place < informer->requests)
            end_entry(informer, informer->sent[place]);
        else
            end_watch(informer, (struct watch *)request);
    }
}

static void begin(struct informer *informer, struct informer_entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    shares_end_unread(&informer->shares, &entry->turn);
    entry->sent_ms = clock_now_ms();
    const struct request_settings get = {
        .path = entry->path, .timeout_ms = REQUEST_TIMEOUT_MS, .max_bytes = LARGEST_REPLY};
    if (!request_begin(&entry->request, informer->multi, &informer->api, &get, &error)) {
        fail_api(informer, &error, 0);
        return;
    }
    entry->request.budgets[0] = &informer->replies;
    entry->request.budgets[1] = &entry->turn.share->replies;
    entry->turn.share->requests++;
    informer->sent[informer->requests++] = entry;
}

static size_t max_requests(const struct informer *informer, int64_t now_ms)
{
    if (!is_api_failing(informer))
        return MAX_REQUESTS;
    return now_ms < informer->resume_ms ? 0 : 1;
}

/* Begins what is due of one kind of objects, as far as the budget goes. False: it goes no further.
 */
static bool begin_entries(struct informer *informer, bool are_scaled, int64_t now_ms,
                          int64_t *next_ms)
{
    for (struct informer_entry *entry = informer->entries; entry != NULL; entry = entry->hh.next) {
        bool has_turn = are_scaled && entry->turn.is_unread; /* begin_unread() */
        if (entry->request.curl != NULL || is_scaled(entry->kind) != are_scaled || has_turn)
            continue;
        if (entry->due_ms > now_ms)
            *next_ms = clock_earlier(*next_ms, entry->due_ms);
        else if (informer->requests >= max_requests(informer, now_ms))
            return false; /* the end of a request is the next occasion */
        else if (entry->turn.share->requests < SHARE_MAX_REQUESTS)
            begin(informer, entry);
    }
    return true;
}

static struct informer_entry *entry_of(struct turn *turn)
{
    return (struct informer_entry *)((char *)turn - offsetof(struct informer_entry, turn));
}

static void begin_unread(struct informer *informer, int64_t now_ms)
{
    struct turn *turn;
    while (informer->requests < max_requests(informer, now_ms) && informer->requests < MAX_UNREAD &&
           (turn = shares_next_unread(&informer->shares)) != NULL)
        begin(informer, entry_of(turn));
}

/* Returns when to look again. What objects name comes first, so that the first of many triggers
 * need not wait for all. */
static int64_t begin_due(struct informer *informer)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = now_ms + IDLE_MS;
    if (is_api_failing(informer) && informer->resume_ms > now_ms)
        return clock_earlier(next_ms, informer->resume_ms);
    if (informer->entries != NULL) {
        if (now_ms >= informer->answered_ms + QUIET_MS)
            want_fresh(informer, informer->entries);
        else
            next_ms = clock_earlier(next_ms, informer->answered_ms + QUIET_MS);
    }
    if (now_ms < informer->scan_ms)
        return clock_earlier(next_ms, informer->scan_ms);
    if (now_ms < informer->scanned_ms + SCAN_INTERVAL_MS)
        return informer->scanned_ms + SCAN_INTERVAL_MS;
    informer->scanned_ms = now_ms;
    informer->scan_ms = CLOCK_NEVER; /* what is set meanwhile lowers it */
    if (begin_entries(informer, false, now_ms, &next_ms)) {
        begin_unread(informer, now_ms);
        begin_entries(informer, true, now_ms, &next_ms);
    }
    informer->scan_ms = clock_earlier(informer->scan_ms, next_ms);
    return clock_earlier(next_ms, informer->scan_ms);
}

/* One whose answer does not begin must not keep the place of others. Where those were answered
 * since, it is not the API that fails. Returns when the next one is late. */
static int64_t end_late_watches(struct informer *informer, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    struct source *source;
    DL_FOREACH(informer->sources, source) {
        if (watch_late_ms(&source->watch) <= now_ms) {
            if (source->refused_ms == 0)
                source->refused_ms = source->watch.begun_ms;
            watch_give_up(&source->watch);
            end_watch(informer, &source->watch);
        }
        next_ms = clock_earlier(next_ms, watch_late_ms(&source->watch));
    }
    return next_ms;
}

/* Returns when to look again. */
static int64_t begin_watches(struct informer *informer)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = clock_earlier(now_ms + IDLE_MS, end_late_watches(informer, now_ms));
    size_t unanswered = 0;
    struct source *source;
    DL_FOREACH(informer->sources, source)
        unanswered += source->watch.request.curl != NULL && !source->watch.is_connected;
    if (is_api_failing(informer) && informer->resume_ms > now_ms)
        return informer->resume_ms;
    DL_FOREACH(informer->sources, source) {
        _cleanup_(error_done) struct error error = {0};
        if (unanswered >= MAX_NEW_WATCHES)
            return next_ms; /* an answer is the next occasion */
        if (watch_is_due(&source->watch, now_ms)) {
            if (watch_begin(&source->watch, &error)) {
                unanswered++;
                next_ms = clock_earlier(next_ms, watch_late_ms(&source->watch));
            } else
                fail_api(informer, &error, 0);
        }
        if (source->watch.request.curl == NULL)
            next_ms = clock_earlier(next_ms, source->watch.due_ms);
    }
    return next_ms;
}

/* ---- the thread ---- */

static void count_entries(struct informer *informer)
{
    size_t failing = is_api_failing(informer) ? HASH_COUNT(informer->entries) : informer->failing;
    size_t live = 0;
    const struct source *source;
    DL_FOREACH(informer->sources, source)
        live += source->live_ms != CLOCK_NEVER;
    pthread_mutex_lock(&informer->lock);
    informer->stats.objects = HASH_COUNT(informer->entries);
    informer->stats.failing = failing;
    informer->stats.watches = informer->sources_count;
    informer->stats.live_watches = live;
    if (failing == 0)
        informer->stats.failure[0] = '\0';
    pthread_mutex_unlock(&informer->lock);
}

static void end_all(struct informer *informer)
{
    for (size_t i = 0; i < informer->handlers_count; i++)
        informer->handlers[i].end(informer->handlers[i].context);
    for (size_t kind = 0; kind < OBJECT_KINDS; kind++)
        end_source(informer, informer->of_kind[kind]);
}

static void *informer_thread(void *argument)
{
    struct informer *informer = argument;
    while (!informer_is_stopping(informer)) {
        int running;
        int64_t next_ms = CLOCK_NEVER;
        curl_multi_perform(informer->multi, &running);
        end_requests(informer);
        notify_changes(informer);
        for (size_t i = 0; i < informer->handlers_count; i++)
            next_ms =
                clock_earlier(next_ms, informer->handlers[i].turn(informer->handlers[i].context));
        next_ms = clock_earlier(next_ms, begin_watches(informer));
        next_ms = clock_earlier(next_ms, begin_due(informer));
        notify_changes(informer); /* what could not be begun */
        count_entries(informer);
        curl_multi_poll(informer->multi, NULL, 0, clock_left_ms(next_ms, IDLE_MS), NULL);
    }
    end_all(informer);
    return NULL;
}

/* ---- from outside ---- */

struct informer *informer_new(struct kubernetes_api *api)
{
    struct informer *informer = memory_new(sizeof(*informer));
    informer->api = *api;
    *api = (struct kubernetes_api){0};
    informer->backoff_ms = FIRST_BACKOFF_MS;
    informer->replies.max = SHARES_MAX_REPLIES;
    pthread_mutex_init(&informer->lock, NULL);
    informer->multi = curl_multi_init();
    curl_multi_setopt(informer->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return informer;
}

void informer_add_handler(struct informer *informer, const struct informer_handler *handler)
{
    if (informer->handlers_count == MAX_HANDLERS)
        abort();
    informer->handlers[informer->handlers_count++] = *handler;
}

void informer_start(struct informer *informer)
{
    if (pthread_create(&informer->thread, NULL, informer_thread, informer) != 0)
        abort();
    informer->is_started = true;
}

bool informer_stop(struct informer *informer)
{
    if (informer == NULL || !informer->is_started)
        return true;
    pthread_mutex_lock(&informer->lock);
    informer->is_stopping = true;
    pthread_mutex_unlock(&informer->lock);
    curl_multi_wakeup(informer->multi);
    if (!kubernetes_api_join(&informer->api, informer->thread))
        return false;
    informer->is_started = false;
    return true;
}

void informer_free(struct informer *informer)
{
    if (informer == NULL)
        return;
    curl_multi_cleanup(informer->multi);
    pthread_mutex_destroy(&informer->lock);
    error_done(&informer->failure);
    kubernetes_api_done(&informer->api);
    free(informer);
}

void informer_wake(struct informer *informer)
{
    curl_multi_wakeup(informer->multi);
}

bool informer_is_stopping(struct informer *informer)
{
    pthread_mutex_lock(&informer->lock);
    bool is_stopping = informer->is_stopping;
    pthread_mutex_unlock(&informer->lock);
    return is_stopping;
}

void informer_stats(struct informer *informer, struct informer_stats *ret_stats)
{
    pthread_mutex_lock(&informer->lock);
    *ret_stats = informer->stats;
    pthread_mutex_unlock(&informer->lock);
}
