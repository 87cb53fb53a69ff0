#include "shared/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_PORT = 5 };

bool address_is_port(const char *text, size_t length)
{
    if (length == 0 || length > LONGEST_PORT || strspn(text, "0123456789") < length)
        return false;
    int port = atoi(text);
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

static bool is_local_v4(const struct in_addr *address)
{
    uint32_t bits = ntohl(address->s_addr);
    bool is_alibaba = bits == (100U << 24 | 100U << 16 | 100U << 8 | 200U);
    return is_alibaba || bits >> 24 == 0 || bits >> 24 == 127 || bits >> 16 == (169U << 8 | 254);
}

bool address_is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_local_v4(&((const struct sockaddr_in *)address)->sin_addr);
    if (address->sa_family != AF_INET6)
        return false;
    static const struct in6_addr aws = {{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}}};
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;
    struct in_addr mapped;
    memcpy(&mapped, &ip->s6_addr[12], sizeof(mapped));
    return IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_LINKLOCAL(ip) ||
           IN6_ARE_ADDR_EQUAL(ip, &aws) || (IN6_IS_ADDR_V4MAPPED(ip) && is_local_v4(&mapped));
}
