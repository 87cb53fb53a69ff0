/*
 * One call of ExternalScaler in progress, for the files of that service only: external_scaler.c (the
 * service and its unary calls) and stream.c.
 *
 * Threads: all under the server's turn lock.
 */
#ifndef BACKLOG_SERVE_ASK_H
#define BACKLOG_SERVE_ASK_H

#include "externalscaler.pb-c.h"
#include "serve/answer_stats.h"
#include "serve/external_scaler.h"

/*
 * One call in progress. While it waits for a measurement it is on `waiting`, and from ANSWER_PATIENCE_MS on, on
 * `late`; a stream that sent `true` last is on `beating`. Each list is in the order of due_ms.
 */
struct ask {
    struct rpc rpc;
    struct trigger *trigger; /* pinned */
    /* The answer to a call that had to wait, or news of a stream; NULL where it asks for no value. */
    void (*news)(struct ask *ask, int64_t now_ms, bool out_of_time);
    struct watcher watcher;
    bool is_watching;
    int64_t arrived_ms;
    int64_t due_ms;
    bool is_stream; /* counted as one */
    bool told;      /* a stream: `true` was sent last */
    bool owes_beat; /* ... and is to be sent again with the reading that is awaited */
    bool was_idle;  /* a stream: so it was found after `true` was sent last */
    bool must_tell; /* a stream: the next free moment sends `true` */
    struct ask **list;
    struct ask *next, *prev; /* in *list */
};

struct external_scaler {
    struct external_scaler_settings settings;
    struct rpc_service service;
    struct ask *waiting;
    struct ask *late;
    struct ask *beating;
    size_t streams_count;
    struct answer_stats stats;
    int64_t forget_at_ms;
};

/* ---- ask.c ---- */

struct external_scaler *ask_scaler(const struct ask *ask);

/* At the end of the list, and on no other one; NULL: on none. */
void ask_put_on(struct ask *ask, struct ask **list);

bool ask_find_trigger(struct ask *ask, const Externalscaler__ScaledObjectRef *message,
                      int64_t now_ms, struct error *error);

/* For who asks why: what this call was told. */
void ask_tell(struct ask *ask, const struct answer *answer, int64_t now_ms);

/* Ends a call that has a trigger, and notes on that what was said. */
void ask_refuse(struct ask *ask, const struct error *error, int64_t now_ms);

/* The trigger's query. Where there is none the call is refused; but a stream whose connection is not to be
 * had stays open, as the next connections file may bring it. */
bool ask_find_query(struct ask *ask, int64_t now_ms);

/* Finds the trigger and its query; finishes the call where that fails. */
bool ask_understand(struct ask *ask, const Externalscaler__ScaledObjectRef *message,
                    int64_t now_ms);
void ask_watch(struct ask *ask);
void ask_decide(const struct ask *ask, int64_t now_ms, bool out_of_time, struct answer *ret_answer);

/* ---- stream.c ---- */

void stream_is_active(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms);
void stream_metric_spec(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms);
void stream_writable(struct rpc *rpc);
void stream_tell_nothing(struct ask *ask);

#endif
