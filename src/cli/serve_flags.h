/* The flags of `backlog serve`; the reference tells its limits. */
#ifndef BACKLOG_CLI_SERVE_FLAGS_H
#define BACKLOG_CLI_SERVE_FLAGS_H

#include "config/option.h"
#include "serve/transport.h"

extern const struct option serve_flags[];

/* "1000 at once, 100 a second"; the caller frees it. */
char *serve_limit_number(const struct limit *limit);

#endif
