/*
 * The Kubernetes API of the cluster that this process runs in: where it is, and a request of it:
 * begun, received into memory up to a limit, explained where it failed, and when it is sent again
 * then. Objects, watches and workers all make theirs with it. The token is read for each request,
 * since the kubelet replaces it.
 *
 * Threads: an API any, as it does not change after it was made; a request that of the CURLM it is
 * added to.
 */
#ifndef BACKLOG_KUBERNETES_API_API_H
#define BACKLOG_KUBERNETES_API_API_H

#include "base/error.h"
#include "base/http_head.h"
#include "base/text.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct kubernetes_api {
    char *server; /* https://10.96.0.1:443 */
    char *token_file;
    char *ca_file;
};

/* As each pod has it: KUBERNETES_SERVICE_HOST and _PORT, and the files of the service account.
 * `flag` is what needs it, for the error outside of a pod. */
bool kubernetes_api_find(const char *flag, struct kubernetes_api *ret_api, struct error *error);
void kubernetes_api_done(struct kubernetes_api *api);

/* Waits for a thread that is to end, for a second at most. False: it has not, as of DNS, or of
 * HTTP/2 frames that are no news, which libcurl reads as long as a server sends some, past any time
 * limit and without asking us. What it uses is left to it, until the process ends. */
bool kubernetes_api_join(pthread_t thread);

/* ---- requests ---- */

/* What all replies that arrive at a time may take. */
struct api_request_budget {
    size_t bytes, max;
};

struct api_request {
    CURL *curl; /* NULL: there is none */
    struct curl_slist *headers;
    struct http_head head;
    struct text body;
    size_t max_bytes;
    struct api_request_budget *budget; /* NULL: none; set once it is begun, and borrowed */
    bool is_too_large;                 /* it was ended: the reply is larger; */
    bool is_over_budget;               /* ... those of others have the memory for it */
    /* It is over; may end this one and others. NULL: whoever waits for it sees that; set once it is
     * begun. */
    void (*ended)(struct api_request *request);
    bool is_over;
    /* Once it is over: */
    CURLcode code;
    long status;            /* 0: no whole reply came */
    int64_t retry_after_ms; /* so long the server wants to be left alone; 0: it does not say */
};

/* A GET. */
struct api_request_settings {
    const char *path;
    const char *accept; /* behind "application/json" in its header; NULL: nothing */
    long timeout_ms;
    size_t max_bytes; /* of the reply */
};

/* False with the error, and nothing was begun. */
bool api_request_begin(struct api_request *request, CURLM *multi, const struct kubernetes_api *api,
                       const struct api_request_settings *settings, struct error *error);

/* The same of a handle that the caller has made: `request->curl`, of whatever server. */
void api_request_add(struct api_request *request, CURLM *multi, size_t max_bytes);

/* Performs all requests of the multi, and calls `ended` of those that are over by now. */
void api_requests_perform(CURLM *multi);

/* Why it has no 200, without a value of it. */
void api_request_explain(const struct api_request *request, const struct kubernetes_api *api,
                         struct error *error);

/* Of all others, too: does the API as a whole not answer, or not us? */
bool api_request_is_refused_by_all(const struct api_request *request);

/* Ends it, whether it is over or not. What is zero is harmless. */
void api_request_end(struct api_request *request, CURLM *multi);

/* The only back-off: of objects, of watches, and of the API as a whole. Start from {0}, which is
 * also what a success makes of it. */
struct api_backoff {
    int64_t wait_ms; /* after the last failure; 0: there was none */
};

/* It failed once more. Returns when it is sent again: 1, 2, 4 ... `longest_ms` later, or up to a
 * quarter more, and not before the server wants it. */
int64_t api_backoff_fail(struct api_backoff *backoff, int64_t longest_ms, int64_t retry_after_ms,
                         int64_t now_ms);

/* For tests, too. The message of a refusal (a Status), which names no secret; NULL: it has none.
 * The caller frees it. */
char *api_request_status_message(const char *text, size_t length);

#endif
