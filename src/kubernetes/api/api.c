#include "kubernetes/api/api.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/file.h"
#include "base/system/socket.h"
#include "base/text.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

enum {
    LARGEST_TOKEN = 64 << 10,
    CONNECT_TIMEOUT_MS = 5000,
    KEEPALIVE_S = 20,
    UNACKNOWLEDGED_MS = 10 * 1000,
    JOIN_MS = 1000,
};

bool kubernetes_api_find(const char *flag, struct kubernetes_api *ret_api, struct error *error)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    if (host == NULL || host[0] == '\0' || port == NULL || port[0] == '\0')
        return error_invalid(error,
                             "%s works in a pod only: KUBERNETES_SERVICE_HOST and "
                             "KUBERNETES_SERVICE_PORT are missing",
                             flag);
    bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    *ret_api = (struct kubernetes_api){
        .server =
            text_format("https://%s%s%s:%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port),
        .token_file = text_copy(SERVICE_ACCOUNT "token"),
        .ca_file = text_copy(SERVICE_ACCOUNT "ca.crt"),
    };
    return true;
}

void kubernetes_api_done(struct kubernetes_api *api)
{
    free(api->server);
    free(api->token_file);
    free(api->ca_file);
}

bool kubernetes_api_join(pthread_t thread)
{
    const struct timespec end = clock_monotonic_after(JOIN_MS);
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end) == 0;
}

/* ---- requests ---- */

/* libcurl goes on using an HTTP/2 connection whose requests time out. That to an API server that is
 * gone without a word is only replaced once the kernel gives it up: by default in 15 minutes. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    (void)context;
    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    socket_bound_buffers(fd, SOCKET_SOURCE_BYTES);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(unsigned){UNACKNOWLEDGED_MS}, sizeof(unsigned));
    return fd;
}

static bool add_token(const struct kubernetes_api *api, struct curl_slist **headers,
                      struct error *error)
{
    _cleanup_(text_done) struct text content = {0};
    if (!file_read(api->token_file, LARGEST_TOKEN, &content, error))
        return error_prefix(error, "the token of the service account");
    _cleanup_(memory_free) char *token = text_trimmed(content.bytes == NULL ? "" : content.bytes);
    _cleanup_(memory_free) char *header = text_format("Authorization: Bearer %s", token);
    if (token[0] == '\0' || strpbrk(token, "\r\n") != NULL)
        return error_unavailable(error, "the token of the service account, %s, is empty",
                                 api->token_file);
    *headers = curl_slist_append(*headers, header);
    return true;
}

/* No proxy, no redirect, no other protocol: the token is for this server. */
static void set_options(CURL *curl, const struct kubernetes_api *api, const char *url,
                        long timeout_ms)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, api->ca_file);
    curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* it is replaced, too */
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(curl, CURLOPT_PIPEWAIT, 1L); /* all requests on one connection */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
}

CURL *kubernetes_api_get(const struct kubernetes_api *api, const char *path, const char *accept,
                         long timeout_ms, struct curl_slist **ret_headers, struct error *error)
{
    _cleanup_(memory_free) char *accepted = text_format("Accept: application/json%s", accept);
    struct curl_slist *headers = curl_slist_append(NULL, accepted);
    if (!add_token(api, &headers, error)) {
        curl_slist_free_all(headers);
        return NULL;
    }
    _cleanup_(memory_free) char *url = text_format("%s%s", api->server, path);
    CURL *curl = curl_easy_init();
    set_options(curl, api, url, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    *ret_headers = headers;
    return curl;
}
