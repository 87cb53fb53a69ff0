#include "kubernetes/trigger_credentials.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kubernetes/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    REPLACED_MS = 60 * 1000, /* KEDA may still call for a trigger that was replaced */
    REDELIVER_MS = 3000,     /* the loop is busy, or a namespace's memory is in use */
};

/* A call uses an object. */
struct link {
    struct informer_link object;
    struct link *next;
};

/* Guarded by the lock until the thread takes it over with its message; then the thread's alone. */
struct call {
    char *key;
    size_t key_length;
    char *namespace, *name;
    struct option_entry *entries;
    size_t count;
    const struct option *table;
    struct link *used; /* utlist */
    int64_t added_ms;
    struct credentials *delivered; /* NULL: nothing yet */
    struct hpa_facts delivered_hpa;
    int64_t replaced_ms; /* its trigger is there no more since; 0: it is */
    int64_t refused_ms;  /* what was verified is refused since, by views; 0: it is not */
    int64_t due_ms;      /* to be resolved again; CLOCK_NEVER: not by itself */
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

struct trigger_credentials {
    struct trigger_credentials_settings settings;
    struct informer_handler handler;
    pthread_mutex_t lock;
    struct message *messages; /* guarded, as the next one */
    struct trigger_credentials_stats stats;

    struct call *calls; /* the rest is the informer's thread's */
    struct call *due_calls;
};

/* ---- calls ---- */

static void free_links(struct trigger_credentials *all, struct link *link)
{
    while (link != NULL) {
        struct link *next = link->next;
        informer_unlink(all->settings.informer, &link->object);
        free(link);
        link = next;
    }
}

static void set_due(struct trigger_credentials *all, struct call *call, int64_t due_ms)
{
    bool is_listed = due_ms != CLOCK_NEVER;
    call->due_ms = due_ms;
    if (is_listed && !call->is_due_listed)
        DL_APPEND(all->due_calls, call);
    if (!is_listed && call->is_due_listed)
        DL_DELETE(all->due_calls, call);
    call->is_due_listed = is_listed;
}

static bool is_verified(const struct call *call)
{
    return call->delivered != NULL && call->delivered->state == CREDENTIALS_VERIFIED;
}

static void count_delivered(struct trigger_credentials *all, const struct call *call, int step)
{
    const struct credentials *credentials = call->delivered;
    enum credentials_state state = credentials == NULL ? CREDENTIALS_WAITING : credentials->state;
    if (call->table == NULL)
        return;
    pthread_mutex_lock(&all->lock);
    all->stats.calls[state] += (size_t)step;
    pthread_mutex_unlock(&all->lock);
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

static void drop_call(struct trigger_credentials *all, struct call *call)
{
    count_delivered(all, call, -1);
    set_due(all, call, CLOCK_NEVER);
    HASH_DELETE(hh, all->calls, call);
    free_links(all, call->used);
    call_free(call);
}

/* Takes the credentials. */
static void deliver(struct trigger_credentials *all, struct call *call,
                    struct credentials *credentials, const struct hpa_facts *hpa)
{
    const struct trigger_credentials_settings *settings = &all->settings;
    if (credentials_equal(call->delivered, credentials) &&
        hpa_facts_equal(&call->delivered_hpa, hpa)) {
        credentials_free(credentials);
        return;
    }
    if (informer_is_stopping(settings->informer) ||
        !settings->changed(settings->context, call->key, call->key_length,
                           credentials_share(credentials), hpa)) {
        credentials_free(credentials);
        set_due(all, call, clock_now_ms() + REDELIVER_MS);
        return;
    }
    count_delivered(all, call, -1);
    credentials_free(call->delivered);
    call->delivered = credentials;
    call->delivered_hpa = *hpa;
    count_delivered(all, call, 1);
}

/* One look-up of a resolution. */
struct view {
    struct trigger_credentials *all;
    struct call *call;
};

static struct resolve_found find_object(void *context, enum object_kind kind, const char *namespace,
                                        const char *name)
{
    const struct view *view = context;
    struct informer *informer = view->all->settings.informer;
    struct link *link = memory_new(sizeof(*link));
    link->object.handler = &view->all->handler;
    link->object.user = view->call;
    informer_link(informer, &link->object, kind, namespace, name);
    LL_PREPEND(view->call->used, link);
    struct informer_view known = informer_look(informer, &link->object);
    struct resolve_found found = {.state = RESOLVE_UNKNOWN};
    if (known.is_read) {
        found.state = known.object == NULL ? RESOLVE_ABSENT : RESOLVE_FOUND;
        found.object = known.object;
        found.read_ms = known.read_ms;
    } else if (known.failure != NULL) {
        found.state = RESOLVE_FAILED;
        found.failure = error_text(known.failure);
    }
    return found;
}

/* It was refused by what is older than the call, which is then read now: KEDA may be ahead of our
 * view. Or what was verified is refused by what is older than the first news of that: objects that
 * changed together are read one after another. Where that cannot be read again, this is the reason.
 */
static bool is_undecided(const struct trigger_credentials *all, struct call *call,
                         struct credentials *credentials, int64_t now_ms)
{
    struct informer *informer = all->settings.informer;
    const struct error *failure = NULL;
    bool is_older = false;
    const struct link *link;
    if (credentials->state != CREDENTIALS_REFUSED) {
        call->refused_ms = 0;
        return false;
    }
    if (call->refused_ms == 0 && is_verified(call))
        call->refused_ms = now_ms;
    int64_t since_ms = call->refused_ms == 0 ? call->added_ms : call->refused_ms;
    LL_FOREACH(call->used, link) {
        struct informer_view known = informer_look(informer, &link->object);
        if (!known.is_read || known.read_ms >= since_ms)
            continue;
        informer_want_fresh(informer, &link->object);
        is_older = true;
        failure = known.failure == NULL ? failure : known.failure;
    }
    if (!is_older || failure == NULL)
        return is_older;
    error_copy(&credentials->failure, failure);
    return false;
}

/* What a trigger had that was there before, for as long as KEDA may still call for it. */
static bool is_still_valid(struct trigger_credentials *all, struct call *call, bool is_other,
                           int64_t now_ms)
{
    if (!is_other) {
        call->replaced_ms = 0;
        return false;
    }
    if (!is_verified(call))
        return false;
    if (call->replaced_ms == 0)
        call->replaced_ms = now_ms;
    if (now_ms >= call->replaced_ms + REPLACED_MS)
        return false;
    set_due(all, call, call->replaced_ms + REPLACED_MS);
    return true;
}

static void resolve_call(struct trigger_credentials *all, struct call *call)
{
    const struct resolve_call claim = {
        .namespace = call->namespace,
        .name = call->name,
        .entries = call->entries,
        .count = call->count,
        .table = call->table,
        .cluster_namespace = all->settings.cluster_namespace,
        .reads_hpa = all->settings.reads_hpas,
    };
    struct view view = {all, call};
    int64_t now_ms = clock_now_ms();
    struct link *former = TAKE(call->used);
    struct resolved resolved = resolve_trigger(&claim, find_object, &view);
    struct credentials *credentials = resolved.credentials;
    free_links(all, former); /* now that the new ones are there, what is still used stays */
    set_due(all, call, CLOCK_NEVER);
    if (is_still_valid(all, call, resolved.is_other, now_ms)) {
        credentials_free(credentials);
        return;
    }
    bool is_new = is_undecided(all, call, credentials, now_ms);
    /* News that need another object are news once that is there; what is known of the former ones
     * goes on. */
    bool is_lost = is_verified(call) && credentials->state == CREDENTIALS_REFUSED &&
                   credentials->failure.code == ERROR_UNAVAILABLE;
    if (credentials->state == CREDENTIALS_WAITING || is_new || is_lost)
        credentials_free(credentials);
    else
        deliver(all, call, credentials, &resolved.hpa);
}

/* ---- messages ---- */

static void message_free(struct message *message)
{
    if (message->call != NULL)
        call_free(message->call);
    free(message->key);
    free(message);
}

static struct call *find_call(const struct trigger_credentials *all, const struct message *message)
{
    struct call *call;
    HASH_FIND(hh, all->calls, message->key, message->key_length, call);
    return call;
}

/* All that it follows from: the object may name another authentication now. */
static void doubt(const struct trigger_credentials *all, const struct call *call)
{
    const struct link *link;
    LL_FOREACH(call->used, link)
        informer_want_fresh(all->settings.informer, &link->object);
}

static void handle_message(struct trigger_credentials *all, struct message *message)
{
    struct call *call = find_call(all, message);
    if (call != NULL && message->kind == MESSAGE_DOUBT)
        doubt(all, call);
    if (call != NULL && message->kind != MESSAGE_DOUBT)
        drop_call(all, call);
    if (message->kind != MESSAGE_ADD)
        return;
    call = TAKE(message->call);
    HASH_ADD_KEYPTR(hh, all->calls, call->key, call->key_length, call);
    count_delivered(all, call, 1);
    resolve_call(all, call);
}

static void handle_messages(struct trigger_credentials *all)
{
    pthread_mutex_lock(&all->lock);
    struct message *message = TAKE(all->messages);
    pthread_mutex_unlock(&all->lock);
    while (message != NULL) {
        struct message *next = message->next;
        handle_message(all, message);
        message_free(message);
        message = next;
    }
}

/* Returns when to look again. */
static int64_t resolve_due(struct trigger_credentials *all)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    struct call *call;
    struct call *next;
    DL_FOREACH_SAFE(all->due_calls, call, next) {
        if (call->due_ms <= now_ms)
            resolve_call(all, call);
        if (call->due_ms < next_ms)
            next_ms = call->due_ms;
    }
    return next_ms;
}

/* ---- the informer's handler ---- */

static void take_change(void *context, void *user)
{
    resolve_call(context, user);
}

static int64_t take_turn(void *context)
{
    handle_messages(context);
    return resolve_due(context);
}

static void end(void *context)
{
    struct trigger_credentials *all = context;
    struct call *call;
    struct call *next;
    HASH_ITER(hh, all->calls, call, next)
        drop_call(all, call);
}

/* ---- from outside ---- */

struct trigger_credentials *
trigger_credentials_new(const struct trigger_credentials_settings *settings)
{
    struct trigger_credentials *all = memory_new(sizeof(*all));
    all->settings = *settings;
    all->handler = (struct informer_handler){take_change, take_turn, end, all};
    pthread_mutex_init(&all->lock, NULL);
    informer_add_handler(settings->informer, &all->handler);
    return all;
}

void trigger_credentials_free(struct trigger_credentials *all)
{
    if (all == NULL)
        return;
    for (struct message *message = all->messages; message != NULL;) {
        struct message *next = message->next;
        message_free(message);
        message = next;
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* `call` is taken; NULL. */
static void send_message(struct trigger_credentials *all, enum message_kind kind, struct call *call,
                         const char *key, size_t length)
{
    struct message *message = memory_new(sizeof(*message));
    message->kind = kind;
    message->call = call;
    message->key = text_copy_bytes(key, length);
    message->key_length = length;
    pthread_mutex_lock(&all->lock);
    DL_APPEND(all->messages, message);
    pthread_mutex_unlock(&all->lock);
    informer_wake(all->settings.informer);
}

void trigger_credentials_add(struct trigger_credentials *all, const struct trigger_call *call)
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
    send_message(all, MESSAGE_ADD, added, call->key, call->key_length);
}

void trigger_credentials_remove(struct trigger_credentials *all, const char *key, size_t length)
{
    send_message(all, MESSAGE_REMOVE, NULL, key, length);
}

void trigger_credentials_doubt(struct trigger_credentials *all, const char *key, size_t length)
{
    send_message(all, MESSAGE_DOUBT, NULL, key, length);
}

void trigger_credentials_stats(struct trigger_credentials *all,
                               struct trigger_credentials_stats *ret_stats)
{
    pthread_mutex_lock(&all->lock);
    *ret_stats = all->stats;
    pthread_mutex_unlock(&all->lock);
}
