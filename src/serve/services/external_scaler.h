/*
 * The ExternalScaler service: KEDA's five calls, over any transport.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_SERVICES_EXTERNAL_SCALER_H
#define BACKLOG_SERVE_SERVICES_EXTERNAL_SCALER_H

#include "config/connections.h"
#include "measure/engine.h"
#include "scale/triggers.h"
#include "serve/services/loop_call.h"
#include "serve/services/services.h"

struct external_scaler;

struct external_scaler_settings {
    struct triggers *triggers; /* borrowed, as the engine */
    struct engine *engine;
    struct loop_calls *loop_calls; /* run in each turn; NULL: there are none */
    int64_t call_deadline_ms;      /* our own: KEDA's poll loop sets none */
    int64_t heartbeat_ms;          /* `true` again on a stream that stays active */
    size_t max_streams;
};

struct external_scaler *external_scaler_new(const struct external_scaler_settings *settings);
void external_scaler_free(struct external_scaler *scaler);

/* Under the turn lock, as an call: the connections file has changed. Calls that wait and open
 * streams go on with what their triggers call now, within some turns. Takes the connections. */
void external_scaler_set_connections(struct external_scaler *scaler,
                                     struct connections *connections);

/* The same of one namespace's Secret (triggers_set_secret()). */
void external_scaler_set_secret(struct external_scaler *scaler, const char *namespace,
                                struct connections *connections, const struct error *failure);

/* The same of one trigger (triggers_set_credentials()). */
bool external_scaler_set_credentials(struct external_scaler *scaler, const char *identity,
                                     size_t length, struct credentials *credentials);

/* Under the turn lock: its counters, in Prometheus' format. */
void external_scaler_write_metrics(const struct external_scaler *scaler, struct text *page);

const struct rpc_service *external_scaler_service(const struct external_scaler *scaler);

#endif
