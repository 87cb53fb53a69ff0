/*
 * A fleet: which ScaledObjects and ScaledJobs of a cluster can move to Backlog, the command for
 * each, in which order, and which metrics stop it.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_COMMANDS_FLEET_H
#define BACKLOG_COMMANDS_FLEET_H

#include "manifest/manifest.h"
#include "measure/scaler.h"

struct fleet_settings {
    const struct scaler *const *scalers;
    const char *context; /* of kubectl, in the commands; NULL: none */
    const char *scaler_address;
    const char *authentication;      /* NULL: none */
    const char *authentication_kind; /* in the commands; NULL: the flag's default */
    const char *type; /* in the commands for ScaledObjects; NULL: the flag's default */
    bool is_json;
};

/* To standard output: text, or one JSON object per line. Prints the findings, too, with those of
 * the objects that can move. The manifests know KEDA's namespace. */
void fleet_print(const struct fleet_settings *settings, const struct manifests *manifests,
                 struct findings *findings);

#endif
