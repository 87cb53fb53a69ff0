#include "shared/http_address.h"

#include "base/memory.h"
#include "base/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

static void release_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

/* NULL where the URL lacks the part. */
static char *part_of(const CURLU *url, CURLUPart part, unsigned flags)
{
    char *found = NULL;
    if (curl_url_get((CURLU *)url, part, &found, flags) != CURLUE_OK)
        return NULL;
    char *copy = text_copy(found);
    curl_free(found);
    return copy;
}

static bool is_http(const char *url)
{
    return text_starts_with(url, "http://") || text_starts_with(url, "https://");
}

static bool split_url(const CURLU *url, struct http_address *address)
{
    _cleanup_(memory_free) char *scheme = part_of(url, CURLUPART_SCHEME, 0);
    _cleanup_(memory_free) char *host = part_of(url, CURLUPART_HOST, 0);
    _cleanup_(memory_free) char *port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    _cleanup_(memory_free) char *path = part_of(url, CURLUPART_PATH, 0);
    if (scheme == NULL || host == NULL || port == NULL || path == NULL)
        return false;
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        path[--length] = '\0';
    address->host_port = text_format("%s:%s", host, port);
    address->base = text_format("%s://%s%s", scheme, address->host_port, path);
    address->user = part_of(url, CURLUPART_USER, CURLU_URLDECODE);
    address->password = part_of(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    return true;
}

bool http_address_parse(const char *text, struct http_address *ret_address)
{
    _cleanup_(release_url) CURLU *url = curl_url();
    return is_http(text) && strpbrk(text, "?#") == NULL &&
           !url_find(text, strlen(text)).is_ambiguous &&
           curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && split_url(url, ret_address);
}

void http_address_done(struct http_address *address)
{
    free(address->host_port);
    free(address->base);
    free(address->user);
    free(address->password);
    *address = (struct http_address){0};
}

char *http_server_name(const char *service, const char *url)
{
    const char *host = strstr(url, "://");
    if (host == NULL)
        return text_copy(service);
    host += strlen("://");
    return text_format("%s at %.*s", service, (int)strcspn(host, "/"), host);
}

void http_add_escaped(struct text *url, const char *string)
{
    for (const char *at = string; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            text_add_bytes(url, at, 1);
        else
            text_addf(url, "%%%02X", byte);
    }
}
