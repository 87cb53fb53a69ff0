/*
 * Replies of the ExternalScaler service, encoded. KEDA takes a float where it is above 0 and the
 * integer beside it otherwise, so both are always filled.
 *
 * Threads: as for call_send(). Where a function returns bool, false means that one is in flight.
 */
#ifndef BACKLOG_SERVE_SERVICES_REPLY_H
#define BACKLOG_SERVE_SERVICES_REPLY_H

#include "base/error.h"
#include "serve/transport/transport.h"

#include <stdbool.h>

void reply_specs(struct call *call, const char *metric_name, double target);
void reply_metrics(struct call *call, const char *metric_name, double value);
bool reply_active(struct call *call, bool active);

/* The gRPC status of our error code. */
enum status reply_status(enum error_code code);

#endif
