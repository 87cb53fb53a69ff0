/*
 * The names of gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
 *
 * Threads: any.
 */
#ifndef BACKLOG_BASE_RPC_STATUS_H
#define BACKLOG_BASE_RPC_STATUS_H

enum { RPC_STATUSES = 17 };

/* "UNAVAILABLE"; "an unknown status" where gRPC knows no such code. */
const char *rpc_status_name(int status);

#endif
