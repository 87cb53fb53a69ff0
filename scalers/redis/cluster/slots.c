#include "redis/cluster/slots.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/address.h"

#include <stdlib.h>
#include <string.h>

enum {
    CRC_POLYNOMIAL = 0x1021, /* CRC-16/XMODEM */
    CRC_TOP = 0x8000,
    MAX_HOST = 255,
};

static unsigned crc16(const char *bytes, size_t length)
{
    unsigned crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & CRC_TOP ? crc << 1 ^ CRC_POLYNOMIAL : crc << 1;
        crc &= UINT16_MAX;
    }
    return crc;
}

size_t redis_slot_of(const char *key)
{
    const char *open = strchr(key, '{');
    const char *close = open == NULL ? NULL : strchr(open + 1, '}');
    if (close != NULL && close > open + 1)
        return crc16(open + 1, (size_t)(close - open - 1)) % REDIS_SLOTS;
    return crc16(key, strlen(key)) % REDIS_SLOTS;
}

static struct redis_slot_map *new_map(void)
{
    struct redis_slot_map *map = memory_new(sizeof(*map));
    for (size_t i = 0; i < REDIS_SLOTS; i++)
        map->owners[i] = REDIS_NO_NODE;
    return map;
}

void redis_slot_map_free(struct redis_slot_map *map)
{
    for (size_t i = 0; map != NULL && i < map->count; i++)
        free(map->nodes[i].host);
    free(map);
}

uint16_t redis_slot_map_node(struct redis_slot_map *map, const char *host, int port)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->nodes[i].port == port && text_equal(map->nodes[i].host, host))
            return (uint16_t)i;
    if (map->count == REDIS_MAX_NODES)
        return REDIS_NO_NODE;
    map->nodes[map->count] = (struct redis_node){.host = text_copy(host), .port = port};
    return (uint16_t)map->count++;
}

bool redis_is_host(const char *host, size_t length)
{
    if (length > MAX_HOST)
        return false;
    return address_is_host(host, length) || /* IPv6 without brackets, as nodes send it */
           (memchr(host, ':', length) != NULL &&
            strspn(host, "0123456789abcdefABCDEF:.") >= length);
}

/* One node of a range: host, port, id, more. A node that does not know its own address sends
 * nothing, or "?" where it is to be known by a name that is not set. */
static bool parse_node(const redisReply *node, const char *own_host, const char **ret_host,
                       int *ret_port)
{
    if (node->type != REDIS_REPLY_ARRAY || node->elements < 2 ||
        node->element[1]->type != REDIS_REPLY_INTEGER || node->element[1]->integer < 1 ||
        node->element[1]->integer > UINT16_MAX)
        return false;
    const redisReply *host = node->element[0];
    *ret_port = (int)node->element[1]->integer;
    *ret_host = own_host;
    if (host->type == REDIS_REPLY_STRING && host->len > 0)
        *ret_host = host->str;
    else if (host->type != REDIS_REPLY_STRING && host->type != REDIS_REPLY_NIL)
        return false;
    return redis_is_host(*ret_host, strlen(*ret_host));
}

static bool is_slot(const redisReply *number)
{
    return number->type == REDIS_REPLY_INTEGER && number->integer >= 0 &&
           number->integer < REDIS_SLOTS;
}

/* First slot, last slot, master, replicas. */
static bool is_range(const redisReply *range)
{
    return range->type == REDIS_REPLY_ARRAY && range->elements >= 3 && is_slot(range->element[0]) &&
           is_slot(range->element[1]) && range->element[0]->integer <= range->element[1]->integer;
}

/* Each slot has one owner, so that ranges have at most as many as there are. */
static bool count_slots(const redisReply *range, size_t *slots)
{
    *slots += (size_t)(range->element[1]->integer - range->element[0]->integer) + 1;
    return *slots <= REDIS_SLOTS;
}

/* A range whose master has no address is one without an owner. */
static bool add_range(struct redis_slot_map *map, const redisReply *range, const char *own_host)
{
    const char *host = NULL;
    int port = 0;
    if (!parse_node(range->element[2], own_host, &host, &port))
        return true;
    uint16_t owner = redis_slot_map_node(map, host, port);
    for (long long slot = range->element[0]->integer; slot <= range->element[1]->integer; slot++)
        map->owners[slot] = owner;
    return owner != REDIS_NO_NODE;
}

static void add_replicas(struct redis_slot_map *map, const redisReply *range, const char *own_host)
{
    const char *host = NULL;
    int port = 0;
    for (size_t i = 3; i < range->elements; i++)
        if (parse_node(range->element[i], own_host, &host, &port))
            redis_slot_map_node(map, host, port);
}

static struct redis_slot_map *refuse(struct redis_slot_map *map, const char *reason,
                                     struct error *error)
{
    redis_slot_map_free(map);
    error_unavailable(error, "unexpected reply to CLUSTER SLOTS: %s", reason);
    return NULL;
}

struct redis_slot_map *redis_slot_map_parse(const redisReply *reply, const char *host,
                                            struct error *error)
{
    struct redis_slot_map *map = new_map();
    if (reply->type != REDIS_REPLY_ARRAY)
        return refuse(map, "it is no list", error);
    size_t slots = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        if (!is_range(reply->element[i]))
            return refuse(map, "an item is no range of slots", error);
        if (!count_slots(reply->element[i], &slots))
            return refuse(map, "its ranges overlap", error);
        if (!add_range(map, reply->element[i], host))
            return refuse(map, "it has more than 256 masters", error);
    }
    if (map->count == 0)
        return refuse(map, "no node has a slot, it says", error);
    for (size_t i = 0; i < reply->elements; i++)
        add_replicas(map, reply->element[i], host);
    return map;
}

bool redis_redirect_parse(const char *words, const char *host, char **ret_host, int *ret_port)
{
    const char *slot = strchr(words, ' ');
    const char *address = slot == NULL ? NULL : strchr(slot + 1, ' ');
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    if (colon == NULL || !address_is_port(colon + 1, strlen(colon + 1)))
        return false;
    size_t length = (size_t)(colon - ++address);
    if (length > 0 && !redis_is_host(address, length))
        return false;
    *ret_host = length > 0 ? text_copy_bytes(address, length) : text_copy(host);
    *ret_port = atoi(colon + 1);
    return true;
}
