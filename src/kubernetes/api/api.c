#include "kubernetes/api/api.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/system/file.h"
#include "base/system/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <time.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

enum {
    LARGEST_TOKEN = 64 << 10,
    CONNECT_TIMEOUT_MS = 5000,
    KEEPALIVE_S = 20,
    UNACKNOWLEDGED_MS = 10 * 1000,
    LONGEST_MESSAGE = 300,
    MAX_STATUS_TREE = 1 << 20,
    LONGEST_RETRY_AFTER_S = 300,
    FIRST_WAIT_MS = 1000,
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

/* ---- how it is sent ---- */

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

/* ---- its reply ---- */

static size_t receive(char *bytes, size_t size, size_t count, void *argument)
{
    struct api_request *request = argument;
    struct api_request_budget *budget = request->budget;
    size_t length = size * count;
    request->is_too_large = request->body.length + length > request->max_bytes;
    request->is_over_budget = budget != NULL && budget->bytes + length > budget->max;
    if (request->is_too_large || request->is_over_budget)
        return CURL_WRITEFUNC_ERROR;
    text_add_bytes(&request->body, bytes, length);
    if (budget != NULL)
        budget->bytes += length;
    return length;
}

void api_request_add(struct api_request *request, CURLM *multi, size_t max_bytes)
{
    request->max_bytes = max_bytes;
    curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(request->curl, CURLOPT_HEADERFUNCTION, http_head_take);
    curl_easy_setopt(request->curl, CURLOPT_HEADERDATA, &request->head);
    curl_easy_setopt(request->curl, CURLOPT_PRIVATE, request);
    curl_multi_add_handle(multi, request->curl);
}

bool api_request_begin(struct api_request *request, CURLM *multi, const struct kubernetes_api *api,
                       const struct api_request_settings *settings, struct error *error)
{
    const char *accept = settings->accept == NULL ? "" : settings->accept;
    _cleanup_(memory_free) char *accepted = text_format("Accept: application/json%s", accept);
    _cleanup_(memory_free) char *url = text_format("%s%s", api->server, settings->path);
    *request = (struct api_request){.headers = curl_slist_append(NULL, accepted)};
    if (!add_token(api, &request->headers, error)) {
        api_request_end(request, multi);
        return false;
    }
    request->curl = curl_easy_init();
    set_options(request->curl, api, url, settings->timeout_ms);
    curl_easy_setopt(request->curl, CURLOPT_HTTPHEADER, request->headers);
    api_request_add(request, multi, settings->max_bytes);
    return true;
}

void api_requests_perform(CURLM *multi)
{
    const CURLMsg *message;
    int left;
    curl_multi_perform(multi, &left);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct api_request *request = NULL;
        curl_off_t seconds = 0;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        request->code = code;
        request->is_over = true;
        if (code == CURLE_OK) {
            curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &request->status);
            curl_easy_getinfo(request->curl, CURLINFO_RETRY_AFTER, &seconds);
        }
        if (seconds > LONGEST_RETRY_AFTER_S)
            seconds = LONGEST_RETRY_AFTER_S;
        request->retry_after_ms = seconds > 0 ? seconds * 1000 : 0;
        if (request->ended != NULL)
            request->ended(request);
    }
}

char *api_request_status_message(const char *text, size_t length)
{
    if (text == NULL)
        return NULL;
    _cleanup_(json_done) json_t *status =
        json_text_tree((struct json_text){text, length}, 0, MAX_STATUS_TREE);
    const char *message = json_member_string(status, "message");
    return message == NULL ? NULL : text_copy_bytes(message, text_cut(message, LONGEST_MESSAGE));
}

void api_request_explain(const struct api_request *request, const struct kubernetes_api *api,
                         struct error *error)
{
    _cleanup_(memory_free) char *message =
        api_request_status_message(request->body.bytes, request->body.length);
    if (request->is_too_large)
        error_unavailable(error, "the reply of the Kubernetes API is larger than %zu bytes",
                          request->max_bytes);
    else if (request->is_over_budget)
        error_unavailable(error, "other replies of the Kubernetes API use the memory for it");
    else if (request->status == 0)
        error_unavailable(error, "the Kubernetes API at %s: %s", api->server,
                          curl_easy_strerror(request->code));
    else
        error_unavailable(error, "the Kubernetes API: %ld%s%s", request->status,
                          message == NULL ? "" : " ", message == NULL ? "" : message);
}

bool api_request_is_refused_by_all(const struct api_request *request)
{
    return !request->is_too_large && !request->is_over_budget &&
           (request->status == 0 || request->status == 401 || request->status == 429 ||
            request->status >= 500);
}

int64_t api_backoff_fail(struct api_backoff *backoff, int64_t longest_ms, int64_t retry_after_ms,
                         int64_t now_ms)
{
    backoff->wait_ms = backoff->wait_ms == 0 ? FIRST_WAIT_MS : backoff->wait_ms * 2;
    backoff->wait_ms = MIN(backoff->wait_ms, longest_ms);
    int64_t jitter_ms = clock_jitter((uint32_t)backoff->wait_ms / 4);
    return now_ms + MAX(backoff->wait_ms + jitter_ms, retry_after_ms);
}

void api_request_end(struct api_request *request, CURLM *multi)
{
    if (request->curl != NULL) {
        curl_multi_remove_handle(multi, request->curl);
        curl_easy_cleanup(request->curl);
    }
    curl_slist_free_all(request->headers);
    if (request->budget != NULL)
        request->budget->bytes -= request->body.length;
    text_done(&request->body);
    *request = (struct api_request){0};
}
