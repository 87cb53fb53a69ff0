/*
 * Messages: decoding what came from outside, strictly, and encoding what goes there.
 *
 * protobuf-c accepts strings that are not UTF-8 and cuts them at a NUL; a strict decoder does not.
 */
#ifndef BACKLOG_SERVE_MESSAGE_H
#define BACKLOG_SERVE_MESSAGE_H

#include "base/error.h"
#include "serve/transport.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* The caller frees the message with message_free(), on the same thread. */
bool message_decode(const ProtobufCMessageDescriptor *type, struct bytes bytes,
                    ProtobufCMessage **ret_message, struct error *error);
void message_free(ProtobufCMessage *message); /* NULL is harmless */

/* Encodes and sends; false as call_send(). */
bool message_send(struct call *call, const ProtobufCMessage *message);

#endif
