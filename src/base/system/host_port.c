#include "base/system/host_port.h"

#include "base/text.h"

#include <string.h>

size_t host_port_host_length(const char *address)
{
    return (size_t)(strrchr(address, ':') - address);
}

bool host_port_split(const char *address, char **ret_host, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0')
        return false;
    bool in_brackets = address[0] == '[' && colon[-1] == ']';
    const char *from = address + in_brackets;
    size_t length = host_port_host_length(address) - 2 * (size_t)in_brackets;
    if (length == 0 || (!in_brackets && memchr(from, ':', length) != NULL))
        return false;
    *ret_host = text_copy_bytes(from, length);
    *ret_port = colon + 1;
    return true;
}
