#include "base/url.h"

#include <string.h>

struct url_places url_find(const char *url, size_t length)
{
    static const char scheme_end[] = "://";
    struct url_places places = {0};
    const char *scheme = memmem(url, length, scheme_end, strlen(scheme_end));
    if (scheme != NULL)
        places.user = (size_t)(scheme - url) + strlen(scheme_end);
    places.path = places.user;
    while (places.path < length && strchr("/?#", url[places.path]) == NULL)
        places.path++;
    const char *at = memrchr(url + places.user, '@', places.path - places.user);
    places.host = at == NULL ? places.user : (size_t)(at - url) + 1;
    places.is_ambiguous = memchr(url + places.path, '@', length - places.path) != NULL;
    return places;
}
