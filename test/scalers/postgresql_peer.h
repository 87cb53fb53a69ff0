/*
 * A server that speaks PostgreSQL's protocol, and runs queries by their text: `SELECT n` has the
 * result n, whatever comment is behind it, `SELECT slow n` takes n milliseconds and keeps
 * statement_timeout, `SELECT hang` does not keep it, `SELECT error` fails, `SELECT die` closes the
 * connection after a while, `SELECT exit` all of them, and the port, and `SELECT mute` breaks the
 * protocol: it has neither a result nor an error; a SELECT of several `SELECT n` in parentheses has
 * their results, if nothing else than a comment is behind each. Like a real one it sends what it
 * has only at a Sync or a Flush, and works on a session's messages in order.
 *
 * Threads: between start and stop it serves on one of its own. The settings are set before the
 * start, and may be changed by a test that knows the server idle; the counts may be read at any
 * time. Between open and close it works on its caller's, as in support/fast_time.h, and has no
 * `SELECT exit`.
 */
#ifndef BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H
#define BACKLOG_TEST_SCALERS_POSTGRESQL_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct postgresql_peer {
    char url[64];
    int version;           /* of the server: 150000 */
    atomic_size_t accepts; /* so many sessions at a time; more are refused. 0: any number */
    atomic_size_t begins;  /* so many sessions at a time are answered, as behind a pooler. 0: any */
    atomic_bool serves_first;  /* what the others send stays unread */
    atomic_bool ends_others;   /* their transactions begin with a fatal error, as behind a pooler */
    atomic_bool refuses_watch; /* as a system where a server cannot watch its client */
    bool is_standby;
    int login_ms; /* that it takes to check a password */
    int begin_ms; /* that it takes to begin a transaction, as behind a busy pooler */

    int listener;
    int port;
    struct peer_session *table;
    int stop[2]; /* a pipe */
    pthread_t thread;
    bool has_exited;
    atomic_size_t sessions;
    atomic_size_t max_sessions;
    atomic_size_t opened;
    atomic_size_t queries; /* begun, but `SELECT 1` */
    atomic_size_t watches; /* times that it was told to watch its client */
};

void postgresql_peer_start(struct postgresql_peer *peer);
void postgresql_peer_stop(struct postgresql_peer *peer);

void postgresql_peer_open(struct postgresql_peer *peer);
void postgresql_peer_close(struct postgresql_peer *peer);

/* Does what it can do now, and returns when it has to do more by itself. */
int64_t postgresql_peer_work(void *peer);

#endif
