/*
 * Services: several on one server, each a table of methods. What all their calls have in common is
 * done here, once: finding the method, decoding requests, having one where one is expected.
 *
 * Threads: everything runs under the server's turn lock (transport.h).
 * Owner:   services are borrowed, and outlive the server; so do their tables.
 */
#ifndef BACKLOG_SERVE_SERVICES_SERVICES_H
#define BACKLOG_SERVE_SERVICES_SERVICES_H

#include "base/error.h"
#include "base/text.h"
#include "serve/transport/transport.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_stats;
struct method;
struct rpc_service;

/* A call in progress; a service's own structure of one begins with it. It is zero at first. */
struct rpc {
    struct call *call;
    const struct rpc_service *service;
    const struct method *method;
    struct services *services;
    struct call_stats *stats;              /* of the method */
    int64_t request_us;                    /* when the last request came */
    struct rpc *next_stream, *prev_stream; /* in services->streams, from the first request on */
    bool has_request;
    bool finished; /* or its client is gone: nothing more is sent */
};

struct method {
    const char *path; /* "/package.Service/Method" */
    const ProtobufCMessageDescriptor *request;
    /* A request has come, which is valid during the hook. */
    void (*handle)(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms);
    enum {
        METHOD_UNARY,
        METHOD_STREAM,      /* one request, any answers: ended with OK when the server drains */
        METHOD_BIDI_STREAM, /* any requests, too: call_read() asks for the next */
    } kind;
};

/* Its last part: "Method". */
const char *method_name(const struct method *method);

struct rpc_service {
    const char *name; /* "package.Service" */
    const struct method *methods;
    size_t method_count;
    size_t rpc_bytes; /* of the service's own structure */
    void *context;

    /* Any may be NULL. The call is finished, or the client is gone: exactly once for each rpc, and
     * the last hook that is called for it. */
    void (*end)(struct rpc *rpc);
    /* As in struct call_handler. The drain comes before the streams are ended. */
    void (*writable)(struct rpc *rpc);
    int64_t (*turn)(void *context, int64_t now_ms);
    void (*drain)(void *context);
};

struct services;

struct services *services_new(void);
/* Before the server starts; paths are searched in the order in which they were added. */
void services_add(struct services *services, const struct rpc_service *service);
void services_free(struct services *services); /* NULL is harmless */
/* For server_start(). */
const struct call_handler *services_handler(const struct services *services);

/* Under the turn lock: what is counted of all their calls, in Prometheus' format. */
void services_write_metrics(const struct services *services, struct text *page);

/* Under the turn lock: how many calls have ended. */
uint64_t services_calls(const struct services *services);

/* Does nothing where it is finished already. */
void rpc_finish(struct rpc *rpc, enum status status, const char *text);
void rpc_finish_with(struct rpc *rpc, const struct error *error); /* OK where none is set */

#endif
