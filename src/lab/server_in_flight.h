/*
 * How much is in flight, as the server's HTTP port reports it: KEDA's protocol does not carry it.
 *
 * Threads: one at a time. A thread of its own reads the port, so that the caller never waits for
 * it.
 */
#ifndef BACKLOG_LAB_SERVER_IN_FLIGHT_H
#define BACKLOG_LAB_SERVER_IN_FLIGHT_H

#include "base/error.h"
#include "client/http_client.h"
#include "model/scaled_object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_in_flight;

/* False: the machine has no thread left. */
bool server_in_flight_begin(const struct http_server *server, int64_t timeout_ms,
                            const struct scaled_objects *objects,
                            struct server_in_flight **ret_in_flight, struct error *error);
void server_in_flight_end(struct server_in_flight *in_flight); /* NULL is none */

/* Starts to read all objects, unless that goes on. The first failure of an outage is logged. */
void server_in_flight_read(struct server_in_flight *in_flight);

/* What was read of a trigger; NAN where the port did not report it, or not within the last seconds.
 */
double server_in_flight_of(struct server_in_flight *in_flight, size_t object,
                           const char *metric_name, int64_t now_ms);

#endif
