/*
 * Who uses a query, by the names that people know: a ScaledObject. It is not a part of struct
 * query_use (engine.h), as a trigger that moves to another query is its user before it releases the
 * former query.
 *
 * Threads: that of the trigger. The user and its strings are borrowed from engine_add_user() to
 *          engine_remove_user() (engine.h).
 */
#ifndef BACKLOG_MEASURE_QUERY_USER_H
#define BACKLOG_MEASURE_QUERY_USER_H

struct query_user {
    const char *connection; /* the connection's name in the connections file; NULL: it is inline */
    const char *namespace;
    const char *name;
    struct query_user *next, *prev; /* the other users of the connection */
};

#endif
