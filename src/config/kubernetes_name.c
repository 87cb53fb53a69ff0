#include "config/kubernetes_name.h"

#include <stddef.h>
#include <string.h>

enum { LONGEST_NAMESPACE = 63 };

/* How many bytes of it are a DNS label: letters and digits, and '-' between them. 0: it begins with
 * none. */
static size_t label_length(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    bool is_label = length > 0 && text[0] != '-' && text[length - 1] != '-';
    return is_label ? length : 0;
}

bool kubernetes_name_is_valid(const char *name)
{
    if (name == NULL || strlen(name) > KUBERNETES_NAME_MAX)
        return false;
    size_t length = label_length(name);
    while (length > 0 && name[length] == '.') {
        name += length + 1;
        length = label_length(name);
    }
    return length > 0 && name[length] == '\0';
}

bool kubernetes_name_is_namespace(const char *name)
{
    size_t length = name == NULL ? 0 : label_length(name);
    return length > 0 && length <= LONGEST_NAMESPACE && name[length] == '\0';
}
