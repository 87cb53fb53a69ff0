/*
 * Certificate and key of the TLS keys in a file, for client libraries that show only the first
 * certificate of a text, and not its chain.
 *
 * Threads: any; may wait for others' keys (tls_key.h).
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_FILE_H
#define BACKLOG_SCALERS_SHARED_TLS_FILE_H

#include "base/error.h"
#include "shared/tls_options.h"

/* A file in memory (base/system/memory_file.h), as PEM: `key`, which needs no password any more,
 * and `cert`, which must be there. The caller closes it. -1 with an error. */
int tls_file_open(const struct tls_options *options, struct error *error);

#endif
