#include "rabbitmq/url.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"
#include "kit/http_url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_HOST_BYTES = 255, MAX_URL_BYTES = 4096 };

static const struct scheme {
    const char *prefix;
    bool is_http;
    bool has_tls;
    int port;
} schemes[] = {
    {"amqp://", false, false, 5672},
    {"amqps://", false, true, 5671},
    {"http://", true, false, 80},
    {"https://", true, true, 443},
};

const char *const rabbitmq_mechanisms[] = {
    [RABBITMQ_MECHANISM_PLAIN] = "PLAIN",
    [RABBITMQ_MECHANISM_AMQPLAIN] = "AMQPLAIN",
    [RABBITMQ_MECHANISM_EXTERNAL] = "EXTERNAL",
    NULL,
};

/* Undoes the percent-encoding; NULL where it is none, or hides a NUL. */
static char *decoded(const char *bytes, size_t length)
{
    char *text = memory_new(length + 1);
    size_t end = 0;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (c == '%') {
            int byte = text_percent_byte(bytes + i, length - i);
            if (byte <= 0) {
                free(text);
                return NULL;
            }
            c = (char)byte;
            i += 2;
        }
        text[end++] = c;
    }
    return text;
}

char *rabbitmq_url_escaped(const char *name)
{
    struct text text = {0};
    http_url_add_escaped(&text, name);
    return text_take(&text);
}

char *rabbitmq_url_query_escaped(const char *name)
{
    struct text text = {0};
    for (const char *space; (space = strchr(name, ' ')) != NULL; name = space + 1) {
        _cleanup_(memory_free) char *word = text_copy_bytes(name, (size_t)(space - name));
        http_url_add_escaped(&text, word);
        text_add(&text, "+");
    }
    http_url_add_escaped(&text, name);
    return text_take(&text);
}

static const struct scheme *find_scheme(const char *url)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (strncasecmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    return NULL;
}

static bool parse_user(struct rabbitmq_url *url, const char *user, size_t length,
                       struct error *error)
{
    const char *colon = memchr(user, ':', length);
    size_t user_length = colon == NULL ? length : (size_t)(colon - user);
    url->user = decoded(user, user_length);
    if (colon != NULL)
        url->password = decoded(colon + 1, length - user_length - 1);
    if (url->user == NULL || (colon != NULL && url->password == NULL))
        return error_invalid(error,
                             "host: its user name or password has a %% that is not the start "
                             "of a percent-encoded byte (write %% itself as %%25)");
    return true;
}

static bool parse_port(struct rabbitmq_url *url, const char *port, size_t length,
                       struct error *error)
{
    if (length == 0)
        return true;
    url->port = 0;
    for (size_t i = 0; i < length && url->port <= 65535; i++)
        url->port = isdigit((unsigned char)port[i]) ? url->port * 10 + (port[i] - '0') : 65536;
    if (url->port < 1 || url->port > 65535)
        return error_invalid(error, "host: its port must be a number from 1 to 65535 (in a user "
                                    "name or password, write any of / ? # @ : percent-encoded)");
    return true;
}

/* host, host:port, [address] or [address]:port */
static bool parse_address(struct rabbitmq_url *url, const char *address, size_t length,
                          struct error *error)
{
    const char *end = address + length;
    const char *host = address;
    const char *host_end = memchr(address, ':', length);
    if (length > 0 && address[0] == '[') {
        host = address + 1;
        host_end = memchr(address, ']', length);
        if (host_end == NULL || (host_end + 1 < end && host_end[1] != ':'))
            return error_invalid(error, "host: an IPv6 address is written [address]:port");
    }
    if (host_end == NULL)
        host_end = end;
    if (host == address && host_end < end && memrchr(address, ':', length) != host_end)
        return error_invalid(error, "host: an IPv6 address is written [address]:port (in a user "
                                    "name or password, write any of / ? # @ : percent-encoded)");
    if (host_end == host || host_end - host > MAX_HOST_BYTES)
        return error_invalid(error, "host: it must name a host of 1 to %d bytes", MAX_HOST_BYTES);

    url->host = text_copy_bytes(host, (size_t)(host_end - host));
    const char *colon = memchr(host_end, ':', (size_t)(end - host_end));
    return colon == NULL || parse_port(url, colon + 1, (size_t)(end - colon - 1), error);
}

/* Without empty pieces, as KEDA joins them: `//vhost` has no prefix. */
static char *joined(const char *path, const char *end)
{
    struct text prefix = {0};
    for (const char *c = path; c < end; c++)
        if (*c != '/' || (c + 1 < end && c[1] != '/'))
            text_add_bytes(&prefix, c, 1);
    return text_take(&prefix);
}

/* AMQP: the whole path is the vhost. The management API: its last piece is, the rest is a prefix.
 */
static bool parse_path(struct rabbitmq_url *url, const char *path, size_t length,
                       struct error *error)
{
    const char *vhost = path;
    if (url->is_http)
        for (const char *c = path; c < path + length; c++)
            if (*c == '/')
                vhost = c;
    url->prefix = joined(path, vhost);
    if (vhost < path + length)
        vhost++;

    url->vhost = decoded(vhost, (size_t)(path + length - vhost));
    if (url->vhost == NULL)
        return error_invalid(error, "host: its path has a %% that is not the start of a "
                                    "percent-encoded byte (write %% itself as %%25)");
    return true;
}

static bool parse(struct rabbitmq_url *url, const char *text, struct error *error)
{
    const struct scheme *scheme = find_scheme(text);
    if (scheme == NULL)
        return error_invalid(error, "host must be a URL that starts with amqp://, amqps://, "
                                    "http:// or https://");
    for (const char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c) || *c == ' ')
            return error_invalid(error, "host: a URL has no spaces or control characters");
    if (strlen(text) > MAX_URL_BYTES)
        return error_invalid(error, "host: a URL has at most %d bytes", MAX_URL_BYTES);

    url->is_http = scheme->is_http;
    url->has_tls = scheme->has_tls;
    url->port = scheme->port;
    struct url_places places = url_find(text, strlen(text));
    if (places.is_ambiguous)
        return error_invalid(error, "host: a @ stands behind its host and port: in a user name, "
                                    "password or path, write any of / ? # @ : percent-encoded");
    const char *path = text + places.path;
    return (places.host == places.user ||
            parse_user(url, text + places.user, places.host - places.user - 1, error)) &&
           parse_address(url, text + places.host, places.path - places.host, error) &&
           parse_path(url, path, strcspn(path, "?#"), error);
}

static void replace(char **field, const char *value)
{
    if (value == NULL)
        return;
    free(*field);
    *field = text_copy(value);
}

/* As KEDA decides it: the certificate identifies the user where nothing else does. */
static bool is_external(const struct rabbitmq_connection_options *options,
                        const struct rabbitmq_url *url)
{
    return url->has_tls && options->tls.enable && options->tls.cert != NULL &&
           options->username == NULL && url->password == NULL;
}

static void add_mechanism(struct rabbitmq_url *url, enum rabbitmq_mechanism mechanism)
{
    for (size_t i = 0; i < url->mechanisms_count; i++)
        if (url->mechanisms[i] == mechanism)
            return;
    url->mechanisms[url->mechanisms_count++] = mechanism;
}

static bool parse_mechanism(struct rabbitmq_url *url, const char *name, struct error *error)
{
    for (int i = 0; i < RABBITMQ_MECHANISMS; i++)
        if (strcasecmp(rabbitmq_mechanisms[i], name) == 0) {
            add_mechanism(url, (enum rabbitmq_mechanism)i);
            return true;
        }
    return error_invalid(error, "host: its auth_mechanism must be PLAIN, AMQPLAIN or EXTERNAL");
}

/* key=value of a query; as in Go a piece that cannot be decoded is ignored. */
static bool parse_parameter(struct rabbitmq_url *url, const char *piece, size_t length,
                            struct error *error)
{
    const char *end = piece + length;
    const char *sign = memchr(piece, '=', length);
    const char *key_end = sign == NULL ? end : sign;
    const char *start = sign == NULL ? end : sign + 1;
    _cleanup_(memory_free) char *key = decoded(piece, (size_t)(key_end - piece));
    _cleanup_(memory_free) char *value = decoded(start, (size_t)(end - start));
    return !text_equal(key, "auth_mechanism") || value == NULL ||
           parse_mechanism(url, value, error);
}

/* As KEDA's library reads them: each auth_mechanism of the query counts. KEDA drops the query where
 * it replaces a part of the URL. */
static bool choose_mechanisms(const struct rabbitmq_connection_options *options,
                              struct rabbitmq_url *url, struct error *error)
{
    const char *mark = strpbrk(options->host, "?#");
    bool is_rewritten = options->vhost_name != NULL || options->username != NULL;
    if (is_external(options, url)) {
        add_mechanism(url, RABBITMQ_MECHANISM_EXTERNAL);
    } else if (mark != NULL && *mark == '?' && !is_rewritten) {
        _cleanup_(memory_free) char *query = text_copy_bytes(mark + 1, strcspn(mark + 1, "#"));
        const char *rest = query;
        size_t length;
        for (const char *piece; (piece = text_next_piece(&rest, "&", &length)) != NULL;)
            if (!parse_parameter(url, piece, length, error))
                return false;
    }
    if (url->mechanisms_count == 0)
        add_mechanism(url, RABBITMQ_MECHANISM_PLAIN);
    return true;
}

bool rabbitmq_url_parse(const struct rabbitmq_connection_options *options,
                        struct rabbitmq_url *ret_url, struct error *error)
{
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    if (!parse(&url, options->host, error))
        return false;

    replace(&url.user, options->username);
    replace(&url.password, options->password);
    replace(&url.vhost, options->vhost_name);
    if (text_equal(url.vhost, ""))
        replace(&url.vhost, "/");
    if (!url.is_http && !choose_mechanisms(options, &url, error))
        return false;
    if (!url.is_http && url.user == NULL)
        replace(&url.user, "guest");
    /* Without one, Go's client keeps the password of its default user. */
    if (url.user != NULL && url.password == NULL)
        replace(&url.password, "guest");
    *ret_url = url;
    url = (struct rabbitmq_url){0};
    return true;
}

void rabbitmq_url_done(struct rabbitmq_url *url)
{
    free(url->host);
    free(url->user);
    free(url->password);
    free(url->vhost);
    free(url->prefix);
    *url = (struct rabbitmq_url){0};
}
