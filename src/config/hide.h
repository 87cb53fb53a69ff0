/*
 * Secrets in what a source, or something before it, said: a proxy that shows the headers of a
 * request in its error page shows the credentials, too.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_CONFIG_HIDE_H
#define BACKLOG_CONFIG_HIDE_H

#include "config/option.h"

/* Puts "(hidden)" in the place of each secret of these values in the error: the texts of secret
 * rows, passwords in URLs, users that have none, and what HTTP's basic authentication and the
 * encoding of URLs make of them. One of less than four bytes stays, and so does one that is the
 * text of a row that may be shown. Of a very long text the end is left out. */
void hide_secrets(const struct option_values *values, struct error *error);

#endif
