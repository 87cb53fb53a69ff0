#include "redis/check.h"

#include "base/text.h"
#include "redis/options.h"
#include "redis/requests/lists.h"
#include "shared/address.h"

#include <string.h>

static void check_addresses(const struct redis_connection_options *connection,
                            struct error *mistakes)
{
    const struct option_list *hosts = &connection->hosts;
    const struct option_list *ports = &connection->ports;
    size_t addresses = redis_connection_count(connection) - hosts->count;
    if (connection->addresses.count == 0 && hosts->count == 0 && ports->count == 0)
        error_add(mistakes, "address is missing: set it to host:port, or set host and port");
    if (hosts->count != ports->count)
        error_add(mistakes, "host and port go together: there are %zu of host and %zu of port",
                  hosts->count, ports->count);

    /* A value may hold a password: the error has its number, and never its text. */
    for (size_t i = 0; i < connection->addresses.count && (i == 0 || i < addresses); i++)
        if (!address_is_host_port(connection->addresses.items[i]))
            error_add(mistakes,
                      "address: number %zu is not host:port, such as redis.shop:6379 or "
                      "[fd00::1]:6379",
                      i + 1);
    for (size_t i = 0; i < hosts->count; i++)
        if (!address_is_host(hosts->items[i], strlen(hosts->items[i])))
            error_add(mistakes,
                      "host: number %zu is not the name or address of a host, or an IPv6 address "
                      "in brackets: [fd00::1]",
                      i + 1);
    for (size_t i = 0; i < ports->count; i++)
        if (!address_is_port(ports->items[i], strlen(ports->items[i])))
            error_add(mistakes, "port: number %zu is not a port from 1 to 65535", i + 1);
}

void redis_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct redis_connection_options *connection = connection_options;
    check_addresses(connection, mistakes);
    /* KEDA logs in as the default user then. */
    if (connection->username != NULL && connection->password == NULL)
        error_add(mistakes, "username needs password");
    if (connection->sentinel_username != NULL && connection->sentinel_password == NULL)
        error_add(mistakes, "sentinelUsername needs sentinelPassword");
    if (connection->sentinel_master != NULL &&
        redis_connection_count(connection) > REDIS_MAX_SENTINELS)
        error_add(mistakes, "address: at most %d Sentinels can be listed", REDIS_MAX_SENTINELS);
    if (redis_connection_has_tls(connection)) /* as KEDA, which reads the files only then */
        tls_options_check(&connection->tls, mistakes);
}

/* Of a prefix, which is in the names of five keys, less than of others. */
enum { MAX_NAME_BYTES = 1024, MAX_PREFIX_BYTES = 256 };

static void check_length(const char *key, const char *name, size_t max_bytes,
                         struct error *mistakes)
{
    if (name != NULL && strlen(name) > max_bytes)
        error_add(mistakes, "%s has %zu bytes: at most %zu are permitted", key, strlen(name),
                  max_bytes);
}

/* Each is in several commands and texts of a measurement. */
static void check_name(const char *key, const char *name, struct error *mistakes)
{
    check_length(key, name, MAX_NAME_BYTES, mistakes);
}

/* A value may come out of a variable: the error has its number. */
static void check_keys(const struct option_list *keys, struct error *mistakes)
{
    for (size_t i = 0; i < keys->count; i++) {
        size_t before = 0;
        while (!text_equal(keys->items[before], keys->items[i]))
            before++;
        check_name("one of keys", keys->items[i], mistakes);
        if (*keys->items[i] == '\0')
            error_add(mistakes, "keys: number %zu is empty", i + 1);
        else if (before < i)
            error_add(mistakes, "keys: number %zu is number %zu again, and would count twice",
                      i + 1, before + 1);
    }
}

void redis_check_list(const struct options *options, struct error *mistakes)
{
    const struct redis_list_query *query = options->query;
    bool has_name = query->list_name != NULL;
    bool has_keys = query->keys.count > 0;
    bool has_library = query->library != REDIS_NO_LIBRARY;
    if (has_name + has_keys + has_library == 0 && query->queue_name == NULL)
        error_add(mistakes, "listName is missing: set it, or keys, or library and queueName");
    if (has_name + has_keys + has_library > 1)
        error_add(mistakes, "set one of %s%s%s", has_name ? "listName" : "keys",
                  has_name && has_keys ? (has_library ? ", keys" : " and keys") : "",
                  has_library ? " and library" : "");
    check_keys(&query->keys, mistakes);
    check_name("listName", query->list_name, mistakes);
    check_name("queueName", query->queue_name, mistakes);
    check_length("prefix", query->prefix, MAX_PREFIX_BYTES, mistakes);
    if (has_library && query->queue_name == NULL)
        error_add(mistakes, "library needs queueName");
    if (!has_library && query->queue_name != NULL)
        error_add(mistakes, "queueName needs library: bullmq or rq");
    if (!has_library && query->prefix != NULL)
        error_add(mistakes, "prefix needs library: bullmq or rq");
}

void redis_check_stream(const struct options *options, struct error *mistakes)
{
    const struct redis_stream_query *query = options->query;
    check_name("stream", query->stream, mistakes);
    check_name("consumerGroup", query->consumer_group, mistakes);
}

void redis_check_cluster_list(const struct options *options, struct error *mistakes)
{
    redis_check_list(options, mistakes);
    redis_list_check_slots(options->query, mistakes);
}
