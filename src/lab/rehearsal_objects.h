/*
 * What a rehearsal plays: ScaledObjects, and of each trigger what KEDA would send to the server.
 *
 * Threads: one.
 */
#ifndef BACKLOG_LAB_REHEARSAL_OBJECTS_H
#define BACKLOG_LAB_REHEARSAL_OBJECTS_H

#include "base/error.h"
#include "config/option_table.h"
#include "model/scaled_object.h"

/* Each of `paths` is a file, a folder or "-". At least one ScaledObject, or an error; so is a
 * trigger that cannot be sent as KEDA would. Triggers of KEDA's own types are as after a migration,
 * and KEYFromEnv is taken from those `variables` of this process's environment (NULL: none). The
 * server's time is real: where the HPA goes faster, holdWindow is as much shorter. The caller ends
 * them with scaled_objects_done(). */
bool rehearsal_objects_load(const struct option_list *paths, const struct option_list *variables,
                            double speed, struct scaled_objects *ret_objects, struct error *error);

#endif
