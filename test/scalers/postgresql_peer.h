/*
 * A server that speaks PostgreSQL's protocol, and runs queries by their text: `SELECT n` has the
 * result n, `SELECT slow n` takes n milliseconds and keeps statement_timeout, `SELECT hang` does
 * not keep it, `SELECT error` fails, `SELECT die` closes the connection after a while, `SELECT
 * exit` all of them, and the port, and `SELECT mute` breaks the protocol: it has neither a result
 * nor an error; a SELECT of several `SELECT n` in parentheses has their results, if nothing else
 * than a comment is behind each. Like a real one it sends what it has only at a Sync or a Flush,
 * and works on a session's messages in order.
 *
 * Threads: it serves on one of its own. The settings are set before the start, and may be changed
 * by a test that knows the server idle; the counts may be read at any time.
 */
#ifndef BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H
#define BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct postgresql_peer {
    char url[64];
    int version;           /* of the server: 150000 */
    atomic_size_t accepts; /* so many sessions at a time; more are refused. 0: any number */
    atomic_size_t begins;  /* so many sessions at a time are answered, as behind a pooler. 0: any */
    atomic_bool serves_first;  /* what the others send stays unread */
    atomic_bool refuses_watch; /* as a system where a server cannot watch its client */
    bool is_standby;
    int login_ms; /* that it takes to check a password */

    int listener;
    int port;
    int stop[2]; /* a pipe */
    pthread_t thread;
    bool has_exited;
    atomic_size_t sessions;
    atomic_size_t max_sessions;
    atomic_size_t opened;
    atomic_size_t queries; /* begun, but `SELECT 1` */
};

void postgresql_peer_start(struct postgresql_peer *peer);
void postgresql_peer_stop(struct postgresql_peer *peer);

#endif
