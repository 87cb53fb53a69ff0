/*
 * The outlook: where KEDA and the HPA would go from some number of replicas if the answers stayed
 * as they are, by the model (model/model.h), in no time.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MEASUREMENT_OUTLOOK_H
#define BACKLOG_MANIFEST_MEASUREMENT_OUTLOOK_H

#include "model/model.h"

enum { OUTLOOK_MAX_STEPS = 32 };

struct outlook_step {
    int64_t at_ms; /* from now on */
    int64_t before, replicas;
    char *why;
};

struct outlook {
    int64_t replicas; /* in the end */
    struct outlook_step steps[OUTLOOK_MAX_STEPS];
    size_t count;
    char *why; /* of the last decisions: also where nothing changes */
};

/* `replicas` are those that there are now. The caller ends it with outlook_done(). */
void outlook_make(const struct model_settings *settings, const struct model_answer *answers,
                  int64_t replicas, struct outlook *ret_outlook);

/* Of a ScaledJob: the jobs that there would be, at most `max`. -1 where no trigger has a value. */
int64_t outlook_jobs(const struct model_answer *answers, size_t count, int64_t max);

void outlook_done(struct outlook *outlook);

#endif
