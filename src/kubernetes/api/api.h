/*
 * The Kubernetes API of the cluster that this process runs in: where it is, and how a request is
 * made. The token is read for each request, since the kubelet replaces it.
 *
 * Threads: any; it does not change after it was made.
 */
#ifndef BACKLOG_KUBERNETES_API_API_H
#define BACKLOG_KUBERNETES_API_API_H

#include "base/error.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>

struct kubernetes_api {
    char *server; /* https://10.96.0.1:443 */
    char *token_file;
    char *ca_file;
};

/* As each pod has it: KUBERNETES_SERVICE_HOST and _PORT, and the files of the service account.
 * `flag` is what needs it, for the error outside of a pod. */
bool kubernetes_api_find(const char *flag, struct kubernetes_api *ret_api, struct error *error);
void kubernetes_api_done(struct kubernetes_api *api);

/* A GET of the path; `accept` stands behind "application/json" in its header. The caller frees the
 * handle and the headers, in this order. NULL with the error set. */
CURL *kubernetes_api_get(const struct kubernetes_api *api, const char *path, const char *accept,
                         long timeout_ms, struct curl_slist **ret_headers, struct error *error);

/* Waits for a thread that is to end, for a second at most. False: it has not, as of DNS, or of
 * HTTP/2 frames that are no news, which libcurl reads as long as a server sends some, past any time
 * limit and without asking us. What it uses is left to it, until the process ends. */
bool kubernetes_api_join(pthread_t thread);

#endif
