#include "scale/table/budget.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/trigger/trigger_objects.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* Of a connection: its thread's stack, its client, a link of TLS, what the kernel keeps, and what
 * counts the namespaces that share it. */
enum { CONNECTION_BYTES = 128 << 10 };

/* Of a hash table of uthash, as it begins: itself, and its buckets. */
static size_t table_bytes(void)
{
    enum { TABLE = 64, BUCKETS = 32, BUCKET = 16 };
    return memory_heap_bytes(TABLE) + memory_heap_bytes((size_t)BUCKETS * BUCKET);
}

static size_t values_bytes(const struct option_values *values)
{
    return values == NULL ? 0 : values->bytes;
}

/* As connections are shared: those of two scalers may have equal values. The caller frees it. */
static char *shared_key(const struct trigger *trigger)
{
    return text_format("%s\n%s", trigger->parsed.scaler->name,
                       trigger->parsed.values[OPTION_CONNECTION]->identity);
}

size_t budget_min(size_t metadata_bytes)
{
    return memory_heap_bytes(sizeof(struct trigger)) + memory_heap_bytes(query_bytes()) +
           memory_heap_bytes(metadata_bytes);
}

/* With mistakes it is never measured; where only the connection is missing it may be soon. */
static size_t client_bytes(const struct trigger *trigger)
{
    enum { USUAL_BYTES = 128 };
    const struct scaler *scaler = trigger->parsed.scaler;
    if (trigger->phase == TRIGGER_INVALID || scaler->client_bytes == NULL)
        return USUAL_BYTES;
    return scaler->client_bytes(trigger->parsed.values[OPTION_QUERY]->data);
}

/* Of a trigger with a reading: the values that were answered lately, its namespace's place in the
 * schedule, and what its source's client keeps of it. */
static size_t reading_bytes(const struct trigger *trigger)
{
    enum { USUAL_ENTRIES = 8, SCHEDULE_BYTES = 32 };
    return memory_heap_bytes(sizeof(struct peak_value)) +
           memory_heap_bytes(USUAL_ENTRIES * sizeof(struct peak)) + SCHEDULE_BYTES +
           client_bytes(trigger);
}

/* A policy's query keeps samples, and the intervals at which it is measured. */
static size_t policy_bytes(const struct trigger_policy *policy)
{
    enum { INTERVALS_BYTES = 144 };
    if (policy == NULL)
        return 0;
    return trigger_policy_bytes(policy) + memory_heap_bytes(sizeof(struct recent_samples)) +
           INTERVALS_BYTES;
}

/* Where it reads its credentials: its metadata as a key and in pieces, what it was found by, and
 * the two objects that may be its own (kubernetes/credentials/, kubernetes/informer/). */
static size_t credentials_bytes(const struct trigger *trigger)
{
    enum { CALL_BYTES = 512, ENTRY_BYTES = 512, COPIES_OF_NAMES = 3 };
    size_t names = strlen(trigger->namespace) + strlen(trigger->name);
    size_t known =
        trigger->kubernetes.credentials == NULL ? 0 : trigger->kubernetes.credentials->bytes;
    if (!(trigger->parsed.needs & TRIGGER_NEEDS_OBJECT))
        return known;
    return known + memory_heap_bytes(trigger->identity.length) +
           identity_copy_bytes(&trigger->identity) + CALL_BYTES +
           2 * (ENTRY_BYTES + COPIES_OF_NAMES * names);
}

/* Of a text in JSON: what has to be escaped takes two bytes, and a row cuts texts. */
static size_t row_text_bytes(size_t length)
{
    return 2 * MIN(length, (size_t)BUDGET_ROW_TEXT_BYTES);
}

static size_t given_bytes(const struct option_values *values)
{
    size_t bytes = 0;
    for (size_t row = 0; values != NULL && row < values->options; row++)
        if (values->texts[row] != NULL)
            bytes += strlen(values->table[row].key) + strlen(values->texts[row]);
    return bytes;
}

/* Its row: the place in the table, the names and numbers of the fields, an error, and its texts.
 * Rows are there while somebody reads them, which may begin at any time. */
static size_t row_bytes(const struct trigger *trigger)
{
    enum { FIELDS_AND_ERROR = 1152 };
    const struct trigger_parsed *parsed = &trigger->parsed;
    size_t metric = parsed->metric_name == NULL ? 0 : strlen(parsed->metric_name);
    size_t connection = parsed->connection_name == NULL ? 0 : strlen(parsed->connection_name);
    return FIELDS_AND_ERROR + strlen(trigger->namespace) + strlen(trigger->name) +
           row_text_bytes(metric) + row_text_bytes(connection) +
           row_text_bytes(given_bytes(parsed->values[OPTION_QUERY]));
}

static size_t own_bytes(const struct budgets *budgets, const struct trigger *trigger)
{
    /* A mistake is in the last answers, too. */
    enum { COPIES_OF_MISTAKES = 3 };
    enum { COPIES_OF_CONNECTION = 2 }; /* the other one is its query's */
    return budget_min(trigger->identity.length) + credentials_bytes(trigger) +
           text_heap_bytes(trigger->name) + text_heap_bytes(trigger->namespace) +
           text_heap_bytes(trigger->parsed.metric_name) + trigger_objects_bytes(trigger) +
           COPIES_OF_CONNECTION * text_heap_bytes(trigger->parsed.connection_name) +
           COPIES_OF_MISTAKES * text_heap_bytes(trigger->parsed.mistakes.text) +
           values_bytes(trigger->parsed.values[OPTION_QUERY]) +
           values_bytes(trigger->parsed.values[OPTION_TARGET]) + reading_bytes(trigger) +
           policy_bytes(trigger->policy) + (budgets->has_rows ? row_bytes(trigger) : 0);
}

/* Namespaces come from outside, so the hash is keyed. */
struct namespace_budget *budgets_find(const struct budgets *budgets, const char *namespace)
{
    struct namespace_budget *budget;
    HASH_FIND_STR(budgets->by_namespace, namespace, budget);
    return budget;
}

/* Whether it has a connection that the file does not have. What waits for its Secret has none yet.
 */
static bool connects(const struct trigger *trigger)
{
    bool waits = trigger->secret != NULL && trigger->phase < TRIGGER_READY;
    return trigger_is_inline(trigger) && !waits;
}

static struct shared_connection *find_connection(const struct budgets *budgets, const char *key)
{
    struct shared_connection *connection;
    HASH_FIND_STR(budgets->connections, key, connection);
    return connection;
}

/* Of the first trigger of the namespace with these values; with the use of its connection
 * (connections/inline_connections.h). */
static size_t shared_bytes(const struct trigger *trigger, const char *key)
{
    enum { USE_BYTES = 96 };
    return memory_heap_bytes(sizeof(struct shared_values)) + memory_heap_bytes(USE_BYTES) +
           text_heap_bytes(key) + trigger->parsed.values[OPTION_CONNECTION]->bytes;
}

/* Here, and where its inline connections are counted. */
static size_t namespace_bytes(const char *namespace)
{
    return 2 * (memory_heap_bytes(sizeof(struct namespace_budget)) + text_heap_bytes(namespace) +
                table_bytes());
}

size_t budget_of(const struct budgets *budgets, const struct trigger *trigger)
{
    const struct namespace_budget *budget = budgets_find(budgets, trigger->namespace);
    const struct option_values *connection = trigger->parsed.values[OPTION_CONNECTION];
    size_t bytes = own_bytes(budgets, trigger);
    if (budget == NULL)
        bytes += namespace_bytes(trigger->namespace);
    if (connection == NULL)
        return bytes;
    _cleanup_(memory_free) char *key = shared_key(trigger);
    const struct shared_values *shared = NULL;
    if (budget != NULL)
        HASH_FIND_STR(budget->shared, key, shared);
    if (shared == NULL) {
        bytes += shared_bytes(trigger, key);
        if (connects(trigger) && find_connection(budgets, key) == NULL)
            bytes += CONNECTION_BYTES;
    } else if (!option_values_equal(shared->values, connection))
        bytes += connection->bytes;
    return bytes;
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

static struct namespace_budget *add_namespace(struct budgets *budgets, const char *namespace)
{
    struct namespace_budget *budget = memory_new(sizeof(*budget));
    budget->namespace = text_copy(namespace);
    HASH_ADD_KEYPTR(hh, budgets->by_namespace, budget->namespace, strlen(budget->namespace),
                    budget);
    count(budgets, budget, namespace_bytes(namespace));
    return budget;
}

/* Of all namespaces the first one that has the connection makes it count. */
static struct shared_connection *join_connection(struct budgets *budgets,
                                                 struct namespace_budget *budget, const char *key)
{
    struct shared_connection *connection = find_connection(budgets, key);
    if (connection == NULL) {
        connection = memory_new(sizeof(*connection));
        connection->key = text_copy(key);
        HASH_ADD_KEYPTR(hh, budgets->connections, connection->key, strlen(connection->key),
                        connection);
        budgets->bytes += CONNECTION_BYTES;
    }
    connection->namespaces++;
    budget->bytes += CONNECTION_BYTES;
    return connection;
}

static void leave_connection(struct budgets *budgets, struct namespace_budget *budget,
                             struct shared_connection *connection)
{
    if (connection == NULL)
        return;
    budget->bytes -= CONNECTION_BYTES;
    if (--connection->namespaces > 0)
        return;
    budgets->bytes -= CONNECTION_BYTES;
    HASH_DELETE(hh, budgets->connections, connection);
    free(connection->key);
    free(connection);
}

/* Two that differ in what may be shown have one identity: the second one is not shared. */
static void share(struct budgets *budgets, struct trigger *trigger)
{
    struct namespace_budget *budget = trigger->budget;
    struct option_values *values = trigger->parsed.values[OPTION_CONNECTION];
    struct shared_values *shared = NULL;
    if (values == NULL)
        return;
    _cleanup_(memory_free) char *key = shared_key(trigger);
    HASH_FIND_STR(budget->shared, key, shared);
    if (shared == NULL) {
        shared = memory_new(sizeof(*shared));
        shared->key = TAKE(key);
        shared->values = option_values_share(values);
        HASH_ADD_KEYPTR(hh, budget->shared, shared->key, strlen(shared->key), shared);
        shared->bytes = shared_bytes(trigger, shared->key);
        count(budgets, budget, shared->bytes);
        if (connects(trigger))
            shared->connection = join_connection(budgets, budget, shared->key);
    } else if (!option_values_equal(shared->values, values)) {
        trigger->bytes += values->bytes;
        return;
    }
    trigger->parsed.values[OPTION_CONNECTION] = option_values_share(shared->values);
    option_values_free(values);
    trigger->shared = shared;
    shared->triggers++;
}

static void unshare(struct budgets *budgets, struct trigger *trigger)
{
    struct shared_values *shared = TAKE(trigger->shared);
    if (shared == NULL || --shared->triggers > 0)
        return;
    discount(budgets, trigger->budget, shared->bytes);
    leave_connection(budgets, trigger->budget, shared->connection);
    HASH_DELETE(hh, trigger->budget->shared, shared);
    option_values_free(shared->values);
    free(shared->key);
    free(shared);
}

void budgets_resume(struct budgets *budgets, struct trigger *trigger)
{
    trigger->bytes = own_bytes(budgets, trigger);
    share(budgets, trigger);
    count(budgets, trigger->budget, trigger->bytes);
}

void budgets_suspend(struct budgets *budgets, struct trigger *trigger)
{
    unshare(budgets, trigger);
    discount(budgets, trigger->budget, trigger->bytes);
    trigger->bytes = 0;
}

void budgets_set_secret(struct budgets *budgets, const char *namespace, size_t bytes)
{
    struct namespace_budget *budget = budgets_find(budgets, namespace);
    if (budget == NULL)
        return;
    discount(budgets, budget, budget->secret_bytes);
    count(budgets, budget, bytes);
    budget->secret_bytes = bytes;
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
    discount(budgets, budget, namespace_bytes(budget->namespace) + budget->secret_bytes);
    free(budget->namespace);
    free(budget);
}
