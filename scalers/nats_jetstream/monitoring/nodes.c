#include "nats_jetstream/monitoring/nodes.h"

#include "base/hash.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST_BYTES = 64 << 10 }; /* of a tree */

void nats_nodes_done(struct nats_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        free(nodes->bases[i]);
    free(nodes->bases);
    *nodes = (struct nats_nodes){0};
}

/* The endpoint's URL with another host. */
static void add_host(struct nats_nodes *nodes, const struct http_url *endpoint, const char *host,
                     size_t length)
{
    const char *own_host = strstr(endpoint->base, "://") + strlen("://");
    const char *port = strrchr(endpoint->host_port, ':');
    size_t own_length = (size_t)(port - endpoint->host_port);
    bool is_own = length == own_length && strncmp(host, own_host, length) == 0;
    if (is_own || !address_is_host(host, length) || nodes->count == NATS_MAX_NODES)
        return;
    nodes->bases = memory_resize(nodes->bases, (nodes->count + 1) * sizeof(*nodes->bases));
    nodes->bases[nodes->count++] =
        text_format("%.*s%.*s%s", (int)(own_host - endpoint->base), endpoint->base, (int)length,
                    host, own_host + own_length);
}

/* host:port, [address]:port */
static size_t host_length(const char *address)
{
    const char *port = strrchr(address, ':');
    return port == NULL ? strlen(address) : (size_t)(port - address);
}

static void add_advertised(struct nats_nodes *nodes, const struct http_url *endpoint,
                           const json_t *addresses)
{
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        const char *address = json_string_value(json_array_get(addresses, i));
        if (address != NULL)
            add_host(nodes, endpoint, address, host_length(address));
    }
}

static bool has_name(const char *address)
{
    struct in_addr number;
    _cleanup_(memory_free) char *host = text_copy_bytes(address, host_length(address));
    return host[0] != '[' && inet_pton(AF_INET, host, &number) != 1;
}

static void add_routes(struct nats_nodes *nodes, const struct http_url *endpoint,
                       const json_t *routes)
{
    if (!has_name(endpoint->host_port))
        return;
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const char *route = json_string_value(json_array_get(routes, i));
        if (route == NULL || !has_name(route))
            continue;
        _cleanup_(memory_free) char *host =
            text_format("%.*s.%.*s", (int)strcspn(route, ".:"), route,
                        (int)host_length(endpoint->host_port), endpoint->host_port);
        add_host(nodes, endpoint, host, strlen(host));
    }
}

static json_t *list_of(struct json_text object, const char *field)
{
    return json_text_tree(json_text_member(object, field), 0, MAX_LIST_BYTES);
}

struct nats_nodes nats_nodes_parse(struct json_text reply, const struct http_url *endpoint)
{
    struct nats_nodes nodes = {0};
    _cleanup_(json_done) json_t *advertised = list_of(reply, "connect_urls");
    if (json_array_size(advertised) > 0) {
        add_advertised(&nodes, endpoint, advertised);
        return nodes;
    }
    _cleanup_(json_done) json_t *routes = list_of(json_text_member(reply, "cluster"), "urls");
    add_routes(&nodes, endpoint, routes);
    return nodes;
}

/* Where the hash is; NATS_MAX_NODES: nowhere. */
static size_t find(const struct nats_silent_nodes *silent, uint64_t hash)
{
    size_t i = 0;
    while (i < NATS_MAX_NODES && silent->hashes[i] != hash)
        i++;
    return i;
}

void nats_silent_nodes_note(struct nats_silent_nodes *silent, const char *base, bool is_silent)
{
    uint64_t hash = hash_text(base);
    size_t place = find(silent, hash);
    bool is_noted = place < NATS_MAX_NODES;
    if (is_silent == is_noted)
        return;
    if (!is_silent) {
        silent->hashes[place] = 0;
        return;
    }
    size_t free_place = find(silent, 0);
    if (free_place < NATS_MAX_NODES) {
        silent->hashes[free_place] = hash;
        return;
    }
    silent->hashes[silent->next] = hash;
    silent->next = (silent->next + 1) % NATS_MAX_NODES;
}

void nats_silent_nodes_put_last(const struct nats_silent_nodes *silent, struct nats_nodes *nodes)
{
    char *last[NATS_MAX_NODES];
    size_t last_count = 0;
    size_t count = 0;
    for (size_t i = 0; i < nodes->count; i++)
        if (find(silent, hash_text(nodes->bases[i])) < NATS_MAX_NODES)
            last[last_count++] = nodes->bases[i];
        else
            nodes->bases[count++] = nodes->bases[i];
    for (size_t i = 0; i < last_count; i++)
        nodes->bases[count++] = last[i];
}
