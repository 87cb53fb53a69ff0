/*
 * The keywords of a connection string that are not libpq's: KEDA's pgx takes others, and passes
 * parameters of the session on to the server.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_KEYWORDS_H
#define BACKLOG_SCALERS_POSTGRESQL_KEYWORDS_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>

/*
 * `string` is a URL, or pairs. `ret_known` is it with libpq's keywords only. Parameters of the
 * session are added to `ret_options`, as libpq's keyword `options` takes them, each after a space.
 * The error names a keyword that cannot be used where it is that of another library; any other may
 * be a part of a password, and is not shown.
 */
bool postgresql_keywords_split(const char *string, bool is_url, struct text *ret_known,
                               struct text *ret_options, struct error *error);

#endif
