/* The flags of `backlog serve`; the reference tells its limits. */
#ifndef BACKLOG_CLI_SERVE_FLAGS_H
#define BACKLOG_CLI_SERVE_FLAGS_H

#include "config/option.h"

extern const struct option serve_flags[];

#endif
