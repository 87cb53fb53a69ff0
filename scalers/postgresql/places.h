/*
 * Places of a database: its hosts and, of those that were looked up, each address.
 *
 * libpq goes on to the next place only after an error. A host that has lost its power causes none
 * for two minutes, and connect_timeout is only for functions of libpq that block. So connect.c
 * gives each place a share of its time, drops one that is silent and starts again with the others.
 * libpq still decides which of them is used (target_session_attrs, load_balance_hosts).
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_PLACES_H
#define BACKLOG_SCALERS_POSTGRESQL_PLACES_H

#include "base/text.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POSTGRESQL_PORT "5432" /* where none is given */

struct postgresql_place {
    char *host;
    char *address; /* NULL: libpq looks it up */
    char *port;
};

struct postgresql_places {
    struct postgresql_place *items;
    size_t count;
    size_t capacity;
    bool has_two_passes; /* libpq may come to each of them twice (prefer-standby) */
    bool verifies_names; /* of hosts, in their certificates (verify-full) */

    size_t current; /* that libpq is connecting to; SIZE_MAX: none yet */
    size_t tried;   /* with it */
    int64_t current_deadline_ms;
    bool is_renamed; /* see postgresql_places_take_renamed() */

    struct text silent; /* which were dropped, for errors */
};

/* Hosts with commas, and one port or as many, of which some may be empty. */
void postgresql_places_init(struct postgresql_places *ret_places, const char *hosts,
                            const char *ports);
void postgresql_places_done(struct postgresql_places *places);

/* Replaces a host by its addresses, where that has not been done. Blocks. Returns 0, or an error of
 * getaddrinfo(): it stays as it is. */
int postgresql_places_look_up(struct postgresql_places *places, size_t index);

/* Until when libpq may connect to the place that it has come to: each has an equal share of the
 * time that is left then, and all of it once it has answered. Blocks, to count the addresses of a
 * host that libpq has looked up. */
int64_t postgresql_places_deadline(struct postgresql_places *places, const PGconn *connection,
                                   int64_t deadline_ms);

/* The place that libpq is connecting to has sent something: it may take long to check a password,
 * but is not silent. */
void postgresql_places_answered(struct postgresql_places *places, int64_t deadline_ms);

/* Drops the place that libpq is connecting to. libpq must start again then. */
void postgresql_places_drop(struct postgresql_places *places, const PGconn *connection);

/* Whether libpq must start again, once: names are verified, and postgresql_places_deadline() has
 * looked up a host that ends in a dot. The dot is for that; libpq would expect it in the
 * certificate, which has none. */
bool postgresql_places_take_renamed(struct postgresql_places *places);

/* As parameters of libpq: lists with commas, which the caller frees. Where names are verified a
 * host that was looked up is without its dot. */
void postgresql_places_show(const struct postgresql_places *places, char **ret_hosts,
                            char **ret_addresses, char **ret_ports);

#endif
