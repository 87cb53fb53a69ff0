/* Room for one more trigger, or for more bytes: which unused ones are dropped for it. */
#include "scale/triggers_internal.h"

#include "base/memory.h"
#include "base/text.h"

#include <sys/param.h>

static bool is_in_use(const struct trigger *trigger, int64_t now_ms)
{
    return trigger == NULL || now_ms - trigger->last_call_ms < TRIGGERS_IN_USE_MS;
}

static struct trigger *oldest_of(const struct namespace_budget *budget)
{
    return budget == NULL ? NULL : budget->by_age;
}

/* Of the namespace first, then of all. NULL: they are in use. */
static struct trigger *find_unused(const struct triggers *triggers,
                                   const struct namespace_budget *budget, int64_t now_ms)
{
    if (!is_in_use(oldest_of(budget), now_ms))
        return budget->by_age;
    return is_in_use(triggers->by_age, now_ms) ? NULL : triggers->by_age;
}

bool triggers_make_room(struct triggers *triggers, const char *namespace, int64_t now_ms,
                        struct error *error)
{
    size_t max = triggers->settings.max;
    if (HASH_COUNT(triggers->by_identity) < max)
        return true;
    struct trigger *unused =
        find_unused(triggers, budgets_find(&triggers->lifecycle.budgets, namespace), now_ms);
    if (unused == NULL)
        return error_set(error, ERROR_LIMIT, "all %zu triggers are in use (--max-triggers)", max);
    triggers_drop(triggers, unused);
    return true;
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

/* A namespace may have as much as it leaves to the others, and at any time as much as is its own
 * already: another one that comes must not end its edits. */
bool triggers_make_room_for_bytes(struct triggers *triggers, const char *namespace, size_t bytes,
                                  size_t own_bytes, int64_t now_ms, struct error *error)
{
    const struct budgets *budgets = &triggers->lifecycle.budgets;
    size_t max = triggers->settings.max_bytes;
    for (;;) {
        const struct namespace_budget *budget = budgets_find(budgets, namespace);
        size_t of_namespace = budget == NULL ? 0 : budget->bytes;
        size_t of_others = budgets->bytes - of_namespace; /* a reload may take them beyond `max` */
        bool is_own = of_namespace + bytes <= own_bytes;
        if (budgets->bytes + (is_own ? 0 : of_namespace) + bytes <= max)
            return true;
        struct trigger *unused = find_unused(triggers, budget, now_ms);
        /* With no other namespace it would be the same: what is unused of those stays. */
        bool is_too_much = !is_own && 2 * of_namespace + bytes > max;
        if (unused == NULL || (is_too_much && unused != oldest_of(budget)))
            return of_namespace == 0
                       ? refuse_bytes(NULL, max, error)
                       : refuse_bytes(namespace, (MAX(max, of_others) - of_others) / 2, error);
        triggers_drop(triggers, unused);
    }
}

bool triggers_make_room_beside(struct triggers *triggers, struct trigger *trigger, size_t bytes,
                               int64_t now_ms, struct error *error)
{
    if (trigger->pins == 0)
        triggers_take_off_lists(triggers, trigger);
    bool has_room = triggers_make_room_for_bytes(triggers, trigger->namespace, bytes,
                                                 triggers->settings.max_bytes / 2, now_ms, error);
    if (trigger->pins == 0)
        triggers_put_on_lists(triggers, trigger);
    return has_room;
}
