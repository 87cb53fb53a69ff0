/*
 * The text of a connections file:
 *
 *     connections:
 *       orders:                          # a trigger says  connectionName: orders
 *         scaler: kafka
 *         bootstrapServers: kafka-0.kafka:9092
 *         passwordFile: /etc/backlog/secrets/orders/password
 *         namespaces: [shop, "billing-*"]
 *
 * Any key of a connection can be given as `<key>File`: the file's content is the value, and must
 * not be empty.
 *
 * Threads: any.
 */
#ifndef BACKLOG_CONFIG_CONNECTIONS_YAML_H
#define BACKLOG_CONFIG_CONNECTIONS_YAML_H

#include "base/system/file_watch.h"
#include "config/connections.h"

/* Where a text is from. */
struct connections_source {
    const char *path;   /* for the errors */
    const char *folder; /* where relative paths of <key>File start; NULL: of a Secret, where
                          * <key>File and  namespaces are refused */
    struct file_watch
        *watch; /* every file that is read, or could not be, is added to it; NULL: none */
};

/* Adds the connections to the set. The mistakes of one are its own, with their lines. Fails where
 * the text is no connections file, and has added nothing then. */
bool connections_yaml_read(const struct connections_source *source, const char *text, size_t length,
                           struct connections *connections, struct error *error);

#endif
