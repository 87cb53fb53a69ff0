/*
 * Base64 (RFC 4648), as Kubernetes has it in Secrets.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_BASE_BASE64_H
#define BACKLOG_BASE_BASE64_H

#include <stddef.h>

/* With a NUL behind it; the caller frees it. NULL: it is no base64. White space within is passed
 * over. */
char *base64_decode(const char *text, size_t *ret_length);

#endif
