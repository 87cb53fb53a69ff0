#include "scale/budget.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/engine.h"
#include "scale/objects.h"

#include <stdlib.h>
#include <string.h>

/* What malloc() adds to a string, on average. */
enum { OVERHEAD = 24 };

static size_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strlen(text) + OVERHEAD;
}

static size_t values_bytes(const struct option_values *values)
{
    return values == NULL ? 0 : values->bytes;
}

static struct shared_values *find_shared(const struct namespace_budget *budget,
                                         const struct option_values *values)
{
    struct shared_values *shared = NULL;
    if (budget != NULL && values != NULL)
        HASH_FIND_BYHASHVALUE(hh, budget->shared, values->identity, strlen(values->identity),
                              (unsigned)hash_text(values->identity), shared);
    return shared != NULL && option_values_equal(shared->values, values) ? shared : NULL;
}

size_t budget_min(size_t metadata_bytes)
{
    return sizeof(struct trigger) + query_bytes() + metadata_bytes;
}

static size_t own_bytes(const struct trigger *trigger)
{
    /* A mistake is in the last answers, too. */
    enum { COPIES_OF_MISTAKES = 3 };
    /* Who reads its credentials keeps the metadata twice: as a key, and in pieces. */
    size_t copies = trigger->wants_credentials ? 2 * trigger->identity.length : 0;
    size_t credentials = trigger->credentials == NULL ? 0 : trigger->credentials->bytes;
    size_t policy = sizeof(struct trigger_policy) + sizeof(struct recent_samples) +
                    POLICY_CHANGES * sizeof(struct trigger_policy_change);
    return budget_min(trigger->identity.length) + copies + credentials + text_bytes(trigger->name) +
           text_bytes(trigger->namespace) + text_bytes(trigger->metric_name) +
           objects_bytes(trigger) + text_bytes(trigger->connection_name) +
           COPIES_OF_MISTAKES * text_bytes(trigger->mistakes.text) +
           values_bytes(trigger->values[OPTION_QUERY]) +
           values_bytes(trigger->values[OPTION_TARGET]) + (trigger->policy == NULL ? 0 : policy);
}

size_t budget_of(const struct budgets *budgets, const struct trigger *trigger)
{
    const struct option_values *connection = trigger->values[OPTION_CONNECTION];
    bool is_shared = find_shared(budgets_find(budgets, trigger->namespace), connection) != NULL;
    return own_bytes(trigger) + (is_shared ? 0 : values_bytes(connection));
}

/* Namespaces come from outside, so the hash is keyed. */
struct namespace_budget *budgets_find(const struct budgets *budgets, const char *namespace)
{
    struct namespace_budget *budget;
    HASH_FIND_BYHASHVALUE(hh, budgets->by_namespace, namespace, strlen(namespace),
                          (unsigned)hash_text(namespace), budget);
    return budget;
}

static struct namespace_budget *add_namespace(struct budgets *budgets, const char *namespace)
{
    struct namespace_budget *budget = memory_new(sizeof(*budget));
    budget->namespace = text_copy(namespace);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, budgets->by_namespace, budget->namespace,
                                strlen(budget->namespace), (unsigned)hash_text(namespace), budget);
    return budget;
}

static void count(struct budgets *budgets, struct namespace_budget *budget, size_t bytes)
{
    budget->bytes += bytes;
    budgets->bytes += bytes;
}

static void discount(struct budgets *budgets, struct namespace_budget *budget, size_t bytes)
{
    budget->bytes -= bytes;
    budgets->bytes -= bytes;
}

/* Two that differ in what may be shown have one identity: the second one is not shared. */
static void share(struct budgets *budgets, struct trigger *trigger)
{
    struct namespace_budget *budget = trigger->budget;
    struct option_values *values = trigger->values[OPTION_CONNECTION];
    struct shared_values *shared = NULL;
    if (values == NULL)
        return;
    HASH_FIND_BYHASHVALUE(hh, budget->shared, values->identity, strlen(values->identity),
                          (unsigned)hash_text(values->identity), shared);
    if (shared == NULL) {
        shared = memory_new(sizeof(*shared));
        shared->values = option_values_share(values);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, budget->shared, shared->values->identity,
                                    strlen(values->identity), (unsigned)hash_text(values->identity),
                                    shared);
        count(budgets, budget, values->bytes);
    } else if (!option_values_equal(shared->values, values)) {
        trigger->bytes += values->bytes;
        return;
    }
    trigger->values[OPTION_CONNECTION] = option_values_share(shared->values);
    option_values_free(values);
    trigger->shared = shared;
    shared->triggers++;
}

static void unshare(struct budgets *budgets, struct trigger *trigger)
{
    struct shared_values *shared = TAKE(trigger->shared);
    if (shared == NULL || --shared->triggers > 0)
        return;
    discount(budgets, trigger->budget, shared->values->bytes);
    HASH_DELETE(hh, trigger->budget->shared, shared);
    option_values_free(shared->values);
    free(shared);
}

void budgets_resume(struct budgets *budgets, struct trigger *trigger)
{
    trigger->bytes = own_bytes(trigger);
    share(budgets, trigger);
    count(budgets, trigger->budget, trigger->bytes);
}

void budgets_suspend(struct budgets *budgets, struct trigger *trigger)
{
    unshare(budgets, trigger);
    discount(budgets, trigger->budget, trigger->bytes);
    trigger->bytes = 0;
}

void budgets_join(struct budgets *budgets, struct trigger *trigger)
{
    trigger->budget = budgets_find(budgets, trigger->namespace);
    if (trigger->budget == NULL)
        trigger->budget = add_namespace(budgets, trigger->namespace);
    trigger->budget->triggers++;
    budgets_resume(budgets, trigger);
}

void budgets_leave(struct budgets *budgets, struct trigger *trigger)
{
    struct namespace_budget *budget = trigger->budget;
    budgets_suspend(budgets, trigger);
    trigger->budget = NULL;
    if (--budget->triggers > 0)
        return;
    HASH_DELETE(hh, budgets->by_namespace, budget);
    free(budget->namespace);
    free(budget);
}
