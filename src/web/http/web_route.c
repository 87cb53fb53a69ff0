#include "web/http/web_route.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/host_port.h"
#include "web/http/page.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

/* Of a Host that is refused. */
enum { MAX_SHOWN_BYTES = 256 };

static const char *header_of(struct evhttp_request *evhttp_request, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(evhttp_request), name);
}

/* ---- path, parameters, host and site ---- */

/* False: more segments than any page has, or an empty one. */
static bool split_path(const char *path, struct page_request *request)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 0 || request->below_count == PAGE_REQUEST_MAX_SEGMENTS)
            return false;
        _cleanup_(memory_free) char *raw = text_copy_bytes(path, length);
        request->below[request->below_count++] = evhttp_uridecode(raw, 0, NULL);
        path += length;
        path += *path == '/';
    }
    return true;
}

static const struct web_page *find_page(const struct web_settings *settings, const char *path,
                                        struct page_request *request)
{
    const struct web_page *page;
    for (page = settings->pages; page->path != NULL; page++) {
        if (text_equal(page->path, path))
            return page;
        if (text_ends_with(page->path, "/") && text_starts_with(path, page->path))
            return split_path(path + strlen(page->path), request) ? page : NULL;
    }
    return NULL;
}

/* Also reads "a=1&b" and "a=1&&b=2", which evhttp refuses. */
static bool parse_parameters(const char *query, struct evkeyvalq *ret_parameters)
{
    _cleanup_(text_done) struct text all = {0};
    while (query != NULL && *query != '\0') {
        size_t length = strcspn(query, "&");
        if (length > 0) {
            text_add(&all, all.length > 0 ? "&" : "");
            text_add_bytes(&all, query, length);
            text_add(&all, memchr(query, '=', length) == NULL ? "=" : "");
        }
        query += length + (query[length] == '&');
    }
    return all.length == 0 || evhttp_parse_query_str(all.bytes, ret_parameters) == 0;
}

/* "devbox" of "devbox:9091", the address to listen on. */
static bool is_own_name(const struct web_settings *settings, const char *header)
{
    const char *listen = settings->listen;
    size_t length = host_port_host_length(listen);
    return length > 0 && strncasecmp(listen, header, length) == 0 &&
           (header[length] == '\0' || header[length] == ':');
}

/* A Host header, or the host of a request for a whole URL, that is not permitted. NULL: there is
 * none. A request without a Host is no browser's. */
static const char *find_refused_host(const struct web_settings *settings,
                                     struct evhttp_request *evhttp_request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evhttp_request);
    const char *of_uri = uri == NULL ? NULL : evhttp_uri_get_host(uri);
    const struct evkeyval *header;
    if (of_uri != NULL && !web_host_is_permitted(&settings->hosts, of_uri) &&
        !is_own_name(settings, of_uri))
        return of_uri;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(evhttp_request), next)
        if (strcasecmp(header->key, "Host") == 0 &&
            !web_host_is_permitted(&settings->hosts, header->value) &&
            !is_own_name(settings, header->value))
            return header->value;
    return NULL;
}

static bool check_host(const struct web_settings *settings, struct evhttp_request *evhttp_request,
                       struct page_response *response)
{
    const char *refused = find_refused_host(settings, evhttp_request);
    if (refused == NULL)
        return true;
    response->code = 403;
    text_addf(&response->body,
              "host \"%.*s\" is not permitted: use an IP address or localhost, or add the name to "
              "--http-hosts of the server\n",
              (int)text_cut(refused, MAX_SHOWN_BYTES), refused);
    return false;
}

/* A page of another origin cannot read what it requests of us, but would have us compute it:
 *
 *     a link, which somebody follows                    answered
 *     a script, an image, a frame, a form               403
 *
 * "same-site" is another origin, too: another port of localhost, or another name of our domain. Its
 * pages need not be ours, and browsers send cookies of SameSite=Lax with its forms. Browsers send
 * these headers by HTTPS and to localhost. Other clients do not send them. */
static bool check_site(struct evhttp_request *evhttp_request, struct page_response *response)
{
    const char *site = header_of(evhttp_request, "Sec-Fetch-Site");
    const char *destination = header_of(evhttp_request, "Sec-Fetch-Dest");
    bool is_of_other =
        site != NULL && (text_equal(site, "cross-site") || text_equal(site, "same-site"));
    bool is_link = destination != NULL && text_equal(destination, "document") &&
                   evhttp_request_get_command(evhttp_request) != EVHTTP_REQ_POST;
    if (!is_of_other || is_link)
        return true;
    page_response_refuse(response, 403, "requests of pages of other sites are not permitted");
    return false;
}

/* ---- the login ---- */

static void add_header(struct evhttp_request *evhttp_request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(evhttp_request), name, value);
}

static int64_t unix_s(void)
{
    return (int64_t)clock_unix_s(clock_now_ms());
}

static void redirect(struct evhttp_request *evhttp_request, const char *path,
                     struct page_response *response)
{
    response->code = 303;
    add_header(evhttp_request, "Location", path);
}

static void count_wrong_token(struct web_login *login, struct evhttp_request *evhttp_request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(evhttp_request);
    const struct web_address address =
        web_address_of(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)));
    web_login_fail(login, &address, clock_now_ms());
}

/* Until when the request may read the page; 0: not at all. A path without a page (NULL) needs a
 * login, too: without one nobody learns which pages there are. */
static int64_t permitted_until(const struct web_login *login, const struct web_page *page,
                               struct evhttp_request *evhttp_request)
{
    if (login == NULL || (page != NULL && page->is_open))
        return INT64_MAX;
    return web_login_permitted_until(login, header_of(evhttp_request, "Authorization"),
                                     header_of(evhttp_request, "Cookie"), unix_s());
}

/* A browser that goes to a page requests HTML: it is redirected, and keeps the URL's fragment. */
static void demand_login(struct web_login *login, struct evhttp_request *evhttp_request,
                         struct page_response *response)
{
    const char *accept = header_of(evhttp_request, "Accept");
    /* A proxy's own "Basic" is no attempt to log in. */
    if (web_login_has_token(header_of(evhttp_request, "Authorization")))
        count_wrong_token(login, evhttp_request);
    if (accept != NULL && text_starts_with(accept, "text/html")) {
        redirect(evhttp_request, "/login", response);
        return;
    }
    add_header(evhttp_request, "WWW-Authenticate", "Bearer realm=\"Backlog\"");
    page_response_refuse(
        response, 401,
        "a token is needed: \"Authorization: Bearer TOKEN\" with that of the server's "
        "--http-token-file");
}

/* Whether the browser uses HTTPS. Each proxy may add by what it was reached: the browser is before
 * the first. */
static bool is_https(struct evhttp_request *evhttp_request)
{
    static const char https[] = "https";
    const char *schemes = header_of(evhttp_request, "X-Forwarded-Proto");
    return schemes != NULL && strcspn(schemes, ", ") == strlen(https) &&
           strncasecmp(schemes, https, strlen(https)) == 0;
}

/* The token is in a form. */
static void log_in(struct web_login *login, struct evhttp_request *evhttp_request,
                   struct page_response *response)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(evhttp_request);
    size_t length = evbuffer_get_length(body);
    struct evkeyvalq form;
    TAILQ_INIT(&form);
    _cleanup_(memory_free) char *bytes =
        text_copy_bytes((const char *)evbuffer_pullup(body, -1), length);
    const char *token =
        length > 0 && parse_parameters(bytes, &form) ? evhttp_find_header(&form, "token") : NULL;
    _cleanup_(memory_free) char *cookie =
        web_login_cookie(login, token, is_https(evhttp_request), unix_s());
    if (cookie != NULL)
        add_header(evhttp_request, "Set-Cookie", cookie);
    else if (token != NULL)
        count_wrong_token(login, evhttp_request);
    redirect(evhttp_request, cookie != NULL ? "/" : "/login?wrong", response);
    evhttp_clear_headers(&form);
}

/* Ends the session of the request, if it has one. */
static void log_out(const struct web_login *login, struct evhttp_request *evhttp_request,
                    struct page_response *response)
{
    _cleanup_(memory_free) char *cookie = web_login_no_cookie(login);
    if (web_login_permitted_until(login, NULL, header_of(evhttp_request, "Cookie"), unix_s()) != 0)
        add_header(evhttp_request, "Set-Cookie", cookie);
    redirect(evhttp_request, "/login", response);
}

/* ---- by method ---- */

/* /login redirects a request that needs no login: the server has none, or the request has a session
 * or the token, which a proxy may add. */
static const struct web_page *find_for_get(const struct web_settings *settings,
                                           struct evhttp_request *evhttp_request, const char *path,
                                           const char *query, struct page_request *request,
                                           struct page_response *response)
{
    request->target =
        text_format("%s%s%s", path, query == NULL ? "" : "?", query == NULL ? "" : query);
    request->parameters = memory_new(sizeof(*request->parameters));
    TAILQ_INIT(request->parameters);
    /* A zero byte would end a name: "shop%00x" would be "shop". */
    if (strstr(request->target, "%00") != NULL || !parse_parameters(query, request->parameters)) {
        page_response_refuse(response, 400, "invalid path or query string");
        return NULL;
    }
    const struct web_page *page = find_page(settings, path, request);
    request->ends_s = permitted_until(settings->login, page, evhttp_request);
    if (request->ends_s == 0) {
        demand_login(settings->login, evhttp_request, response);
        return NULL;
    }
    if (page == NULL)
        page_response_refuse_path(response);
    else if (text_equal(path, "/login") && permitted_until(settings->login, NULL, evhttp_request)) {
        redirect(evhttp_request, "/", response);
        return NULL;
    }
    return page;
}

static void refuse_method(struct evhttp_request *evhttp_request, struct page_response *response)
{
    add_header(evhttp_request, "Allow", "GET, HEAD");
    page_response_refuse(response, 405, "method not allowed: only GET and HEAD");
}

static void respond_to_post(const struct web_settings *settings,
                            struct evhttp_request *evhttp_request, const char *path,
                            struct page_response *response)
{
    if (settings->login != NULL && text_equal(path, "/login"))
        log_in(settings->login, evhttp_request, response);
    else if (settings->login != NULL && text_equal(path, "/logout"))
        log_out(settings->login, evhttp_request, response);
    else
        refuse_method(evhttp_request, response);
}

const struct web_page *web_route_find(const struct web_settings *settings,
                                      struct evhttp_request *evhttp_request,
                                      struct page_request *request, struct page_response *response)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evhttp_request);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    enum evhttp_cmd_type method = evhttp_request_get_command(evhttp_request);
    bool is_get = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    bool is_post = method == EVHTTP_REQ_POST;
    path = path == NULL ? "" : path;
    if ((is_get || is_post) &&
        (!check_host(settings, evhttp_request, response) || !check_site(evhttp_request, response)))
        return NULL;
    if (is_get)
        return find_for_get(settings, evhttp_request, path,
                            uri == NULL ? NULL : evhttp_uri_get_query(uri), request, response);
    if (is_post)
        respond_to_post(settings, evhttp_request, path, response);
    else
        refuse_method(evhttp_request, response);
    return NULL;
}
