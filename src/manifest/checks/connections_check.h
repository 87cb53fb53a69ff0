/*
 * Connections files, as the server reads them and as values of the chart, checked with the line of
 * each mistake. The files that a connection names (KEYFile) are not read: their values are not
 * known, and everything else is checked.
 *
 * Threads: any.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_CONNECTIONS_CHECK_H
#define BACKLOG_MANIFEST_CHECKS_CONNECTIONS_CHECK_H

#include "config/connections.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"

/* The connections of all files; NULL where there is no file of connections. The caller frees them.
 */
struct connections *connections_check(const struct scaler *const *scalers,
                                      const struct manifests *manifests, struct findings *findings);

/* Are all of its values known? */
bool connection_is_known(const struct named_connection *connection);

#endif
