/*
 * The metadata of one trigger, checked as the server would, with the line of each mistake.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_TRIGGER_CHECK_H
#define BACKLOG_MANIFEST_CHECKS_TRIGGER_CHECK_H

#include "config/connections.h"
#include "manifest/entries.h"
#include "manifest/finding.h"
#include "measure/scaler.h"

struct trigger_check {
    const struct scaler *const *scalers;
    struct connections *connections; /* NULL: it is not known which there are */
    const char *name;
    const char *namespace;      /* NULL: not known, so that no connection is refused for it */
    struct finding_place place; /* of the whole trigger */
    const char *prefix;         /* of each text: "trigger 0: " */
    enum finding_level level;   /* of a mistake */
    bool has_authentication;    /* whose parameters a server with --kubernetes uses as keys of the
                                   connection */
};

/* Adds every mistake. Returns whether there was none. */
bool trigger_check(const struct trigger_check *check, const struct entries *entries,
                   struct findings *findings);

#endif
