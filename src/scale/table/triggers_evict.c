/* Which triggers that are not in use are dropped for another one, or for more bytes. */
#include "scale/table/triggers_internal.h"

#include "base/memory.h"
#include "base/text.h"

#include <sys/param.h>

/* `trigger` may be NULL, which is none. */
static bool had_no_call_for(const struct triggers *triggers, const struct trigger *trigger,
                            int64_t for_ms, int64_t now_ms)
{
    return trigger != NULL && now_ms - MAX(trigger->last_call_ms, triggers->resumed_ms) >= for_ms;
}

static bool is_unused(const struct triggers *triggers, const struct trigger *trigger,
                      int64_t now_ms)
{
    return had_no_call_for(triggers, trigger, TRIGGERS_IN_USE_MS, now_ms);
}

static struct trigger *oldest_of(const struct namespace_budget *budget, const struct trigger *kept)
{
    struct trigger *oldest = budget == NULL ? NULL : budget->by_age;
    return oldest != NULL && oldest == kept ? oldest->next_of_namespace : oldest;
}

/* Of the namespaces that have more than this one. NULL: they are in use, or so many others are
 * older that no call is to pass them all. */
static struct trigger *oldest_of_larger(const struct triggers *triggers,
                                        const struct namespace_budget *budget, int64_t now_ms)
{
    enum { MAX_PASSED = 1000 };
    size_t bytes = budget == NULL ? 0 : budget->bytes;
    struct trigger *trigger = triggers->by_age;
    for (int i = 0; i < MAX_PASSED && is_unused(triggers, trigger, now_ms); i++) {
        if (trigger->budget->bytes > bytes)
            return trigger;
        trigger = trigger->next;
    }
    return NULL;
}

/* Of the namespace first; then of all what nobody calls for any more; then of the namespaces that
 * have more, so that no namespace ends what others hold by taking all the memory. Never `kept`: it
 * is of the namespace, and so of none that has more. NULL: they are in use. */
static struct trigger *find_unused(const struct triggers *triggers,
                                   const struct namespace_budget *budget,
                                   const struct trigger *kept, int64_t now_ms)
{
    struct trigger *own = oldest_of(budget, kept);
    struct trigger *any = triggers->by_age;
    if (any != NULL && any == kept)
        any = any->next;
    if (is_unused(triggers, own, now_ms))
        return own;
    if (!is_unused(triggers, any, now_ms))
        return NULL;
    if (had_no_call_for(triggers, any, TRIGGERS_ABANDONED_MS, now_ms))
        return any;
    return oldest_of_larger(triggers, budget, now_ms);
}

/* `namespace`: NULL are all of them. */
static bool refuse_bytes(const char *namespace, size_t max_bytes, struct error *error)
{
    _cleanup_(memory_free) char *whose =
        namespace == NULL
            ? text_copy("all namespaces")
            : text_format("namespace \"%.*s\"", (int)text_cut(namespace, 64), namespace);
    return error_set(error, ERROR_LIMIT,
                     "the triggers of %s use all of their %zu KiB of memory (--trigger-memory)",
                     whose, max_bytes >> 10);
}

size_t triggers_bytes_of(const struct triggers *triggers, const char *namespace)
{
    const struct namespace_budget *budget = budgets_find(&triggers->lifecycle.budgets, namespace);
    return budget == NULL ? 0 : budget->bytes;
}

/* What a namespace has already stays its own at any time: another one that comes must not end its
 * edits. */
static bool evict_for_bytes(struct triggers *triggers, const struct eviction_request *request,
                            struct error *error)
{
    const struct budgets *budgets = &triggers->lifecycle.budgets;
    const char *namespace = request->namespace;
    size_t max = triggers->settings.max_bytes;
    for (;;) {
        const struct namespace_budget *budget = budgets_find(budgets, namespace);
        size_t of_namespace = budget == NULL ? 0 : budget->bytes;
        size_t of_others = budgets->bytes - of_namespace; /* a reload may take them beyond `max` */
        bool is_guaranteed = of_namespace + request->bytes <= request->guaranteed_bytes;
        if (budgets->bytes + (is_guaranteed ? 0 : of_namespace) + request->bytes <= max)
            return true;
        struct trigger *unused = find_unused(triggers, budget, request->kept, request->now_ms);
        /* Without all other namespaces it would not fit either: nothing of theirs is dropped. */
        bool is_too_much = !is_guaranteed && 2 * of_namespace + request->bytes > max;
        if (unused == NULL || (is_too_much && unused != oldest_of(budget, request->kept)))
            return of_namespace == 0
                       ? refuse_bytes(NULL, max, error)
                       : refuse_bytes(namespace, (MAX(max, of_others) - of_others) / 2, error);
        triggers_drop(triggers, unused);
    }
}

/* `ret_unused`: which one has to be dropped for it; NULL: none. */
static bool find_place(const struct triggers *triggers, const struct eviction_request *request,
                       struct trigger **ret_unused, struct error *error)
{
    const struct budgets *budgets = &triggers->lifecycle.budgets;
    size_t max = triggers->settings.max;
    *ret_unused = NULL;
    if (HASH_COUNT(triggers->by_identity) < max)
        return true;
    *ret_unused = find_unused(triggers, budgets_find(budgets, request->namespace), request->kept,
                              request->now_ms);
    return *ret_unused != NULL ||
           error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)", max);
}

bool triggers_have_place(const struct triggers *triggers, const struct eviction_request *request,
                         struct error *error)
{
    struct trigger *unused;
    return find_place(triggers, request, &unused, error);
}

static bool evict_for_trigger(struct triggers *triggers, const struct eviction_request *request,
                              struct error *error)
{
    struct trigger *unused;
    if (!find_place(triggers, request, &unused, error))
        return false;
    if (unused != NULL)
        triggers_drop(triggers, unused);
    return true;
}

bool triggers_evict(struct triggers *triggers, const struct eviction_request *request,
                    struct error *error)
{
    return evict_for_bytes(triggers, request, error) &&
           (!request->is_new_trigger || evict_for_trigger(triggers, request, error));
}
