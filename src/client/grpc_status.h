/*
 * gRPC's status codes and texts, as they are sent.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_CLIENT_GRPC_STATUS_H
#define BACKLOG_CLIENT_GRPC_STATUS_H

#include <stddef.h>

enum {
    GRPC_CLIENT_CANCELLED = 1,
    GRPC_CLIENT_UNKNOWN = 2,
    GRPC_CLIENT_DEADLINE_EXCEEDED = 4,
    GRPC_CLIENT_RESOURCE_EXHAUSTED = 8,
    GRPC_CLIENT_INTERNAL = 13,
    GRPC_CLIENT_UNAVAILABLE = 14,
};

/* What the HTTP status stands for, where the answer is not gRPC's: "HTTP to gRPC Status Code
 * Mapping". */
int grpc_status_of_http(const char *http_status);

/* grpc-message is percent-encoded; what is no UTF-8 becomes question marks. The caller frees it. */
char *grpc_status_decode_text(const char *value, size_t length);

#endif
