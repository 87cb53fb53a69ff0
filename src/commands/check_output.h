/*
 * What `backlog check --measure` and `backlog ask` print of each trigger, and of the replicas that
 * follow.
 *
 * Threads: one at a time per file.
 */
#ifndef BACKLOG_COMMANDS_CHECK_OUTPUT_H
#define BACKLOG_COMMANDS_CHECK_OUTPUT_H

#include "manifest/measurement/measurement.h"

#include <stdbool.h>

struct check_output {
    int64_t replicas; /* that there are now; -1: minReplicaCount */
    bool is_json;
    bool by_call;    /* name the calls of KEDA */
    bool specs_only; /* there are targets and no values */
};

/* Returns how many triggers failed. */
size_t check_output_print(const struct check_output *output, const struct measurement *measurement);

#endif
