#include "serve/transport/client_names.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>

struct client_names *client_names_new(void)
{
    return memory_new(sizeof(struct client_names));
}

/* It is shown in answers and in the log, where it must not look like something else. */
static bool is_plain(const char *name, size_t length)
{
    if (length == 0 || length > CLIENT_NAME_BYTES || !text_is_utf8(name, length))
        return false;
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)name[i]))
            return false;
    return true;
}

void client_names_add(struct client_names *names, const char *name, size_t length)
{
    names->given++;
    if (names->count < CLIENT_NAMES_MAX && is_plain(name, length))
        names->names[names->count++] = text_copy_bytes(name, length);
}

void client_names_free(struct client_names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names);
}

static bool is_among(const char *name, const struct client_rule *rule)
{
    for (size_t i = 0; i < rule->count; i++)
        if (fnmatch(rule->patterns[i], name, 0) == 0)
            return true;
    return false;
}

char *client_names_refusal(const struct client_names *names, const struct client_rule *rule)
{
    for (size_t i = 0; i < names->count; i++)
        if (is_among(names->names[i], rule))
            return NULL;
    if (rule->count == 0)
        return NULL;
    if (names->count == 0)
        return text_copy(
            "the client's certificate has no name: the server requires one of --tls-client-names");
    return text_format("the client's certificate is of \"%s\"%s, which the server does not admit",
                       names->names[0], names->count > 1 ? " and other names" : "");
}
