#include "kubernetes/reader.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "kubernetes/object.h"
#include "kubernetes/resolve.h"
#include "kubernetes/secret.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A rotated Secret is in use within 10 s; a deleted ScaledObject is one no more within 60 s. */
enum {
    VALUES_INTERVAL_MS = 7000, /* of authentications, Secrets and ConfigMaps */
    OBJECT_INTERVAL_MS = 40 * 1000,
    ABSENT_OBJECT_INTERVAL_MS = 300 * 1000, /* a trigger is of the kind that is there */
    HPA_INTERVAL_MS = 300 * 1000,           /* it counts when it was read in an outage: doubted */
    MIN_INTERVAL_MS = 1000,
    REPLACED_MS = 60 * 1000, /* KEDA may still call for a trigger that was replaced */
    REQUEST_TIMEOUT_MS = 5000,
    FIRST_BACKOFF_MS = 1000,
    LONGEST_API_BACKOFF_MS = 8000,
    LONGEST_ENTRY_BACKOFF_MS = 30 * 1000,
    REDELIVER_MS = 1000,
    LARGEST_REPLY = 2 << 20,
    MAX_REQUESTS = 32,
    MAX_NAMESPACE_REQUESTS = 8, /* of them, those of one namespace */
    IDLE_MS = 60 * 1000,
    SCAN_INTERVAL_MS = 20, /* tens of thousands of entries are looked at each time */
};

/* One object of the API. The thread's alone. */
struct entry {
    char *path;
    enum object_kind kind;
    char *namespace, *name;
    struct link *users; /* utlist (next_user); none: it is freed */
    struct object *object;
    bool is_read; /* once: `object` is what there was last, NULL if there was none */
    int64_t read_ms, due_ms, backoff_ms;
    struct error failure; /* of the last request */
    CURL *curl;           /* of the request, or NULL */
    struct curl_slist *headers;
    struct text reply;
    bool is_too_large;
    int64_t sent_ms;
    UT_hash_handle hh;
    struct entry *next_changed, *prev_changed;
    bool has_changed;
    bool is_failing; /* counted */
};

/* A call uses an object. */
struct link {
    struct entry *entry;
    struct call *call;
    struct link *next_user, *prev_user, *next_used;
};

/* Guarded by the lock until the thread takes it over with its message; then the thread's alone. */
struct call {
    char *key;
    size_t key_length;
    char *namespace, *name;
    struct option_entry *entries;
    size_t count;
    const struct option *table;
    struct link *used;
    int64_t added_ms;
    struct credentials *delivered; /* NULL: nothing yet */
    int64_t replaced_ms;           /* its trigger is there no more since; 0: it is */
    int64_t due_ms;                /* to be resolved again; CLOCK_NEVER: not by itself */
    UT_hash_handle hh;
    struct call *next, *prev; /* utlist of those with a due_ms */
    bool is_due_listed;
};

enum message_kind { MESSAGE_ADD, MESSAGE_REMOVE, MESSAGE_DOUBT };

struct message {
    enum message_kind kind;
    struct call *call; /* of MESSAGE_ADD */
    char *key;
    size_t key_length;
    struct message *next, *prev;
};

struct reader {
    struct reader_settings settings;
    pthread_t thread;
    pthread_mutex_t lock;
    struct message *messages; /* guarded, as the next two */
    bool is_stopping;
    struct reader_stats stats;

    CURLM *multi; /* the rest is the thread's */
    struct entry *entries;
    struct call *calls;
    struct call *due_calls;
    struct entry *changed;
    struct entry *sent[MAX_REQUESTS]; /* those with a request */
    size_t requests;
    size_t failing; /* entries */
    int64_t scanned_ms;
    /* The API failed as a whole: nothing is sent until then, and one request after it. */
    int64_t resume_ms;
    int64_t backoff_ms;
    struct error failure; /* ... for this reason */
};

/* ---- entries ---- */

static void set_failing(struct reader *reader, struct entry *entry, bool is_failing)
{
    reader->failing += (size_t)is_failing - (size_t)entry->is_failing;
    entry->is_failing = is_failing;
}

static bool is_scaled(enum object_kind kind)
{
    return kind == OBJECT_SCALED_OBJECT || kind == OBJECT_SCALED_JOB;
}

static int64_t interval_ms(const struct entry *entry)
{
    int64_t interval = entry->kind == OBJECT_HPA ? HPA_INTERVAL_MS
                       : !is_scaled(entry->kind) ? VALUES_INTERVAL_MS
                       : entry->object == NULL   ? ABSENT_OBJECT_INTERVAL_MS
                                                 : OBJECT_INTERVAL_MS;
    return interval + clock_jitter((uint32_t)interval / 4);
}

static void add_changed(struct reader *reader, struct entry *entry)
{
    if (entry->has_changed)
        return;
    entry->has_changed = true;
    DL_APPEND2(reader->changed, entry, prev_changed, next_changed);
}

static void end_request(struct reader *reader, struct entry *entry)
{
    if (entry->curl == NULL)
        return;
    curl_multi_remove_handle(reader->multi, entry->curl);
    curl_easy_cleanup(TAKE(entry->curl));
    curl_slist_free_all(TAKE(entry->headers));
    text_done(&entry->reply);
    size_t place = 0;
    while (reader->sent[place] != entry)
        place++;
    reader->sent[place] = reader->sent[--reader->requests];
}

static void drop_entry(struct reader *reader, struct entry *entry)
{
    end_request(reader, entry);
    set_failing(reader, entry, false);
    HASH_DELETE(hh, reader->entries, entry);
    if (entry->has_changed)
        DL_DELETE2(reader->changed, entry, prev_changed, next_changed);
    object_free(entry->object);
    error_done(&entry->failure);
    free(entry->path);
    free(entry->namespace);
    free(entry->name);
    free(entry);
}

/* From now on it is read; it is dropped when its last user goes. */
static struct entry *find_entry(struct reader *reader, enum object_kind kind, const char *namespace,
                                const char *name)
{
    char *path = object_path(kind, namespace, name);
    struct entry *entry;
    HASH_FIND_STR(reader->entries, path, entry);
    if (entry != NULL) {
        free(path);
        return entry;
    }
    entry = memory_new(sizeof(*entry));
    *entry = (struct entry){.path = path,
                            .kind = kind,
                            .namespace = text_copy(namespace),
                            .name = text_copy(name),
                            .due_ms = clock_now_ms(),
                            .backoff_ms = FIRST_BACKOFF_MS};
    HASH_ADD_KEYPTR(hh, reader->entries, entry->path, strlen(entry->path), entry);
    return entry;
}

/* Never more often than once per second, however many want it. */
static void want_fresh(struct entry *entry, int64_t now_ms)
{
    int64_t allowed_ms = entry->sent_ms + MIN_INTERVAL_MS;
    int64_t due_ms = allowed_ms > now_ms ? allowed_ms : now_ms;
    if (entry->sent_ms == 0)
        due_ms = now_ms;
    if (due_ms < entry->due_ms)
        entry->due_ms = due_ms;
}

/* ---- calls ---- */

static void unlink_call(struct call *call, struct link **ret_former)
{
    struct link *link;
    LL_FOREACH2(call->used, link, next_used)
    DL_DELETE2(link->entry->users, link, prev_user, next_user);
    *ret_former = TAKE(call->used);
}

/* After the new links are there, so that what is still used stays. */
static void free_links(struct reader *reader, struct link *link)
{
    while (link != NULL) {
        struct link *next = link->next_used;
        struct entry *entry = link->entry;
        free(link);
        bool is_shared = false; /* by a later link of the same list, which must find it */
        for (struct link *other = next; other != NULL; other = other->next_used)
            is_shared = is_shared || other->entry == entry;
        if (entry->users == NULL && !is_shared)
            drop_entry(reader, entry);
        link = next;
    }
}

static void set_due(struct reader *reader, struct call *call, int64_t due_ms)
{
    bool is_listed = due_ms != CLOCK_NEVER;
    call->due_ms = due_ms;
    if (is_listed && !call->is_due_listed)
        DL_APPEND(reader->due_calls, call);
    if (!is_listed && call->is_due_listed)
        DL_DELETE(reader->due_calls, call);
    call->is_due_listed = is_listed;
}

static void count_delivered(struct reader *reader, const struct call *call, int step)
{
    const struct credentials *credentials = call->delivered;
    enum credentials_state state = credentials == NULL ? CREDENTIALS_WAITING : credentials->state;
    if (call->table == NULL)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->stats.calls[state] += (size_t)step;
    pthread_mutex_unlock(&reader->lock);
}

static void call_free(struct call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        free((char *)call->entries[i].key);
        free((char *)call->entries[i].value);
    }
    free(call->entries);
    credentials_free(call->delivered);
    free(call->namespace);
    free(call->name);
    free(call->key);
    free(call);
}

static void drop_call(struct reader *reader, struct call *call)
{
    struct link *former;
    count_delivered(reader, call, -1);
    set_due(reader, call, CLOCK_NEVER);
    HASH_DELETE(hh, reader->calls, call);
    unlink_call(call, &former);
    free_links(reader, former);
    call_free(call);
}

static bool is_stopping(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    bool is_stopping = reader->is_stopping;
    pthread_mutex_unlock(&reader->lock);
    return is_stopping;
}

/* Takes the credentials. */
static void deliver(struct reader *reader, struct call *call, struct credentials *credentials)
{
    const struct reader_settings *settings = &reader->settings;
    if (credentials_equal(call->delivered, credentials)) {
        credentials_free(credentials);
        return;
    }
    if (is_stopping(reader) || !settings->changed(settings->context, call->key, call->key_length,
                                                  credentials_copy(credentials))) {
        credentials_free(credentials);
        set_due(reader, call, clock_now_ms() + REDELIVER_MS);
        return;
    }
    count_delivered(reader, call, -1);
    credentials_free(call->delivered);
    call->delivered = credentials;
    count_delivered(reader, call, 1);
}

/* One look-up of a resolution. */
struct view {
    struct reader *reader;
    struct call *call;
};

static struct resolve_found find_object(void *context, enum object_kind kind, const char *namespace,
                                        const char *name)
{
    const struct view *view = context;
    struct entry *entry = find_entry(view->reader, kind, namespace, name);
    struct link *link = memory_new(sizeof(*link));
    *link = (struct link){.entry = entry, .call = view->call};
    DL_APPEND2(entry->users, link, prev_user, next_user);
    LL_PREPEND2(view->call->used, link, next_used);
    struct resolve_found found = {.state = RESOLVE_UNKNOWN};
    if (entry->is_read) {
        found.state = entry->object == NULL ? RESOLVE_ABSENT : RESOLVE_FOUND;
        found.object = entry->object;
        found.read_ms = entry->read_ms;
    } else if (error_is_set(&entry->failure) || error_is_set(&view->reader->failure)) {
        found.state = RESOLVE_FAILED;
        found.failure =
            error_text(error_is_set(&entry->failure) ? &entry->failure : &view->reader->failure);
    }
    return found;
}

/* Has what it was refused by been read since it came? Where not, it is read now: KEDA may be ahead of our view. NULL: yes; else
 * what is older. */
static const struct entry *find_older(const struct call *call, int64_t now_ms)
{
    const struct entry *older = NULL;
    struct link *link;
    LL_FOREACH2(call->used, link, next_used)
    if (link->entry->is_read && link->entry->read_ms < call->added_ms) {
        want_fresh(link->entry, now_ms);
        older = link->entry;
    }
    return older;
}

/* It was refused by what is older than the call. Where that cannot be read again, this is the reason. */
static bool is_undecided(const struct reader *reader, const struct call *call,
                         struct credentials *credentials, int64_t now_ms)
{
    const struct entry *older =
        credentials->state == CREDENTIALS_REFUSED ? find_older(call, now_ms) : NULL;
    if (older == NULL)
        return false;
    const struct error *failure =
        error_is_set(&reader->failure) ? &reader->failure : &older->failure;
    if (!error_is_set(failure))
        return true;
    error_copy(&credentials->failure, failure);
    return false;
}

/* What a trigger had that was there before, for as long as KEDA may still call for it. */
static bool is_still_valid(struct reader *reader, struct call *call, bool is_other, int64_t now_ms)
{
    bool was_good = call->delivered != NULL && call->delivered->state == CREDENTIALS_VERIFIED;
    if (!is_other) {
        call->replaced_ms = 0;
        return false;
    }
    if (!was_good)
        return false;
    if (call->replaced_ms == 0)
        call->replaced_ms = now_ms;
    if (now_ms >= call->replaced_ms + REPLACED_MS)
        return false;
    set_due(reader, call, call->replaced_ms + REPLACED_MS);
    return true;
}

static void resolve_call(struct reader *reader, struct call *call)
{
    const struct resolve_call resolved = {
        .namespace = call->namespace,
        .name = call->name,
        .entries = call->entries,
        .count = call->count,
        .table = call->table,
        .cluster_namespace = reader->settings.cluster_namespace,
        .reads_hpa = reader->settings.reads_hpas,
    };
    struct view view = {reader, call};
    int64_t now_ms = clock_now_ms();
    struct link *former;
    bool is_other = false;
    unlink_call(call, &former);
    struct credentials *credentials = resolve_credentials(&resolved, find_object, &view, &is_other);
    free_links(reader, former);
    set_due(reader, call, CLOCK_NEVER);
    if (is_still_valid(reader, call, is_other, now_ms)) {
        credentials_free(credentials);
        return;
    }
    bool is_known = call->delivered != NULL && call->delivered->state == CREDENTIALS_VERIFIED;
    bool is_new = is_undecided(reader, call, credentials, now_ms);
    /* News that need another object are news once that is there; what is known of the former ones goes on. */
    bool is_lost = is_known && credentials->state == CREDENTIALS_REFUSED &&
                   credentials->failure.code == ERROR_UNAVAILABLE;
    if (credentials->state == CREDENTIALS_WAITING || is_new || is_lost)
        credentials_free(credentials);
    else
        deliver(reader, call, credentials);
}

static void resolve_changed(struct reader *reader)
{
    while (reader->changed != NULL) {
        struct entry *entry = reader->changed;
        DL_DELETE2(reader->changed, entry, prev_changed, next_changed);
        entry->has_changed = false;
        /* Resolving a call appends its new link behind those that are there now. */
        size_t count = 0;
        struct link *link;
        DL_COUNT2(entry->users, link, count, next_user);
        _cleanup_(memory_free) struct call **calls = memory_array(count + 1, sizeof(struct call *));
        size_t i = 0;
        DL_FOREACH2(entry->users, link, next_user)
        calls[i++] = link->call;
        for (i = 0; i < count; i++)
            if (i == 0 || calls[i] != calls[i - 1])
                resolve_call(reader, calls[i]);
    }
}

/* ---- requests ---- */

static void grow_backoff(int64_t *backoff_ms, int64_t longest_ms)
{
    *backoff_ms = *backoff_ms * 2 > longest_ms ? longest_ms : *backoff_ms * 2;
}

static bool is_api_failing(const struct reader *reader)
{
    return error_is_set(&reader->failure);
}

/* The API as a whole does not answer: what has not been read yet cannot be, and nobody else need try. */
static void fail_api(struct reader *reader, const struct error *error)
{
    struct entry *entry;
    struct entry *next;
    if (!is_api_failing(reader))
        log_warning("%s; what is known stays in use, retrying", error_text(error));
    bool is_known = is_api_failing(reader) && clock_now_ms() < reader->resume_ms;
    error_copy(&reader->failure, error);
    if (is_known) /* by another request of that time */
        return;
    reader->resume_ms =
        clock_now_ms() + reader->backoff_ms + clock_jitter((uint32_t)reader->backoff_ms / 2);
    grow_backoff(&reader->backoff_ms, LONGEST_API_BACKOFF_MS);
    HASH_ITER(hh, reader->entries, entry, next)
    if (!entry->is_read)
        add_changed(reader, entry);
}

static void fail_entry(struct reader *reader, struct entry *entry, const struct error *error)
{
    if (!text_equal(error_text(&entry->failure), error_text(error))) {
        _cleanup_(memory_free) char *label =
            object_label(entry->kind, entry->namespace, entry->name);
        log_warning("%s cannot be read: %s; retrying", label, error_text(error));
        if (!entry->is_read)
            add_changed(reader, entry);
    }
    set_failing(reader, entry, true);
    error_copy(&entry->failure, error);
    entry->due_ms = clock_now_ms() + entry->backoff_ms + clock_jitter((uint32_t)entry->backoff_ms);
    grow_backoff(&entry->backoff_ms, LONGEST_ENTRY_BACKOFF_MS);
}

static void succeed(struct reader *reader, struct entry *entry, struct object *object)
{
    object_free(entry->object);
    entry->object = object;
    entry->is_read = true;
    entry->read_ms = entry->sent_ms;
    error_done(&entry->failure);
    set_failing(reader, entry, false);
    entry->backoff_ms = FIRST_BACKOFF_MS;
    entry->due_ms = clock_now_ms() + interval_ms(entry);
    add_changed(reader, entry);
}

static void explain(const struct reader *reader, const struct entry *entry, CURLcode code,
                    long status, struct error *error)
{
    const char *text = entry->reply.bytes == NULL ? "" : entry->reply.bytes;
    _cleanup_(memory_free) char *message =
        status == 0 ? NULL : secret_parse_status(text, entry->reply.length);
    if (entry->is_too_large)
        error_unavailable(error, "the reply is larger than %d bytes", LARGEST_REPLY);
    else if (status == 0)
        error_unavailable(error, "the Kubernetes API at %s: %s", reader->settings.api.server,
                          curl_easy_strerror(code));
    else
        error_unavailable(error, "the Kubernetes API: %ld%s%s", status, message == NULL ? "" : " ",
                          message == NULL ? "" : message);
}

static void end(struct reader *reader, struct entry *entry, CURLcode code)
{
    _cleanup_(error_done) struct error error = {0};
    const char *text = entry->reply.bytes == NULL ? "" : entry->reply.bytes;
    long status = 0;
    curl_easy_getinfo(entry->curl, CURLINFO_RESPONSE_CODE, &status);
    bool is_whole = code == CURLE_OK;
    struct object *object = NULL;
    if (is_whole && status == 200)
        object = object_parse(entry->kind, entry->namespace, entry->name, text, entry->reply.length,
                              &error);
    bool is_absent =
        is_whole && status == 404 && object_is_absent(entry->name, text, entry->reply.length);
    if (object == NULL && !is_absent && !error_is_set(&error))
        explain(reader, entry, code, is_whole ? status : 0, &error);
    end_request(reader, entry);

    pthread_mutex_lock(&reader->lock);
    reader->stats.requests++;
    reader->stats.failures += error_is_set(&error);
    if (error_is_set(&error))
        snprintf(reader->stats.failure, sizeof(reader->stats.failure), "%s", error_text(&error));
    pthread_mutex_unlock(&reader->lock);

    bool is_api = error_is_set(&error) && !entry->is_too_large &&
                  (!is_whole || status == 401 || status == 429 || status >= 500);
    if (is_api) {
        entry->due_ms = clock_now_ms();
        fail_api(reader, &error);
        return;
    }
    if (is_api_failing(reader))
        log_info("the Kubernetes API at %s answers again", reader->settings.api.server);
    error_done(&reader->failure);
    reader->backoff_ms = FIRST_BACKOFF_MS;
    if (error_is_set(&error))
        fail_entry(reader, entry, &error);
    else
        succeed(reader, entry, object);
}

static size_t receive(char *bytes, size_t size, size_t count, void *argument)
{
    struct entry *entry = argument;
    entry->is_too_large = entry->reply.length + size * count > LARGEST_REPLY;
    if (entry->is_too_large)
        return CURL_WRITEFUNC_ERROR;
    text_add_bytes(&entry->reply, bytes, size * count);
    return size * count;
}

static void begin(struct reader *reader, struct entry *entry)
{
    _cleanup_(error_done) struct error error = {0};
    entry->sent_ms = clock_now_ms();
    entry->is_too_large = false;
    entry->curl = kubernetes_api_get(&reader->settings.api, entry->path, REQUEST_TIMEOUT_MS,
                                     &entry->headers, &error);
    if (entry->curl == NULL) {
        fail_api(reader, &error);
        return;
    }
    reader->sent[reader->requests++] = entry;
    curl_easy_setopt(entry->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(entry->curl, CURLOPT_WRITEDATA, entry);
    curl_easy_setopt(entry->curl, CURLOPT_PRIVATE, entry);
    curl_multi_add_handle(reader->multi, entry->curl);
}

static size_t requests_of(const struct reader *reader, const char *namespace)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->requests; i++)
        count += text_equal(reader->sent[i]->namespace, namespace);
    return count;
}

static size_t max_requests(const struct reader *reader, int64_t now_ms)
{
    if (!is_api_failing(reader))
        return MAX_REQUESTS;
    return now_ms < reader->resume_ms ? 0 : 1;
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* Begins what is due of one kind of objects, as far as the budget goes. False: it goes no further. */
static bool begin_entries(struct reader *reader, bool are_scaled, int64_t now_ms, int64_t *next_ms)
{
    for (struct entry *entry = reader->entries; entry != NULL; entry = entry->hh.next) {
        if (entry->curl != NULL || is_scaled(entry->kind) != are_scaled)
            continue;
        if (entry->due_ms > now_ms)
            *next_ms = earlier(*next_ms, entry->due_ms);
        else if (reader->requests >= max_requests(reader, now_ms))
            return false; /* the end of a request is the next occasion */
        else if (requests_of(reader, entry->namespace) < MAX_NAMESPACE_REQUESTS)
            begin(reader, entry);
    }
    return true;
}

/* Returns when to look again. What objects name comes first, so that the first of many triggers need not wait for all. */
static int64_t begin_due(struct reader *reader)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = now_ms + IDLE_MS;
    if (is_api_failing(reader) && reader->resume_ms > now_ms)
        return earlier(next_ms, reader->resume_ms);
    if (now_ms < reader->scanned_ms + SCAN_INTERVAL_MS)
        return reader->scanned_ms + SCAN_INTERVAL_MS;
    reader->scanned_ms = now_ms;
    if (begin_entries(reader, false, now_ms, &next_ms))
        begin_entries(reader, true, now_ms, &next_ms);
    return next_ms;
}

static void handle_ends(struct reader *reader)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(reader->multi, &left)) != NULL) {
        struct entry *entry = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &entry);
        end(reader, entry, code);
    }
}

/* ---- messages ---- */

static void message_free(struct message *message)
{
    if (message->call != NULL)
        call_free(message->call);
    free(message->key);
    free(message);
}

static struct call *find_call(const struct reader *reader, const struct message *message)
{
    struct call *call;
    HASH_FIND(hh, reader->calls, message->key, message->key_length, call);
    return call;
}

/* All that it follows from: the object may name another authentication now. */
static void doubt(struct call *call)
{
    struct link *link;
    int64_t now_ms = clock_now_ms();
    LL_FOREACH2(call->used, link, next_used)
    want_fresh(link->entry, now_ms);
}

static void handle_message(struct reader *reader, struct message *message)
{
    struct call *call = find_call(reader, message);
    if (call != NULL && message->kind == MESSAGE_DOUBT)
        doubt(call);
    if (call != NULL && message->kind != MESSAGE_DOUBT)
        drop_call(reader, call);
    if (message->kind != MESSAGE_ADD)
        return;
    call = TAKE(message->call);
    HASH_ADD_KEYPTR(hh, reader->calls, call->key, call->key_length, call);
    count_delivered(reader, call, 1);
    resolve_call(reader, call);
}

/* False: it is stopping. */
static bool handle_messages(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct message *message = TAKE(reader->messages);
    bool is_stopping = reader->is_stopping;
    pthread_mutex_unlock(&reader->lock);
    while (message != NULL) {
        struct message *next = message->next;
        if (!is_stopping)
            handle_message(reader, message);
        message_free(message);
        message = next;
    }
    return !is_stopping;
}

/* Returns when to look again. */
static int64_t resolve_due(struct reader *reader)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    struct call *call;
    struct call *next;
    DL_FOREACH_SAFE(reader->due_calls, call, next)
    {
        if (call->due_ms <= now_ms)
            resolve_call(reader, call);
        next_ms = earlier(next_ms, call->due_ms);
    }
    return next_ms;
}

static void count_entries(struct reader *reader)
{
    size_t failing = is_api_failing(reader) ? HASH_COUNT(reader->entries) : reader->failing;
    pthread_mutex_lock(&reader->lock);
    reader->stats.objects = HASH_COUNT(reader->entries);
    reader->stats.failing = failing;
    if (failing == 0)
        reader->stats.failure[0] = '\0';
    pthread_mutex_unlock(&reader->lock);
}

static void end_all(struct reader *reader)
{
    struct call *call;
    struct call *next;
    HASH_ITER(hh, reader->calls, call, next)
    drop_call(reader, call);
}

static void *run(void *argument)
{
    struct reader *reader = argument;
    while (handle_messages(reader)) {
        int running;
        curl_multi_perform(reader->multi, &running);
        handle_ends(reader);
        resolve_changed(reader);
        int64_t next_ms = resolve_due(reader);
        next_ms = earlier(next_ms, begin_due(reader));
        resolve_changed(reader); /* what could not be begun */
        count_entries(reader);
        curl_multi_poll(reader->multi, NULL, 0, clock_left_ms(next_ms, IDLE_MS), NULL);
    }
    end_all(reader);
    return NULL;
}

/* ---- from outside ---- */

struct reader *reader_start(const struct reader_settings *settings)
{
    struct reader *reader = memory_new(sizeof(*reader));
    reader->settings = *settings;
    reader->backoff_ms = FIRST_BACKOFF_MS;
    pthread_mutex_init(&reader->lock, NULL);
    reader->multi = curl_multi_init();
    curl_multi_setopt(reader->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    if (pthread_create(&reader->thread, NULL, run, reader) != 0)
        abort();
    return reader;
}

void reader_stop(struct reader *reader)
{
    if (reader == NULL)
        return;
    pthread_mutex_lock(&reader->lock);
    reader->is_stopping = true;
    pthread_mutex_unlock(&reader->lock);
    curl_multi_wakeup(reader->multi);
    pthread_join(reader->thread, NULL);
    curl_multi_cleanup(reader->multi);
    pthread_mutex_destroy(&reader->lock);
    error_done(&reader->failure);
    kubernetes_api_done(&reader->settings.api);
    free(reader);
}

/* `call` is taken; NULL. */
static void send_message(struct reader *reader, enum message_kind kind, struct call *call,
                         const char *key, size_t length)
{
    struct message *message = memory_new(sizeof(*message));
    message->kind = kind;
    message->call = call;
    message->key = text_copy_bytes(key, length);
    message->key_length = length;
    pthread_mutex_lock(&reader->lock);
    DL_APPEND(reader->messages, message);
    pthread_mutex_unlock(&reader->lock);
    curl_multi_wakeup(reader->multi);
}

void reader_add(struct reader *reader, const struct reader_call *call)
{
    struct call *added = memory_new(sizeof(*added));
    *added = (struct call){
        .key = text_copy_bytes(call->key, call->key_length),
        .key_length = call->key_length,
        .namespace = text_copy(call->namespace),
        .name = text_copy(call->name),
        .entries = memory_array(call->count + 1, sizeof(*added->entries)),
        .count = call->count,
        .table = call->table,
        .added_ms = clock_now_ms(),
        .due_ms = CLOCK_NEVER,
    };
    for (size_t i = 0; i < call->count; i++)
        added->entries[i] = (struct option_entry){text_copy(call->entries[i].key),
                                                  text_copy(call->entries[i].value)};
    send_message(reader, MESSAGE_ADD, added, call->key, call->key_length);
}

void reader_remove(struct reader *reader, const char *key, size_t length)
{
    send_message(reader, MESSAGE_REMOVE, NULL, key, length);
}

void reader_doubt(struct reader *reader, const char *key, size_t length)
{
    send_message(reader, MESSAGE_DOUBT, NULL, key, length);
}

void reader_stats(struct reader *reader, struct reader_stats *ret_stats)
{
    pthread_mutex_lock(&reader->lock);
    *ret_stats = reader->stats;
    pthread_mutex_unlock(&reader->lock);
}
