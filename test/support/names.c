#include "support/names.h"

#include "base/text.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct {
    const char *name;
    const char *const *addresses;
    atomic_size_t lookups;
} names[NAMES_MAX];

static size_t find(const char *name)
{
    size_t i = 0;
    while (i < NAMES_MAX && names[i].name != NULL && !text_equal(names[i].name, name))
        i++;
    return i;
}

void names_set(const char *name, const char *const *addresses)
{
    size_t i = find(name);
    if (i == NAMES_MAX)
        abort();
    names[i].name = name;
    names[i].addresses = addresses;
}

size_t names_lookups(const char *name)
{
    size_t i = find(name);
    return i == NAMES_MAX ? 0 : atomic_load(&names[i].lookups);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    size_t i = find(host);
    bool is_numeric = hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0;
    if (host == NULL || i == NAMES_MAX || names[i].name == NULL || is_numeric)
        return real(host, service, hints, ret_found);
    atomic_fetch_add(&names[i].lookups, 1);
    const char *const *addresses = names[i].addresses;
    if (addresses[0] == NULL)
        return EAI_NONAME;
    for (; *addresses != NULL; addresses++) {
        if (real(*addresses, service, hints, ret_found) != 0)
            abort(); /* on a thread of its own, perhaps */
        ret_found = &(*ret_found)->ai_next;
    }
    return 0;
}
