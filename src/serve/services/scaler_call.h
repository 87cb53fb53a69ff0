/*
 * One call of ExternalScaler in progress: what its unary calls (external_scaler.c) and its streams
 * (scaler_stream.c) have in common.
 *
 * Threads: all under the server's turn lock.
 */
#ifndef BACKLOG_SERVE_SERVICES_SCALER_CALL_H
#define BACKLOG_SERVE_SERVICES_SCALER_CALL_H

#include "externalscaler.pb-c.h"
#include "measure/engine.h"
#include "scale/table/triggers.h"
#include "serve/services/answer_stats.h"
#include "serve/services/services.h"

/*
 * While a call waits for a measurement it is on `waiting`, and from ANSWER_PATIENCE_MS on, on
 * `late`; a stream that sent `true` last is on `heartbeats`. Each list is in the order of due_ms.
 */
struct scaler_call {
    struct rpc rpc;
    struct trigger *trigger; /* pinned */
    /* There may be a new answer. `out_of_time`: the call has waited for call_timeout_ms and is
     * answered now, or the stream's heartbeat has come. NULL where the call needs no reading. */
    void (*update)(struct scaler_call *call, int64_t now_ms, bool out_of_time);
    struct watcher watcher;
    bool is_watching;
    int64_t arrived_ms;
    int64_t due_ms;
    bool is_stream;
    size_t *counted_in; /* a stream: the number of its kind */
    int64_t told_ms;    /* a stream: when `true` was sent last */
    bool was_idle;      /* a stream: was found idle after `true` was sent last */
    enum {
        STREAM_INACTIVE,
        STREAM_ACTIVE,        /* `true` was sent; at due_ms it is looked whether it is again */
        STREAM_ACTIVE_UNSENT, /* the same, but not sent until the stream takes it */
        STREAM_ACTIVE_DUE,    /* `true` is sent again if the reading that is awaited says so */
    } stream;
    struct scaler_call **list;
    struct scaler_call *next, *prev; /* in *list */
};

/* What all calls of the service share. */
struct scaler_calls {
    struct triggers *triggers; /* borrowed, as the engine */
    struct engine *engine;
    int64_t call_timeout_ms; /* our own: KEDA's poll loop sets none */
    int64_t heartbeat_ms;    /* `true` again on a stream that stays active */
    size_t max_streams;      /* of each kind */
    struct scaler_call *waiting;
    struct scaler_call *late;
    struct scaler_call *heartbeats;
    size_t push_streams;
    size_t spec_streams;
    struct answer_stats stats;
};

/* Of the service that the call belongs to. */
struct scaler_calls *scaler_call_shared(const struct scaler_call *call);

/* At the end of the list, and on no other one; NULL: on none. */
void scaler_call_put_on(struct scaler_call *call, struct scaler_call **list);

/* Pins the trigger. */
bool scaler_call_find_trigger(struct scaler_call *call,
                              const Externalscaler__ScaledObjectRef *message, int64_t now_ms,
                              struct error *error);

/* Sends the specs of its trigger. */
void scaler_call_reply_spec(const struct scaler_call *call);

/* Records what was answered: for pages, for holds (their counts and log), and for the counts of
 * policies. */
void scaler_call_record_answer(struct scaler_call *call, const struct answer *answer,
                               int64_t now_ms);

/* Ends a call that has a trigger, and records the error as its answer. */
void scaler_call_refuse(struct scaler_call *call, const struct error *error, int64_t now_ms);

/* The trigger's query. Without one the call is refused, or waits where its Secret is not read yet;
 * but a stream whose connection is missing stays open, as the next connections file may bring it.
 * True without a query: only for such a call that waits, in TRIGGER_PENDING. */
bool scaler_call_find_query(struct scaler_call *call, int64_t now_ms);

/* Finds the trigger and its query; finishes the call where that fails. */
bool scaler_call_prepare(struct scaler_call *call, const Externalscaler__ScaledObjectRef *message,
                         int64_t now_ms);
void scaler_call_watch(struct scaler_call *call);
void scaler_call_decide(const struct scaler_call *call, int64_t now_ms, bool out_of_time,
                        struct answer *ret_answer);

#endif
