/*
 * The connections file: named connections with their credentials, because KEDA forwards no
 * TriggerAuthentication to an external scaler.
 *
 *     connections:
 *       orders:                          # a trigger says  connectionName: orders
 *         scaler: kafka
 *         bootstrapServers: kafka-0.kafka:9092
 *         passwordFile: /etc/backlog/secrets/orders/password
 *         namespaces: [shop, "billing-*"]
 *
 * Any key of a connection can be given as `<key>File`: the file's content is the value. A relative
 * path starts at the folder of the connections file. Whether the keys are right is for those to say
 * who know the scalers (scale/named.h).
 *
 * Threads: any; nothing changes after loading and numbering.
 */
#ifndef BACKLOG_CONFIG_CONNECTIONS_H
#define BACKLOG_CONFIG_CONNECTIONS_H

#include "base/error.h"
#include "base/watch.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct named_connection {
    char *name;
    char *scaler;
    struct option_entry *entries; /* owned strings; <key>File is resolved to <key> */
    size_t entries_count;
    char **namespaces; /* patterns; none: every namespace may use it */
    size_t namespaces_count;
    uint64_t revision; /* of connections_number(); 0: not numbered */
};

struct connections {
    struct named_connection *items; /* sorted by name */
    size_t count;
};

/* Tells every mistake at once, with its line. Every file that was read, or could not be, is added to
 * `watch`, where that is not NULL: nothing but a change of one of them can change the outcome. */
bool connections_load(const char *path, struct watch *watch, struct connections **ret_connections,
                      struct error *error);

/* The same from text; `folder` is where relative paths start, `path` is for the errors. */
bool connections_parse(const char *text, size_t length, const char *path, const char *folder,
                       struct watch *watch, struct connections **ret_connections,
                       struct error *error);
void connections_free(struct connections *connections); /* NULL is none */

/* NULL where there is none; `connections` may be NULL. */
const struct named_connection *connections_find(const struct connections *connections,
                                                const char *name);
/* Both may be NULL. */
bool named_connection_equals(const struct named_connection *one,
                             const struct named_connection *other);
/* Numbers them: those that are as before keep their number, and the others get `revision`. */
void connections_number(struct connections *connections, const struct connections *before,
                        uint64_t revision);
bool named_connection_allows(const struct named_connection *connection, const char *namespace);

#endif
