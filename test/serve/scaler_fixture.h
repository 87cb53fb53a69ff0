/*
 * What tests of the ExternalScaler service share: the service over the fake scaler, with at most
 * two streams, and a transport that records what each call is sent. A test is its server: it takes
 * the turns.
 */
#ifndef BACKLOG_TEST_SERVE_SCALER_FIXTURE_H
#define BACKLOG_TEST_SERVE_SCALER_FIXTURE_H

#include "base/clock.h"
#include "measure/fake_scaler.h"
#include "serve/services/external_scaler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { PATIENCE_MS = 20000, MAX_TRIGGERS = 100 };
static const int64_t interval_ms = 20;
static const int64_t hold_ms = 600;
static const int64_t heartbeat_ms = 200;

/* That the next calls name; NULL: they bring one of their own. */
extern const char *connection_name;
/* The metricName of the next calls of GetMetrics; NULL: none. */
extern const char *metric_name;
extern struct engine *engine;
extern const struct call_handler *service;
extern struct triggers *triggers;

int set_up(void **state);
int tear_down(void **state);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

struct noted_call {
    struct call call;
    bool full;         /* takes no message */
    bool has_no_place; /* among the streams of the transport */
    bool finished;
    enum status status;
    char *text;
    int trues;
    int falses;
    double value;
    char spec[64]; /* the metric's name in the specs that came last */
};

#define PATH(name) "/externalscaler.ExternalScaler/" name

/* Begins the call of this path and gives it its message, a trigger of this queue. */
void begin_call(struct noted_call *call, const char *path, const char *queue);

/* The client is gone, or has received the status. */
void end_call(struct noted_call *call);

/* One turn of the server, and a little rest; true. */
bool turn(void);

/* The sample of this name and labels on the page of metrics, -1: there is none. */
double metric(const char *sample);

/* Takes turns until the condition holds. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t deadline_ = clock_now_ms() + PATIENCE_MS;                                          \
        while (turn() && !(condition))                                                             \
            if (clock_now_ms() > deadline_)                                                        \
                fail_msg("never came true: %s", #condition);                                       \
    } while (0)

void take_turns_for(int64_t duration_ms);

/* Until what the source says now is known. */
void take_turns_for_a_measurement(void);

#endif
