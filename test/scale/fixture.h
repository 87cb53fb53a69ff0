/*
 * What tests of triggers share: a small table of them over the fake scaler, and a connections file.
 */
#ifndef BACKLOG_TEST_SCALE_FIXTURE_H
#define BACKLOG_TEST_SCALE_FIXTURE_H

#include "measure/fake_scaler.h"
#include "scale/table/triggers.h"
#include "scale/trigger/trigger_decide.h"
#include "scale/trigger/trigger_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

extern struct engine *engine;
extern struct triggers *triggers; /* three at most, a MiB of memory, two connections */

int set_up(void **state);
int tear_down(void **state);
void start_triggers(bool deny_inline);

/* The settings of that engine, to be changed before it is started. */
struct engine_settings engine_of_triggers(void);
void start_triggers_on(const struct engine_settings *settings, bool deny_inline);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Pairs of key and value, ending with NULL. */
struct trigger *find_in(const char *namespace, int64_t now_ms, const char *const *pairs);

#define FIND(...) find_in("shop", 0, (const char *const[]){__VA_ARGS__, NULL})
#define GOOD "scaler", "fake", "source", "a", "queueName", "7"
#define STEPS "scaler", "fake", "source", "a", "queueName", "jobs", "steps", "1=1, 10=5"
#define ORDERS "scaler", "fake", "connectionName", "orders", "queueName", "7" /* of the file */

void assert_mistake(const struct trigger *trigger, enum error_code code, const char *words);
struct query *query_of(struct trigger *trigger);
bool is_measured(const struct trigger *trigger);
void wait_until_measured(const struct trigger *trigger);
void measure_again(const struct trigger *trigger);     /* and wait until nothing is in flight */
void wait_until_failed(const struct trigger *trigger); /* its source answers with an error */

double replicas_now(const struct trigger *trigger); /* -1: it has no value */

extern const char connections_yaml[]; /* the file */
struct connections *parse_connections(const char *yaml);

/* The file has changed, and all triggers are renewed. */
void set_connections(const char *yaml);

#endif
