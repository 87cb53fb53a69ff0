/*
 * The ExternalScaler service: KEDA's five calls, over any transport.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_SERVICES_EXTERNAL_SCALER_H
#define BACKLOG_SERVE_SERVICES_EXTERNAL_SCALER_H

#include "measure/engine.h"
#include "scale/table/triggers.h"
#include "serve/services/loop_call.h"
#include "serve/services/services.h"

struct external_scaler;

struct external_scaler_settings {
    struct triggers *triggers; /* borrowed, as the engine */
    struct engine *engine;
    struct loop_calls *loop_calls; /* run in each turn; NULL: there are none */
    int64_t call_timeout_ms;       /* our own: KEDA's poll loop sets none */
    int64_t heartbeat_ms;          /* `true` again on a stream that stays active */
    size_t max_streams;            /* of StreamIsActive, and as many of StreamMetricSpec */
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings);
void external_scaler_free(struct external_scaler *scaler); /* NULL is none */

/* Under the turn lock: its counters, in Prometheus' format. */
void external_scaler_write_metrics(const struct external_scaler *scaler, struct text *page);

const struct rpc_service *external_scaler_service(const struct external_scaler *scaler);

#endif
