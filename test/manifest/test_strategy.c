/* What `check` says of a ScaledJob's scaling strategy: a job whose message is counted while it is
 * in work must be taken off, and one that is not must not. */
#include "base/memory.h"
#include "manifest/check_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NATS                                                                                       \
    "{type: nats-jetstream, metadata: {natsServerMonitoringEndpoint: n:8222, account: a, stream: " \
    "s, consumer: c}}"
#define REDIS "{type: redis, metadata: {address: \"r:1\", listName: x}}"
#define STREAM(more) "{type: redis-streams, metadata: {address: \"r:1\", stream: s" more "}}"
#define RABBIT(more) "{type: rabbitmq, metadata: {queueName: q, value: \"5\", " more "}}"
#define HTTP "host: \"http://r:15672/\", mode: QueueLength"
#define BOTH ", consumerGroup: g, lagCount: \"5\", pendingEntriesCount: \"10\""

struct strategy_case {
    const char *strategy, *trigger;
    enum finding_level level;
    const char *text; /* NULL: nothing about it */
};

static void assert_said(const struct strategy_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *text =
            text_format("kind: ScaledJob\nmetadata: {name: j}\nspec:\n  scalingStrategy:\n"
                        "    strategy: %s\n  triggers: [%s]\n",
                        cases[i].strategy, cases[i].trigger);
        struct findings findings = checked(text, NULL);
        if (cases[i].text == NULL)
            assert_no_finding(&findings, "scalingStrategy");
        else
            assert_finding(&findings, cases[i].level, 5, cases[i].text);
        findings_done(&findings);
    }
}

static void a_strategy_must_fit_what_is_counted(void **state)
{
    (void)state;
    static const struct strategy_case cases[] = {
        {"accurate", NATS, FINDING_WARNING, "a second job"},
        {"eager", NATS, FINDING_WARNING, "a second job"},
        {"default", NATS, FINDING_NOTE, NULL},
        {"accurate", REDIS, FINDING_NOTE, NULL},
        {"default", REDIS, FINDING_WARNING, "use accurate"},
        {"custom", REDIS, FINDING_WARNING, "other jobs than value / target"},
        {"accurate",
         "{type: external, metadata: {scalerAddress: \"b:1\", scaler: redis-streams, address: "
         "\"r:1\", stream: s, consumerGroup: g, pendingEntriesCount: \"5\"}}",
         FINDING_WARNING, "a second job"},
        {"accurate", STREAM(", consumerGroup: g"), FINDING_WARNING, "a second job"},
        {"accurate", STREAM(", consumerGroup: g, lagCount: \"0\""), FINDING_WARNING,
         "a second job"},
        {"default", STREAM(", consumerGroup: g, lagCount: \"0\""), FINDING_NOTE, NULL},
        {"accurate", STREAM(BOTH), FINDING_NOTE, NULL}, /* the lag counts */
        {"default", STREAM(BOTH), FINDING_WARNING, "use accurate"},
        {"accurate", STREAM(", consumerGroup: g, lagCountFromEnv: L"), FINDING_NOTE, NULL},
        {"default", STREAM(", consumerGroup: g, lagCountFromEnv: L"), FINDING_NOTE, NULL},
        {"accurate", STREAM(", consumerGroupFromEnv: G"), FINDING_NOTE, NULL},
        {"accurate", STREAM(", pendingEntriesCount: \"5\""), FINDING_NOTE, NULL}, /* the length */
        {"default", STREAM(", pendingEntriesCount: \"5\""), FINDING_NOTE, NULL},
    };
    assert_said(cases, ARRAY_LENGTH(cases));
}

/* Over AMQP ready messages count, over HTTP others, too, or not; a rate is no number of them. */
static void of_rabbitmq_it_depends_on_protocol_and_mode(void **state)
{
    (void)state;
    static const struct strategy_case cases[] = {
        {"accurate", RABBIT(HTTP), FINDING_WARNING, "a second job"},
        {"accurate", RABBIT(HTTP ", excludeUnacknowledged: \"true\""), FINDING_NOTE, NULL},
        {"accurate", RABBIT(HTTP ", excludeUnacknowledged: \"True\""), FINDING_NOTE, NULL},
        {"default", RABBIT(HTTP ", excludeUnacknowledged: t"), FINDING_WARNING, "use accurate"},
        {"default", RABBIT(HTTP ", excludeUnacknowledged: \"1\""), FINDING_WARNING, "use accurate"},
        {"accurate", RABBIT(HTTP ", excludeUnacknowledgedFromEnv: E"), FINDING_NOTE, NULL},
        {"default", RABBIT(HTTP ", excludeUnacknowledgedFromEnv: E"), FINDING_NOTE, NULL},
        {"accurate", RABBIT("host: \"HTTP://r:15672/\", mode: QueueLength"), FINDING_WARNING,
         "a second job"},
        {"accurate", RABBIT("host: \"http://r:15672/\", mode: MessageRate"), FINDING_NOTE, NULL},
        {"accurate", RABBIT("host: \"http://r:15672/\", modeFromEnv: M"), FINDING_NOTE, NULL},
        {"default", RABBIT("host: \"amqp://r/\", mode: QueueLength"), FINDING_WARNING,
         "use accurate"},
        {"accurate", RABBIT("hostFromEnv: H, mode: QueueLength"), FINDING_NOTE, NULL},
        {"default", RABBIT("hostFromEnv: H, mode: QueueLength"), FINDING_NOTE, NULL},
        {"accurate", RABBIT("hostFromEnv: H, protocol: http, mode: QueueLength"), FINDING_WARNING,
         "a second job"},
        {"default", RABBIT("hostFromEnv: H, protocol: amqp, mode: QueueLength"), FINDING_WARNING,
         "use accurate"},
        {"default", RABBIT("hostFromEnv: H, excludeUnacknowledged: \"true\", mode: QueueLength"),
         FINDING_WARNING, "use accurate"},
    };
    assert_said(cases, ARRAY_LENGTH(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_strategy_must_fit_what_is_counted),
        cmocka_unit_test(of_rabbitmq_it_depends_on_protocol_and_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
