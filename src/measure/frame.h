/*
 * Frames: protobuf messages over a stream socket, each behind its length (4 bytes, this machine's
 * order: both ends are the same program on the same machine).
 */
#ifndef BACKLOG_MEASURE_FRAME_H
#define BACKLOG_MEASURE_FRAME_H

#include "base/error.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* Deadlines are of clock_now_ms(); CLOCK_NEVER waits for ever. */
bool frame_write(int socket, const ProtobufCMessage *message, int64_t deadline_ms,
                 struct error *error);

/* The caller frees the message with protobuf_c_message_free_unpacked(). */
bool frame_read(int socket, const ProtobufCMessageDescriptor *type, int64_t deadline_ms,
                ProtobufCMessage **ret_message, struct error *error);

#endif
