/*
 * The ExternalScaler service: KEDA's five calls, over any transport.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_EXTERNAL_SCALER_H
#define BACKLOG_SERVE_EXTERNAL_SCALER_H

#include "measure/engine.h"
#include "scale/trigger.h"
#include "serve/transport.h"

struct external_scaler;

struct external_scaler_settings {
    struct triggers *triggers; /* borrowed, as the engine */
    struct engine *engine;
    int64_t call_deadline_ms; /* our own: KEDA's poll loop sets none */
    int64_t heartbeat_ms;     /* `true` again on a stream that stays active */
    size_t most_streams;
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings);
void external_scaler_free(struct external_scaler *scaler);

/* The hooks for server_start(). */
const struct service *external_scaler_service(const struct external_scaler *scaler);

#endif
