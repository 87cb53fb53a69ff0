/*
 * The streams of ExternalScaler: StreamIsActive, and StreamMetricSpec.
 *
 * Threads: all under the server's turn lock.
 */
#ifndef BACKLOG_SERVE_SERVICES_SCALER_STREAM_H
#define BACKLOG_SERVE_SERVICES_SCALER_STREAM_H

#include "serve/services/services.h"

/* The methods' hooks; each rpc is a struct scaler_call. */
void scaler_stream_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms);
void scaler_stream_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms);
void scaler_stream_writable(struct rpc *rpc);

#endif
