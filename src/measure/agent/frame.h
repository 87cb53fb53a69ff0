/*
 * Frames: protobuf messages over a stream socket. A frame is the length of its message (4 bytes, in
 * this machine's byte order, as both ends are on the same machine), and the message.
 *
 * Threads: one at a time per socket and direction.
 */
#ifndef BACKLOG_MEASURE_AGENT_FRAME_H
#define BACKLOG_MEASURE_AGENT_FRAME_H

#include "base/error.h"
#include "base/text.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* Above the memory limit of all triggers' metadata: all queries of a connection fit. */
enum { FRAME_MAX_BYTES = 128 << 20 };

/* Deadlines are of clock_now_ms(); CLOCK_NEVER waits for ever. For at most 1 s after the deadline
 * data that is there is still read, and data that the other end takes at once is written. */
bool frame_write(int socket, const ProtobufCMessage *message, int64_t deadline_ms,
                 struct error *error);

/* Adds the frame of a message to `frames`. */
bool frame_add(struct text *frames, const ProtobufCMessage *message, struct error *error);

/* A message of more than `largest` bytes is an error. The caller frees the message with
 * protobuf_c_message_free_unpacked(). */
bool frame_read(int socket, const ProtobufCMessageDescriptor *type, uint32_t largest,
                int64_t deadline_ms, ProtobufCMessage **ret_message, struct error *error);

#endif
