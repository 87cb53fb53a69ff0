/*
 * Budgets: the memory that triggers take, of each namespace and in all. Whoever may write a
 * ScaledObject can make us hold its metadata, so it is counted after parsing, and no namespace
 * takes what all others need.
 *
 * The connections that a team keeps in a Secret (connections/namespace_secrets.h) count as its
 * triggers do.
 *
 * The values of a connection that triggers of one namespace have in common are held, and counted,
 * once. So is the connection itself, where it is one of triggers and not of the connections file:
 * for each namespace, and in all once, however many namespaces share it.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_TABLE_BUDGET_H
#define BACKLOG_SCALE_TABLE_BUDGET_H

#include "scale/trigger/trigger.h"

#include <stdbool.h>
#include <stddef.h>

/* What a row of the dashboard shows of a text: web/content/web_json.h cuts it, and budget.c counts
 * on that. */
enum { BUDGET_ROW_TEXT_BYTES = 300 };

/* A connection of triggers, of all namespaces that share it. */
struct shared_connection {
    char *key; /* engine_connection_identity() */
    size_t namespaces;
    UT_hash_handle hh;
};

/* The values of one connection, of triggers of one namespace. */
struct shared_values {
    char *key; /* engine_connection_identity() */
    struct option_values *values;
    size_t bytes;                         /* of the values */
    struct shared_connection *connection; /* NULL: it has a name, or waits for its Secret */
    size_t triggers;
    UT_hash_handle hh;
};

struct namespace_budget {
    char *namespace;
    size_t triggers;
    size_t bytes;        /* of its triggers, what they share, and secret_bytes */
    size_t secret_bytes; /* of its connections in a Secret */
    struct shared_values *shared;
    struct trigger *by_age; /* utlist (next_of_namespace): as triggers.c has it of all */
    UT_hash_handle hh;
};

/* Empty, and with nothing to free, where there are no triggers. */
struct budgets {
    struct namespace_budget *by_namespace;
    struct shared_connection *connections;
    size_t bytes;  /* of all namespaces, what several share only once */
    bool has_rows; /* each has a row of the dashboard (web/pages/trigger_rows.h), which counts */
};

/* NULL: the namespace has no triggers. */
struct namespace_budget *budgets_find(const struct budgets *budgets, const char *namespace);

/* The trigger counts from now on, as it was parsed, or no longer. In between the values of its
 * connection may be shared with others. */
void budgets_join(struct budgets *budgets, struct trigger *trigger);
void budgets_leave(struct budgets *budgets, struct trigger *trigger);

/* The trigger is parsed again: in between it stays one of its namespace's, but does not count. */
void budgets_suspend(struct budgets *budgets, struct trigger *trigger);
void budgets_resume(struct budgets *budgets, struct trigger *trigger);

/* The connections of the namespace's Secret take so much from now on. Nothing happens where it has
 * no triggers: then none needs them. */
void budgets_set_secret(struct budgets *budgets, const char *namespace, size_t bytes);

/* The least that a trigger with metadata of so many bytes takes, and what this one does: with its
 * query, and without the values that others have, too. */
size_t budget_min(size_t metadata_bytes);
size_t budget_of(const struct budgets *budgets, const struct trigger *trigger);

#endif
