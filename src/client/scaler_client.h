/*
 * KEDA's side of the ExternalScaler protocol, for the command line: many triggers are read at once
 * over one connection, each in KEDA's order: GetMetricSpec, GetMetrics, IsActive.
 *
 * Threads: one at a time, that of the client.
 */
#ifndef BACKLOG_CLIENT_SCALER_CLIENT_H
#define BACKLOG_CLIENT_SCALER_CLIENT_H

#include "client/grpc_client.h"
#include "config/option.h"

#include <stdbool.h>
#include <stddef.h>

/* A ScaledObjectRef; everything is borrowed. */
struct scaler_client_ref {
    const char *name;
    const char *namespace;
    const struct option_entry *entries; /* scalerMetadata */
    size_t count;
};

/* What KEDA makes of the calls for one trigger. */
struct scaler_client_answer {
    bool has_target; /* GetMetricSpec returned one */
    char *metric_name;
    double target;
    bool is_failed; /* the error says why; also where there is no target */
    double value;   /* of all values the sum */
    bool is_active;
    struct error error;
};

void scaler_client_answer_done(struct scaler_client_answer *answer);

/* Blocks until all are read, or the deadline. A lost connection fails what is not read yet. */
void scaler_client_read(struct grpc_client *client, const struct scaler_client_ref *refs,
                        size_t count, int64_t deadline_ms,
                        struct scaler_client_answer *ret_answers);

/* Only GetMetricSpec, for which the server measures nothing: no value, not active. */
void scaler_client_read_specs(struct grpc_client *client, const struct scaler_client_ref *refs,
                              size_t count, int64_t deadline_ms,
                              struct scaler_client_answer *ret_answers);

/* StreamIsActive. The caller frees the call. */
struct grpc_client_call *scaler_client_stream(struct grpc_client *client,
                                              const struct scaler_client_ref *ref);

/* The stream's next message. False: none is there now. */
bool scaler_client_take(struct grpc_client_call *stream, bool *ret_active);

#endif
