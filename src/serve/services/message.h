/*
 * Messages: decoding what came from outside, strictly, and encoding what goes there.
 *
 * protobuf-c's own decoder accepts strings that are not UTF-8 and cuts them at a NUL, and merges a
 * message that is there again and again into itself. This one refuses all that, passes over the
 * bytes once where checking first took two, and its messages are freed as one; it was a quarter of
 * what a call costs. It fills the structures that protobuf-c generates; unknown fields are passed
 * over.
 *
 * Threads: any; a message belongs to whoever has the arena.
 */
#ifndef BACKLOG_SERVE_SERVICES_MESSAGE_H
#define BACKLOG_SERVE_SERVICES_MESSAGE_H

#include "base/arena.h"
#include "base/error.h"
#include "serve/transport/transport.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The message lives as long as the arena does. */
bool message_decode(struct arena *arena, const ProtobufCMessageDescriptor *type, struct bytes bytes,
                    ProtobufCMessage **ret_message, struct error *error);

/* Encodes and sends; false as call_send(). */
bool message_send(struct call *call, const ProtobufCMessage *message);

#endif
