/*
 * Frames: protobuf messages over a stream socket, each behind its length (4 bytes, this machine's
 * order: both ends are the same program on the same machine).
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

/* The queries of one connection all at once: above what the metadata of all triggers may take. */
enum { FRAME_MAX_BYTES = 128 << 20 };

/* Deadlines are of clock_now_ms(); CLOCK_NEVER waits for ever. Data that is already there is read,
 * and what the other end takes at once is written, for at most 1 s past the deadline. */
bool frame_write(int socket, const ProtobufCMessage *message, int64_t deadline_ms,
                 struct error *error);

/* Adds the frame of a message to frames in memory that are to be sent. */
bool frame_add(struct text *frames, const ProtobufCMessage *message, struct error *error);

/* `largest` is in bytes. The caller frees the message with protobuf_c_message_free_unpacked(). */
bool frame_read(int socket, const ProtobufCMessageDescriptor *type, uint32_t largest,
                int64_t deadline_ms, ProtobufCMessage **ret_message, struct error *error);

#endif
