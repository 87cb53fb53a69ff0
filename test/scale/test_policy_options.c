/* The options of a policy: what they allow, and when a trigger has one. */
#include "base/memory.h"
#include "scale/metadata/general.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct general_options parsed;

static const char *mistakes_of(const char *key, const char *value, const char *key2,
                               const char *value2)
{
    static char text[512];
    _cleanup_(error_done) struct error mistakes = {0};
    const struct option_entry entries[] = {{"scaler", "x"}, {key, value}, {key2, value2}};
    const struct answer_rules rules = {.interval_ms = 5000};
    struct policy_settings settings;
    struct option_values *values = general_parse(entries, key2 == NULL ? 2 : 3, &rules, &mistakes);
    parsed = *(const struct general_options *)values->data;
    policy_options_compile(&parsed.policy, &settings, &mistakes);
    snprintf(text, sizeof(text), "%s", error_text(&mistakes));
    option_values_free(values);
    return text;
}

static void mistakes_name_key_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *key2, *value2, *words;
    } table[] = {
        {"maxWait", "60s", NULL, NULL, "maxWait needs ratePerReplica"},
        {"ratePerReplica", "10", NULL, NULL, "ratePerReplica needs maxWait"},
        {"maxWait", "60s", "ratePerReplica", "fast", "ratePerReplica \"fast\" must be"},
        {"maxWait", "60s", "ratePerReplica", "0", "ratePerReplica \"0\" must be"},
        {"maxWait", "60s", "ratePerReplica", "0x10", "ratePerReplica \"0x10\" must be"},
        {"maxWait", "10s", "ratePerReplica", "measured", "startTime (20 s) must be shorter"},
        {"burstThreshold", "40", "burstReplicas", "5",
         "write both as steps, such as steps: \"41=5\""},
        {"steps", "1=1,10", NULL, NULL, "steps \"1=1,10\" must be levels of WAITING=REPLICAS"},
        {"steps", "10=2,1=1", NULL, NULL, "ascend"},
        {"steps", "1=1,10=1", NULL, NULL, "ascend"},
        {"steps", "1=1,1=2", NULL, NULL, "ascend"},
        {"steps", "1=0", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"steps", "0=1", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"steps", "inf=1", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"steps", "1=1x", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"steps", "0x10=2", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"steps", "1=+2", NULL, NULL, "must be levels of WAITING=REPLICAS"},
        {"scaleDownWhenIdle", "soon", NULL, NULL, "scaleDownWhenIdle"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *text =
            mistakes_of(table[i].key, table[i].value, table[i].key2, table[i].value2);
        if (strstr(text, table[i].words) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", table[i].key, table[i].words, text);
    }
    assert_string_equal(mistakes_of("maxWait", "60s", "ratePerReplica", "measured"), "");
    assert_string_equal(mistakes_of("steps", "1=1, 10=2 ,100=5", NULL, NULL), "");
    assert_string_equal(mistakes_of("steps", "1=1,10= 2,100 =5", NULL, NULL), "");
}

static void without_options_there_is_no_policy(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error mistakes = {0};
    struct policy_settings settings;
    mistakes_of("interval", "5s", NULL, NULL);
    assert_false(policy_options_compile(&parsed.policy, &settings, &mistakes));
}

static void an_unreadable_option_is_a_policy_too(void **state)
{
    (void)state;
    mistakes_of("maxReplicaCount", "many", NULL, NULL);
    assert_true(parsed.policy.is_set);
    mistakes_of("maxWaitFromEnv", "soon", NULL, NULL);
    assert_true(parsed.policy.is_set);
    mistakes_of("utilization", "9", NULL, NULL);
    assert_false(parsed.policy.is_set);
    mistakes_of("steps", " ", NULL, NULL);
    assert_false(parsed.policy.is_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_name_key_value_and_what_is_allowed),
        cmocka_unit_test(without_options_there_is_no_policy),
        cmocka_unit_test(an_unreadable_option_is_a_policy_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
