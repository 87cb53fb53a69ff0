#include "prometheus/url.h"

#include "base/memory.h"
#include "base/text.h"

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

static bool is_http(const char *server_address)
{
    return text_starts_with(server_address, "http://") ||
           text_starts_with(server_address, "https://");
}

static bool take_apart(const CURLU *url, struct prometheus_address *address)
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
    /* One @ behind the host tells of a password that had a slash in it. */
    return strchr(path, '@') == NULL;
}

bool prometheus_address_parse(const char *server_address, struct prometheus_address *ret_address,
                              struct error *error)
{
    _cleanup_(release_url) CURLU *url = curl_url();
    bool good = is_http(server_address) && strpbrk(server_address, "?#") == NULL &&
                curl_url_set(url, CURLUPART_URL, server_address, 0) == CURLUE_OK;
    if (good && take_apart(url, ret_address))
        return true;
    return error_invalid(error, "serverAddress must be a URL such as http://prometheus:9090/path, "
                                "without parameters, and with / ? # and @ of a password escaped");
}

void prometheus_address_done(struct prometheus_address *address)
{
    free(address->host_port);
    free(address->base);
    free(address->user);
    free(address->password);
    *address = (struct prometheus_address){0};
}

static void add_escaped(struct text *url, const char *string)
{
    for (const char *at = string; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte < 0x80 && (isalnum(byte) || strchr("-._~", byte) != NULL))
            text_add_bytes(url, at, 1);
        else
            text_addf(url, "%%%02X", byte);
    }
}

static void add_parameter(struct text *url, const char *name, const char *value)
{
    text_add(url, "&");
    add_escaped(url, name);
    text_add(url, "=");
    add_escaped(url, value);
}

char *prometheus_question(const struct prometheus_address *address,
                          const struct prometheus_query *query)
{
    struct text url = {0};
    text_addf(&url, "%s/api/v1/query?query=", address->base);
    add_escaped(&url, query->query);
    if (query->namespace != NULL)
        add_parameter(&url, "namespace", query->namespace);
    for (size_t i = 0; i < query->query_parameters.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(query->query_parameters.items[i], &pair))
            add_parameter(&url, pair.name, pair.value);
    }
    return text_take(&url);
}
