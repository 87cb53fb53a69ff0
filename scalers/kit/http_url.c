#include "kit/http_url.h"

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

static bool split_url(const CURLU *url, struct http_url *ret_url)
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
    ret_url->host_port = text_format("%s:%s", host, port);
    ret_url->base = text_format("%s://%s%s", scheme, ret_url->host_port, path);
    ret_url->user = part_of(url, CURLUPART_USER, CURLU_URLDECODE);
    ret_url->password = part_of(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    return true;
}

bool http_url_parse(const char *text, struct http_url *ret_url)
{
    _cleanup_(release_url) CURLU *url = curl_url();
    return is_http(text) && strpbrk(text, "?#") == NULL &&
           !url_find(text, strlen(text)).is_ambiguous &&
           curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK && split_url(url, ret_url);
}

bool http_url_parse_whole(const char *text, struct http_url *ret_url)
{
    _cleanup_(memory_free) char *without = text_copy_bytes(text, strcspn(text, "?"));
    struct url_places places = url_find(text, strlen(text));
    const char *path = text + places.path;
    if (places.is_ambiguous || !http_url_parse(without, ret_url) ||
        strpbrk(path, " \"#<>\\^`{|}") != NULL)
        return false;
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            return false;
    free(ret_url->base);
    ret_url->base = text_format("%.*s%s%s%s", (int)(strstr(text, "://") - text + 3), text,
                                ret_url->host_port, path[0] == '/' ? "" : "/", path);
    return true;
}

void http_url_done(struct http_url *url)
{
    free(url->host_port);
    free(url->base);
    free(url->user);
    free(url->password);
    *url = (struct http_url){0};
}

char *http_url_server(const char *service, const char *url)
{
    struct url_places places = url_find(url, strlen(url));
    return text_format("%s at %.*s", service, (int)(places.path - places.host), url + places.host);
}

void http_url_add_escaped(struct text *url, const char *string)
{
    for (const char *at = string; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            text_add_bytes(url, at, 1);
        else
            text_addf(url, "%%%02X", byte);
    }
}
