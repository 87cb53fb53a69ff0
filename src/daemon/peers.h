/*
 * --peers: a replica that starts requests from the others what they would hold. Each address of the
 * names is called once, for at most 500 ms, and again each second for 10 s where it does not
 * answer. A start waits for the first round, for a second at most.
 *
 * Threads: the main thread begins and ends it. It has one of its own, which fills the values.
 */
#ifndef BACKLOG_DAEMON_PEERS_H
#define BACKLOG_DAEMON_PEERS_H

#include "client/grpc_socket.h"
#include "config/option.h"
#include "scale/answer/peer_values.h"

struct peers;

/* The names, TLS and its strings are borrowed, as the values. Returns after the first round. */
struct peers *peers_begin(const struct option_list *names, const struct grpc_socket_tls *tls,
                          struct peer_values *values);

/* NULL is harmless. False: its thread does not return, and nothing is freed. */
bool peers_end(struct peers *peers);

/* Each is HOST:PORT? */
bool peers_check(const struct option_list *names, struct error *error);

#endif
