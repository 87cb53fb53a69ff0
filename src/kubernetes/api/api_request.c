#include "kubernetes/api/api_request.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/json_text.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    LONGEST_MESSAGE = 300,
    MAX_STATUS_TREE = 1 << 20,
    LONGEST_RETRY_AFTER_S = 300,
    FIRST_WAIT_MS = 1000
};

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
    *request = (struct api_request){0};
    request->curl =
        kubernetes_api_get(api, settings->path, settings->accept == NULL ? "" : settings->accept,
                           settings->timeout_ms, &request->headers, error);
    if (request->curl == NULL)
        return false;
    api_request_add(request, multi, settings->max_bytes);
    return true;
}

struct api_request *api_request_take_ended(CURLM *multi)
{
    const CURLMsg *message;
    int left;
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
        return request;
    }
    return NULL;
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
