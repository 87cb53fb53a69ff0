/*
 * A server that speaks PostgreSQL's protocol, and runs queries by their text: `SELECT n` has the
 * result n, whatever comment is behind it, `SELECT slow n` takes n milliseconds and keeps
 * statement_timeout, `SELECT hang` does not keep it, `SELECT error` fails, `SELECT die` closes the
 * connection after a while, `SELECT exit` all of them, and the port, and `SELECT mute` breaks the
 * protocol: it has neither a result nor an error; a SELECT of several `SELECT n` in parentheses has
 * their results, if nothing else than a comment is behind each. Like a real one it sends what it
 * has only at a Sync or a Flush, and works on a session's messages in order.
 *
 * Threads: the main one, on which it works while the client waits (support/fast_time.h). The
 * settings are set before the start, and may be changed by a test that knows the server idle.
 */
#ifndef BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H
#define BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H

#include "support/fast_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct postgresql_peer {
    char url[64];
    int version;        /* of the server: 150000 */
    size_t accepts;     /* so many sessions at a time; more are refused. 0: any number */
    size_t begins;      /* so many sessions at a time are answered, as behind a pooler. 0: any */
    bool serves_first;  /* what the others send stays unread */
    bool ends_others;   /* their transactions begin with a fatal error, as behind a pooler */
    bool refuses_watch; /* as a system where a server cannot watch its client */
    bool is_standby;
    int login_ms; /* that it takes to check a password */
    int begin_ms; /* that it takes to begin a transaction, as behind a busy pooler */

    int listener;
    int port;
    struct peer_session *table;
    struct fast_time_peer time;
    bool has_exited;
    size_t sessions;
    size_t max_sessions;
    size_t opened;
    size_t queries; /* begun, but `SELECT 1` */
    size_t watches; /* times that it was told to watch its client */
};

void postgresql_peer_start(struct postgresql_peer *peer);
void postgresql_peer_stop(struct postgresql_peer *peer);

#endif
