/*
 * The certificates of the gRPC port: their flags, and their files while the server
 * runs. Invalid files change nothing, and the log reports the mistake once.
 *
 * Threads: the main thread.
 */
#ifndef BACKLOG_DAEMON_CERTIFICATES_H
#define BACKLOG_DAEMON_CERTIFICATES_H

#include "base/error.h"
#include "config/option.h"
#include "daemon/reload_stats.h"
#include "serve/transport/client_names.h"
#include "serve/transport/transport.h"

#include <stdbool.h>
#include <stdint.h>

struct certificates_flags {
    struct tls_files files;
    struct option_list client_names;
};

struct certificates;

/* Adds what is wrong with the flags together. */
void certificates_check_flags(const struct certificates_flags *flags, struct text *mistakes);

/* Before the server starts, which reads the files; the flags are borrowed. */
struct certificates *certificates_begin(const struct certificates_flags *flags);
void certificates_end(struct certificates *certificates); /* after the server; NULL is harmless */

/* For the server's options; NULL: plain text. */
const struct tls_files *certificates_files(const struct certificates *certificates);
const struct client_rule *certificates_rule(const struct certificates *certificates);

/* NULL: there are no files. Borrowed. */
const struct reload_stats *certificates_stats(const struct certificates *certificates);

/* Has the server read the files again, where one of them has changed, `is_requested`, or some time
 * after that failed. Files that are being written are not read before they are at rest, or at each
 * tenth check where they never are (file_watch.h). */
void certificates_check(struct certificates *certificates, bool is_requested, struct server *server,
                        int64_t now_ms);

#endif
