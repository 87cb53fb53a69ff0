/*
 * --workers and --kubernetes-hpa, for people. The workers of the ScaledObjects and ScaledJobs that
 * KEDA calls for, in the listed namespaces, as pages of the HTTP port. They are read from the
 * Kubernetes API only while somebody asks for them, or for how many there are: the dashboard's
 * figures have that.
 *
 *     /api/workers?namespace=shop&name=orders   the pods of each object, or of this one
 *     /api/workers/shop/POD/log                 the end of a pod's log, as text; 202: not read yet
 *     /api/replicas/shop/orders                 how many replicas the HPA of an object counts
 *
 * Nothing of it is in an answer to KEDA: what those need of an HPA, the triggers' credentials have.
 *
 * Threads: the main thread begins and ends it; the pages are written on the HTTP server's.
 */
#ifndef BACKLOG_DAEMON_WORKER_PAGES_H
#define BACKLOG_DAEMON_WORKER_PAGES_H

#include "base/error.h"
#include "config/option.h"
#include "web/content/trigger_walk.h"
#include "web/web.h"

#include <jansson.h>
#include <stdbool.h>

struct worker_pages;

/* Fails outside of a pod. The namespaces, of workers, are borrowed; without one, and where HPAs are
 * not read, `*ret_workers` stays NULL. */
bool worker_pages_new(const struct option_list *namespaces, bool reads_hpas,
                      struct worker_pages **ret_workers, struct error *error);

/* NULL: false, as where there is no namespace. */
bool worker_pages_have_pods(const struct worker_pages *workers);
bool worker_pages_have_hpas(const struct worker_pages *workers);

/* Before the pages are asked for; borrowed. */
void worker_pages_set_walk(struct worker_pages *workers, struct trigger_walk *walk);

/* NULL is harmless. False: a thread of it hangs, and the process must end without it. */
bool worker_pages_free(struct worker_pages *workers);

/* Makes an object that says how many pods there are; the caller owns it. Their objects are
 * searched for at most every 3 s while there are some, and are those of before where a search did
 * not finish. NULL: none has yet. Only for worker_pages_have_pods(), on the HTTP server's
 * thread. */
json_t *worker_pages_count(struct worker_pages *workers);

/* For web_page; `context` is the workers, or NULL: they are not listed, which is 404. */
void worker_pages_list(void *context, const struct page_request *request,
                       struct page_response *response);
void worker_pages_replicas(void *context, const struct page_request *request,
                           struct page_response *response);
void worker_pages_log(void *context, const struct page_request *request,
                      struct page_response *response);

#endif
