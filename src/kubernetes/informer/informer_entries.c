#include "kubernetes/informer/informer_entries.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* The caller frees it. */
static char *key_of(enum api_object_kind kind, const char *namespace, const char *name)
{
    return text_format("%d/%s/%s", (int)kind, namespace == NULL ? "" : namespace, name);
}

struct informer_entry *informer_entries_find(const struct informer_entries *entries,
                                             enum api_object_kind kind, const char *namespace,
                                             const char *name)
{
    _cleanup_(memory_free) char *key = key_of(kind, namespace, name);
    struct informer_entry *entry;
    HASH_FIND_STR(entries->by_key, key, entry);
    return entry;
}

struct informer_entry *informer_entries_add(struct informer_entries *entries,
                                            enum api_object_kind kind, const char *namespace,
                                            const char *name)
{
    struct informer_entry *entry = memory_new(sizeof(*entry));
    entry->kind = kind;
    entry->namespace = text_copy(namespace);
    entry->name = text_copy(name);
    entry->key = key_of(kind, namespace, name);
    entry->path = api_object_path(kind, namespace, name);
    namespace_shares_enter(&entries->shares, &entry->turn, namespace);
    HASH_ADD_KEYPTR(hh, entries->by_key, entry->key, strlen(entry->key), entry);
    informer_entries_set_due(entries, entry, clock_now_ms());
    return entry;
}

void informer_entries_drop(struct informer_entries *entries, struct informer_entry *entry)
{
    namespace_shares_leave(&entries->shares, &entry->turn);
    api_object_free(entry->object);
    informer_entries_set_failing(entries, entry, false);
    informer_entries_set_forbidden(entries, entry, false);
    HASH_DELETE(hh, entries->by_key, entry);
    if (entry->has_changed)
        DL_DELETE2(entries->changed, entry, prev_changed, next_changed);
    error_done(&entry->failure);
    free(entry->seen);
    free(entry->key);
    free(entry->path);
    free(entry->namespace);
    free(entry->name);
    free(entry);
}

/* ---- when it is read next ---- */

void informer_entries_set_due(struct informer_entries *entries, struct informer_entry *entry,
                              int64_t due_ms)
{
    entry->due_ms = due_ms;
    entries->scan_ms = clock_earlier(entries->scan_ms, due_ms);
}

void informer_entries_set_due_by(struct informer_entries *entries, struct informer_entry *entry,
                                 int64_t due_ms)
{
    if (due_ms < entry->due_ms)
        informer_entries_set_due(entries, entry, due_ms);
}

int64_t informer_entries_next_scan_ms(const struct informer_entries *entries)
{
    return entries->scan_ms;
}

void informer_entries_scan_soon(struct informer_entries *entries)
{
    entries->scan_ms = 0;
}

void informer_entries_begin_scan(struct informer_entries *entries)
{
    entries->scan_ms = CLOCK_NEVER;
}

void informer_entries_end_scan(struct informer_entries *entries, int64_t due_ms)
{
    entries->scan_ms = clock_earlier(entries->scan_ms, due_ms);
}

void informer_entries_want_fresh(struct informer_entries *entries, struct informer_entry *entry)
{
    int64_t now_ms = clock_now_ms();
    int64_t allowed_ms = entry->sent_ms == 0 ? now_ms : entry->sent_ms + INFORMER_MIN_INTERVAL_MS;
    informer_entries_set_due_by(entries, entry, allowed_ms > now_ms ? allowed_ms : now_ms);
}

void informer_entries_put_last(struct informer_entries *entries, struct informer_entry *entry)
{
    HASH_DELETE(hh, entries->by_key, entry);
    HASH_ADD_KEYPTR(hh, entries->by_key, entry->key, strlen(entry->key), entry);
}

/* ---- news ---- */

void informer_entries_set_failing(struct informer_entries *entries, struct informer_entry *entry,
                                  bool is_failing)
{
    entries->failing += (size_t)is_failing - (size_t)entry->is_failing;
    entry->is_failing = is_failing;
}

void informer_entries_set_forbidden(struct informer_entries *entries, struct informer_entry *entry,
                                    bool is_forbidden)
{
    entries->forbidden[entry->kind] += (size_t)is_forbidden - (size_t)entry->is_forbidden;
    entry->is_forbidden = is_forbidden;
}

void informer_entries_add_changed(struct informer_entries *entries, struct informer_entry *entry)
{
    if (entry->has_changed)
        return;
    entry->has_changed = true;
    DL_APPEND2(entries->changed, entry, prev_changed, next_changed);
}

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

void informer_entries_notify(struct informer_entries *entries)
{
    while (entries->changed != NULL) {
        struct informer_entry *entry = entries->changed;
        DL_DELETE2(entries->changed, entry, prev_changed, next_changed);
        entry->has_changed = false;
        notify_users(entry);
    }
}
