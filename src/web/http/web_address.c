#include "web/http/web_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PREFIX_BYTES = 8, MAPPED_BYTES = 12 };

struct web_address web_address_of(int fd)
{
    struct web_address address = {0};
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0)
        return address;
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&peer;
        address.bytes[MAPPED_BYTES - 2] = address.bytes[MAPPED_BYTES - 1] = 0xff;
        memcpy(address.bytes + MAPPED_BYTES, &ipv4->sin_addr, sizeof(ipv4->sin_addr));
    } else if (peer.ss_family == AF_INET6) {
        const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)&peer)->sin6_addr;
        memcpy(address.bytes, ipv6, IN6_IS_ADDR_V4MAPPED(ipv6) ? WEB_ADDRESS_BYTES : PREFIX_BYTES);
    }
    return address;
}

const char *web_address_text(const struct web_address *address,
                             char ret_text[WEB_ADDRESS_TEXT_BYTES])
{
    char prefix[INET6_ADDRSTRLEN];
    struct in6_addr ipv6;
    memcpy(&ipv6, address->bytes, sizeof(ipv6));
    if (IN6_IS_ADDR_V4MAPPED(&ipv6))
        return inet_ntop(AF_INET, address->bytes + MAPPED_BYTES, ret_text, WEB_ADDRESS_TEXT_BYTES);
    inet_ntop(AF_INET6, &ipv6, prefix, sizeof(prefix));
    snprintf(ret_text, WEB_ADDRESS_TEXT_BYTES, "%s/%d", prefix, 8 * PREFIX_BYTES);
    return ret_text;
}

size_t web_address_count(const struct web_address *all, size_t count,
                         const struct web_address *address)
{
    size_t same = 0;
    for (size_t i = 0; i < count; i++)
        same += memcmp(&all[i], address, sizeof(*address)) == 0;
    return same;
}

size_t web_address_commonest(const struct web_address *all, size_t count)
{
    size_t max = 0;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t same = web_address_count(all, count, &all[i]);
        if (same > max) {
            max = same;
            found = i;
        }
    }
    return found;
}
