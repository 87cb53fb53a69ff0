#include "redis/options.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/address.h"

#include <stdlib.h>
#include <string.h>

const char *const redis_switch[] = {"disable", "enable", "false", "true", NULL};
const char *const redis_cluster_databases[] = {"0", NULL};

static void check_addresses(const struct redis_connection *connection, struct error *mistakes)
{
    const struct option_list *hosts = &connection->hosts;
    const struct option_list *ports = &connection->ports;
    if (connection->addresses.count == 0 && hosts->count == 0 && ports->count == 0)
        error_add(mistakes, "address is missing: set it to host:port, or set host and port");
    if (hosts->count != ports->count)
        error_add(mistakes, "host and port go together: there are %zu of host and %zu of port",
                  hosts->count, ports->count);

    /* A value may hold a password: the error has its number, and never its text. */
    for (size_t i = 0; i < connection->addresses.count; i++)
        if (!address_is_host_port(connection->addresses.items[i]) &&
            !(i > 0 && *connection->addresses.items[i] == '\0')) /* behind a closing comma */
            error_add(mistakes, "address: number %zu is not host:port, such as redis.shop:6379",
                      i + 1);
    for (size_t i = 0; i < hosts->count; i++)
        if (!address_is_host(hosts->items[i], strlen(hosts->items[i])))
            error_add(mistakes, "host: number %zu is not the name or address of a host", i + 1);
    for (size_t i = 0; i < ports->count; i++)
        if (!address_is_port(ports->items[i], strlen(ports->items[i])))
            error_add(mistakes, "port: number %zu is not a port from 1 to 65535", i + 1);
}

bool redis_connection_has_tls(const struct redis_connection *connection)
{
    return connection->tls.enable != 0 || connection->broker_tls % 2 != 0;
}

void redis_connection_check(const void *connection_options, struct error *mistakes)
{
    const struct redis_connection *connection = connection_options;
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

/* The last address is empty behind a closing comma. */
static size_t count_addresses(const struct redis_connection *connection)
{
    size_t count = connection->addresses.count;
    while (count > 0 && *connection->addresses.items[count - 1] == '\0')
        count--;
    return count;
}

size_t redis_connection_count(const struct redis_connection *connection)
{
    return count_addresses(connection) + connection->hosts.count;
}

char *redis_connection_host(const struct redis_connection *connection, size_t index, int *ret_port)
{
    size_t whole_count = count_addresses(connection);
    bool whole = index < whole_count;
    const char *text =
        whole ? connection->addresses.items[index] : connection->hosts.items[index - whole_count];
    const char *colon = whole ? strrchr(text, ':') : NULL;
    size_t length = whole ? (size_t)(colon - text) : strlen(text);
    *ret_port = atoi(whole ? colon + 1 : connection->ports.items[index - whole_count]);
    return address_is_bracketed(text, length) ? text_copy_bytes(text + 1, length - 2)
                                              : text_copy_bytes(text, length);
}
