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
#include "config/yaml_tree.h"

/* For each mistake: of which connection (NULL: it has no name), in which line, and what it is. */
typedef void connections_mistake(void *context, const char *name, size_t line, const char *words);

/* Where connections are from, and how they are read. All borrowed. */
struct connections_source {
    const char *path;         /* for the errors */
    const char *folder;       /* where relative paths of <key>File start */
    struct file_watch *watch; /* every file that is read, or could not be, is added to it; NULL:
                               * none */
    const char *file_value;   /* the value of each <key>File, which is not read; NULL: it is read */
    bool is_chart;            /* values of the chart, which have other keys at the top and `secret`
                               * in a connection */
    connections_mistake *on_mistake; /* NULL: mistakes are in the set alone */
    void *context;                   /* of on_mistake */
};

/* Adds the connections to the set. The mistakes of one are its own, with their lines. Fails where
 * the text is no connections file, and has added nothing then. */
bool connections_yaml_read(const struct connections_source *source, const char *text, size_t length,
                           struct connections *connections, struct error *error);

/* The same of a document that was parsed before. */
bool connections_yaml_read_tree(const struct connections_source *source,
                                const struct yaml_tree *root, struct connections *connections,
                                struct error *error);

/* The line of the key, or of its <key>File, in what is written of a connection. */
size_t connections_yaml_line(const struct yaml_tree *written, const char *key);

#endif
