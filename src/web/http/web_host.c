#include "web/http/web_host.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <string.h>

enum { MAX_NAME_BYTES = 255 };

/* Lower-case, without the port and the root's dot; an IPv6 address keeps its brackets. */
static bool take_name(const char *header, char name[MAX_NAME_BYTES + 1])
{
    const char *colon = strrchr(header, ':');
    size_t length = strlen(header);
    if (colon != NULL && colon[1 + strspn(colon + 1, "0123456789")] == '\0')
        length = (size_t)(colon - header);
    if (length > 1 && header[length - 1] == '.')
        length--;
    if (length == 0 || length > MAX_NAME_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)header[i]);
    name[length] = '\0';
    return true;
}

static bool is_address(char *name)
{
    struct in6_addr address;
    size_t length = strlen(name);
    if (name[0] != '[')
        return inet_pton(AF_INET, name, &address) == 1;
    if (name[length - 1] != ']')
        return false;
    name[length - 1] = '\0';
    return inet_pton(AF_INET6, name + 1, &address) == 1;
}

bool web_host_is_permitted(const struct web_hosts *hosts, const char *header)
{
    char name[MAX_NAME_BYTES + 1];
    if (!take_name(header, name))
        return false;
    for (size_t i = 0; i < hosts->count; i++)
        if (fnmatch(hosts->patterns[i], name, FNM_CASEFOLD) == 0)
            return true;
    return text_equal(name, "localhost") || is_address(name);
}
