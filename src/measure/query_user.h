/*
 * Who uses a query, by the names that people know. It comes and goes apart from struct query_use
 * (engine.h): a trigger that moves to another query is a user of that before it releases the
 * former one.
 *
 * Threads: the one that has it. All is borrowed, from engine_add_user() to engine_remove_user()
 * (engine.h).
 */
#ifndef BACKLOG_MEASURE_QUERY_USER_H
#define BACKLOG_MEASURE_QUERY_USER_H

struct query_user {
    const char *connection; /* its name in the connections file; NULL: it is inline */
    const char *namespace;
    const char *name;
    struct query_user *next, *prev; /* of the connection */
};

#endif
