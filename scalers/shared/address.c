#include "shared/address.h"

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
