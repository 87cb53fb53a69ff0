/*
 * The keys of a connection, for servers without --kubernetes: what a trigger's metadata and its
 * TriggerAuthentication say about where its source is, as values of the chart.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_CONNECTION_KEYS_H
#define BACKLOG_MANIFEST_MIGRATION_CONNECTION_KEYS_H

#include "manifest/manifest.h"
#include "measure/scaler.h"

/* Adds the YAML of a connection of this name for all triggers of KEDA's own types that have an
 * authentication. Fails where there is none, where they need different connections, and where one
 * cannot be had. */
bool connection_keys_write(const struct scaler *const *scalers, const struct manifests *manifests,
                           const char *name, struct text *ret_text, struct error *error);

#endif
