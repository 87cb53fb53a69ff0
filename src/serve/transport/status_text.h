/*
 * The text beside a status, as a header can carry it: grpc-message, percent-encoded.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_STATUS_TEXT_H
#define BACKLOG_SERVE_TRANSPORT_STATUS_TEXT_H

#include <stddef.h>

/* Of an encoded text. Clients on the C core take 8 KiB of trailing metadata in all. */
enum { STATUS_TEXT_BYTES = 4096 };

/* How much of the text fits when it is encoded; no UTF-8 character is split. */
size_t status_text_cut(const char *text);

/* As much of the text as fits, encoded and NUL-terminated. Returns its length. */
size_t status_text_encode(const char *text, char buffer[static STATUS_TEXT_BYTES + 1]);

#endif
