#include "shared/address.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_PORT = 5 };

bool address_is_port(const char *text, size_t length)
{
    if (length == 0 || length > LONGEST_PORT || strspn(text, "0123456789") < length)
        return false;
    int port = 0;
    for (size_t i = 0; i < length; i++)
        port = port * 10 + (text[i] - '0');
    return port >= 1 && port <= UINT16_MAX;
}

bool address_is_bracketed(const char *host, size_t length)
{
    return length > 2 && host[0] == '[' && host[length - 1] == ']';
}

bool address_is_host(const char *text, size_t length)
{
    if (address_is_bracketed(text, length))
        return strspn(text + 1, "0123456789abcdefABCDEF:.") == length - 2;
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]) || strchr("/:[]?#@", text[i]) != NULL)
            return false;
    return length > 0;
}

bool address_is_host_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon != NULL && address_is_host(text, (size_t)(colon - text)) &&
           address_is_port(colon + 1, strlen(colon + 1));
}

bool address_lacks_brackets(const char *address)
{
    struct url_places places = url_find(address, strlen(address));
    bool is_bracketed = false;
    size_t colons = 0;
    for (size_t at = places.host; at < places.path && colons < 2; at++) {
        if (at == places.host || address[at - 1] == ',') {
            colons = 0;
            is_bracketed = address[at] == '[';
        }
        colons += address[at] == ':' && !is_bracketed;
    }
    return colons == 2;
}

char *address_without_dot(const char *address)
{
    struct url_places places = url_find(address, strlen(address));
    size_t end = places.host;
    while (end < places.path && address[end] != ':')
        end++;
    if (end < places.host + 2 || address[end - 1] != '.')
        return text_copy(address);
    return text_format("%.*s%s", (int)(end - 1), address, address + end);
}

/* Prefixes of addresses that are refused, in the order of the network. */
struct prefix {
    uint8_t bytes[16];
    uint8_t bits;
};

static const struct prefix local_v4[] = {
    {{0}, 8},
    {{127}, 8},
    {{169, 254}, 16},
    {{100, 100, 100, 200}, 32}, /* Alibaba's metadata */
    {{168, 63, 129, 16}, 32},   /* Azure's WireServer */
};

static const struct prefix local_v6[] = {
    {{0}, 128},
    {{[15] = 1}, 128},
    {{0xfe, 0x80}, 10},
    {{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128}, /* AWS's metadata */
    {{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128}, /* Google's */
};

/* An IPv4 address behind one of these is where the connection ends. */
static const struct prefix with_v4[] = {
    {{[10] = 0xff, 0xff}, 96},            /* IPv4-mapped */
    {{0}, 96},                            /* IPv4-compatible */
    {{[8] = 0xff, 0xff}, 96},             /* IPv4-translated (RFC 2765) */
    {{0x00, 0x64, 0xff, 0x9b}, 96},       /* NAT64 */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 96}, /* its local prefix (RFC 8215), as it is used mostly */
    {{0x20, 0x02}, 16},                   /* 6to4 */
};

static bool has_prefix(const uint8_t *address, const struct prefix *prefix)
{
    size_t whole = prefix->bits / 8;
    int left = prefix->bits % 8;
    return memcmp(address, prefix->bytes, whole) == 0 &&
           (left == 0 || (address[whole] ^ prefix->bytes[whole]) >> (8 - left) == 0);
}

static bool is_among(const uint8_t *address, const struct prefix *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_prefix(address, &prefixes[i]))
            return true;
    return false;
}

static bool is_local_v4(const uint8_t *address)
{
    return is_among(address, local_v4, ARRAY_LENGTH(local_v4));
}

static bool is_local_v6(const uint8_t *address)
{
    if (is_among(address, local_v6, ARRAY_LENGTH(local_v6)))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(with_v4); i++)
        if (has_prefix(address, &with_v4[i]) && is_local_v4(address + with_v4[i].bits / 8))
            return true;
    return false;
}

bool address_is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_local_v4((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr);
    return address->sa_family == AF_INET6 &&
           is_local_v6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
}
