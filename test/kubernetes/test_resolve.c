/* From what the Kubernetes API has to the credentials of a call. */
#include "kubernetes/credentials/resolve.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct option table[] = {
    {.key = "host", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_HOST},
    {.key = "password", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_SECRET},
    {.key = "ca", .scope = OPTION_CONNECTION, .type = OPTION_STRING, .flags = OPTION_PEER},
    {.key = "maxSessions",
     .scope = OPTION_CONNECTION,
     .type = OPTION_INT,
     .flags = OPTION_FILE_ONLY},
    {.key = "cloud", .scope = OPTION_CONNECTION, .type = OPTION_UNSUPPORTED, .doc = "use host"},
    {.key = "queue", .scope = OPTION_QUERY, .type = OPTION_STRING},
    {0},
};

/* What the API has: the JSON of each object by its label; NULL text: not known yet; "!": it cannot
 * be read. */
struct known {
    const char *label;
    const char *json;
};

struct cluster {
    const struct known *known;
    struct api_object *objects[8];
    struct error failure;
};

static struct informer_view find(void *context, enum api_object_kind kind, const char *namespace,
                                 const char *name)
{
    struct cluster *cluster = context;
    _cleanup_(memory_free) char *label = api_object_label(kind, namespace, name);
    for (size_t i = 0; cluster->known[i].label != NULL; i++) {
        _cleanup_(error_done) struct error error = {0};
        const char *json = cluster->known[i].json;
        if (!text_equal(cluster->known[i].label, label))
            continue;
        if (json == NULL)
            return (struct informer_view){0};
        if (text_equal(json, "!")) {
            error_unavailable(&cluster->failure, "403 forbidden");
            return (struct informer_view){.failure = &cluster->failure};
        }
        api_object_free(cluster->objects[i]);
        cluster->objects[i] = api_object_parse(kind, namespace, name, json, strlen(json), &error);
        if (cluster->objects[i] == NULL)
            fail_msg("%s: %s", label, error_text(&error));
        return (struct informer_view){.is_read = true, .object = cluster->objects[i]};
    }
    return (struct informer_view){.is_read = true};
}

static const struct option_entry usual[] = {{"host", "h"}, {"queue", "q"}};

static struct credentials *resolve_entries(const struct known *known,
                                           const struct option_entry *entries, size_t count,
                                           bool *ret_is_mismatch)
{
    struct cluster cluster = {.known = known};
    struct option_entry sorted[8];
    for (size_t i = 0; i < count; i++)
        sorted[i] = entries[i];
    api_object_sort(sorted, count);
    const struct resolve_call call = {"shop", "orders", sorted, count, table, "keda"};
    struct resolved resolved = resolve_trigger(&call, find, &cluster);
    *ret_is_mismatch = resolved.is_mismatch;
    for (size_t i = 0; i < ARRAY_LENGTH(cluster.objects); i++)
        api_object_free(cluster.objects[i]);
    error_done(&cluster.failure);
    return resolved.credentials;
}

static struct credentials *resolve(const struct known *known)
{
    bool is_mismatch;
    return resolve_entries(known, usual, ARRAY_LENGTH(usual), &is_mismatch);
}

#define META "\"metadata\":{\"name\":\"orders\",\"namespace\":\"shop\"}"
#define TRIGGER(metadata, ref) "{\"type\":\"external\",\"metadata\":{" metadata "}" ref "}"
#define SCALED(triggers) "{" META ",\"spec\":{\"triggers\":[" triggers "]}}"
#define USUAL "\"host\":\"h\",\"queue\":\"q\""
#define REF ",\"authenticationRef\":{\"name\":\"a\"}"
#define OBJECT {"ScaledObject shop/orders", SCALED(TRIGGER(USUAL, REF))}
#define AUTHENTICATION(spec)                                                                       \
    {"TriggerAuthentication shop/a",                                                               \
     "{\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\"},\"spec\":{" spec "}}"}
#define OF_SECRET(parameter)                                                                       \
    "\"secretTargetRef\":[{\"parameter\":\"" parameter "\",\"name\":\"s\",\"key\":\"k\"}]"
#define SECRET                                                                                     \
    {"Secret shop/s", "{\"metadata\":{\"name\":\"s\",\"namespace\":\"shop\"},\"data\":{\"k\":"     \
                      "\"cHc=\"}}"}

static void assert_refused(struct credentials *credentials, enum error_code code, const char *words)
{
    if (credentials->state != CREDENTIALS_REFUSED || credentials->failure.code != code ||
        strstr(error_text(&credentials->failure), words) == NULL)
        fail_msg("expected \"%s\", got %d: %s", words, credentials->failure.code,
                 error_text(&credentials->failure));
    assert_int_equal(credentials->count, 0);
    credentials_free(credentials);
}

static void a_call_of_a_trigger_gets_the_values_of_its_authentication(void **state)
{
    (void)state;
    const struct known known[] = {OBJECT, AUTHENTICATION(OF_SECRET("password")), SECRET, {0}};
    _cleanup_(credentials_cleanup) struct credentials *credentials = resolve(known);
    assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
    assert_string_equal(credentials->authentication, "TriggerAuthentication shop/a");
    assert_int_equal(credentials->count, 1);
    assert_string_equal(credentials->entries[0].key, "password");
    assert_string_equal(credentials->entries[0].value, "pw");
}

static void a_config_map_counts_as_well_and_unknown_parameters_are_passed_over(void **state)
{
    (void)state;
    const struct known known[] = {
        OBJECT,
        AUTHENTICATION("\"configMapTargetRef\":[{\"parameter\":\"password\",\"name\":\"c\",\"key\":"
                       "\"k\"}],\"env\":[{\"parameter\":\"caCert\",\"name\":\"X\"}],"
                       "\"podIdentity\":{\"provider\":\"none\"}"),
        {"ConfigMap shop/c",
         "{\"metadata\":{\"name\":\"c\",\"namespace\":\"shop\"},\"data\":{\"k\":\"v\"}}"},
        {0}};
    _cleanup_(credentials_cleanup) struct credentials *credentials = resolve(known);
    assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
    assert_string_equal(credentials->entries[0].value, "v");
}

static void all_keys_must_be_those_of_a_trigger(void **state)
{
    (void)state;
    static const struct option_entry calls[][3] = {
        {{"host", "evil"}, {"queue", "q"}, {0}},           {{"host", "h"}, {0}},
        {{"host", "h"}, {"queue", "q"}, {"more", "1"}},    {{"Host", "h"}, {"queue", "q"}, {0}},
        {{"hostFromEnv", "h"}, {"queue", "q"}, {0}},       {{"host", "h "}, {"queue", "q"}, {0}},
        {{"host", "h"}, {"queue", "q"}, {"xFromEnv", ""}},
    };
    const struct known known[] = {OBJECT, AUTHENTICATION(OF_SECRET("password")), SECRET, {0}};
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        size_t count = 0;
        bool is_mismatch = false;
        while (count < 3 && calls[i][count].key != NULL)
            count++;
        struct credentials *credentials = resolve_entries(known, calls[i], count, &is_mismatch);
        assert_true(is_mismatch);
        assert_refused(credentials, ERROR_DENIED,
                       "no trigger of ScaledObject shop/orders has the metadata of this call");
    }
}

static void a_variable_may_be_absent_and_have_any_value(void **state)
{
    (void)state;
    static const struct option_entry with[] = {
        {"host", "h"}, {"queue", "q"}, {"passwordFromEnv", "secret"}};
    const struct known known[] = {
        {"ScaledJob shop/orders", SCALED(TRIGGER(USUAL ",\"passwordFromEnv\":\"PW\"", ""))}, {0}};
    bool is_mismatch;
    for (size_t count = 2; count <= 3; count++) {
        _cleanup_(credentials_cleanup) struct credentials *credentials =
            resolve_entries(known, with, count, &is_mismatch);
        assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
        assert_null(credentials->authentication);
        assert_int_equal(credentials->omitted_count, 3 - count);
        if (count == 2)
            assert_string_equal(credentials->omitted[0], "passwordFromEnv");
    }
}

static void other_types_do_not_count(void **state)
{
    (void)state;
    const struct known known[] = {
        {"ScaledObject shop/orders", SCALED("{\"type\":\"rabbitmq\",\"metadata\":{" USUAL "}}")},
        {0}};
    assert_refused(resolve(known), ERROR_DENIED, "no trigger of ScaledObject");
}

static void without_an_object_nothing_else_is_read(void **state)
{
    (void)state;
    const struct known none[] = {{0}};
    assert_refused(resolve(none), ERROR_DENIED, "neither a ScaledObject nor a ScaledJob");
    const struct known unknown[] = {OBJECT, {"ScaledJob shop/orders", NULL}, {0}};
    _cleanup_(credentials_cleanup) struct credentials *waiting = resolve(unknown);
    assert_int_equal(waiting->state, CREDENTIALS_WAITING);
    const struct known failed[] = {{"ScaledObject shop/orders", "!"}, {0}};
    assert_refused(resolve(failed), ERROR_UNAVAILABLE,
                   "ScaledObject shop/orders cannot be read: 403");
}

static void equal_triggers_with_different_authentications_are_refused(void **state)
{
    (void)state;
    const struct known known[] = {
        {"ScaledObject shop/orders", SCALED(TRIGGER(USUAL, REF) "," TRIGGER(USUAL, ""))}, {0}};
    assert_refused(resolve(known), ERROR_INVALID, "add a key that differs");
    const struct known job[] = {OBJECT, {"ScaledJob shop/orders", SCALED(TRIGGER(USUAL, ""))}, {0}};
    assert_refused(resolve(job), ERROR_INVALID, "add a key that differs");
}

/* As where a Role lacks them. */
static void a_trigger_of_a_scaled_object_needs_no_right_to_scaled_jobs(void **state)
{
    (void)state;
    const struct known found[] = {
        OBJECT, AUTHENTICATION(OF_SECRET("password")), SECRET, {"ScaledJob shop/orders", "!"}, {0}};
    struct credentials *credentials = resolve(found);
    assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
    assert_int_equal(credentials->count, 1);
    credentials_free(credentials);
    const struct known absent[] = {{"ScaledJob shop/orders", "!"}, {0}};
    assert_refused(resolve(absent), ERROR_UNAVAILABLE,
                   "ScaledJob shop/orders cannot be read: 403 forbidden");
}

static void the_metadata_may_name_the_authentication(void **state)
{
    (void)state;
    static const struct option_entry call[] = {
        {"host", "h"}, {"queue", "q"}, {"clusterTriggerAuthentication", "c"}};
    const struct known known[] = {
        {"ScaledObject shop/orders",
         SCALED(TRIGGER(USUAL ",\"clusterTriggerAuthentication\":\"c\"", REF))},
        {"ClusterTriggerAuthentication c",
         "{\"metadata\":{\"name\":\"c\"},\"spec\":{" OF_SECRET("password") "}}"},
        {"Secret keda/s", "{\"metadata\":{\"name\":\"s\",\"namespace\":\"keda\"},\"data\":{\"k\":"
                          "\"cHc=\"}}"},
        {0}};
    bool is_mismatch;
    _cleanup_(credentials_cleanup) struct credentials *credentials =
        resolve_entries(known, call, ARRAY_LENGTH(call), &is_mismatch);
    assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
    assert_true(credentials->is_cluster_wide);
    assert_string_equal(credentials->entries[0].value, "pw");
}

#define HPA_SPEC(window, formula)                                                                  \
    "\"advanced\":{\"horizontalPodAutoscalerConfig\":{\"behavior\":{\"scaleDown\":{"               \
    "\"stabilizationWindowSeconds\":" window "}}},\"scalingModifiers\":{\"formula\":\"" formula    \
    "\"}},"
#define WITH_HPA(spec)                                                                             \
    {"ScaledObject shop/orders", "{" META ",\"spec\":{" spec "\"triggers\":[" TRIGGER(             \
                                     USUAL, REF) "]},\"status\":{\"hpaName\":\"keda-orders\"}}"}
#define HPA(status)                                                                                \
    {"HorizontalPodAutoscaler shop/keda-orders",                                                   \
     "{\"metadata\":{\"name\":\"keda-orders\",\"namespace\":\"shop\"},\"status\":{" status "}}"}

static void assert_hpa(const struct known *known, const struct option *keys, bool reads_hpa,
                       struct hpa_facts expected)
{
    struct cluster cluster = {.known = known};
    const struct resolve_call call = {"shop", "orders", usual,    ARRAY_LENGTH(usual),
                                      keys,   "keda",   reads_hpa};
    struct resolved resolved = resolve_trigger(&call, find, &cluster);
    _cleanup_(credentials_cleanup) struct credentials *credentials = resolved.credentials;
    for (size_t i = 0; i < ARRAY_LENGTH(cluster.objects); i++)
        api_object_free(cluster.objects[i]);
    error_done(&cluster.failure);
    assert_int_equal(credentials->state, CREDENTIALS_VERIFIED);
    assert_int_equal(resolved.hpa.down_window_ms, expected.down_window_ms);
    assert_int_equal(resolved.hpa.replicas, expected.replicas);
}

/* Without a table: the objects of an authentication are not needed, and are not there. */
static void the_window_and_the_replicas_of_the_hpa_are_known(void **state)
{
    (void)state;
    const struct known good[] = {
        WITH_HPA(HPA_SPEC("60", "")), HPA("\"currentReplicas\":3,\"desiredReplicas\":8"), {0}};
    assert_hpa(good, NULL, true, (struct hpa_facts){60000, 8, 0});
    assert_hpa(good, NULL, false, (struct hpa_facts){60000, -1, 0});
    const struct known plain[] = {WITH_HPA(""), HPA("\"desiredReplicas\":0"), {0}};
    assert_hpa(plain, NULL, true, (struct hpa_facts){-1, 0, 0});
    const struct known formula[] = {
        WITH_HPA(HPA_SPEC("0", "a + b")), HPA("\"desiredReplicas\":8"), {0}};
    assert_hpa(formula, NULL, true, (struct hpa_facts){0, -1, 0});
    const struct known wrong[] = {WITH_HPA(HPA_SPEC("\"soon\"", "")), {0}};
    assert_hpa(wrong, NULL, true, (struct hpa_facts){-1, -1, 0});
}

static void without_a_right_to_the_hpa_credentials_are_as_before(void **state)
{
    (void)state;
    const struct known known[] = {WITH_HPA(HPA_SPEC("60", "")),
                                  AUTHENTICATION(OF_SECRET("password")),
                                  SECRET,
                                  {"HorizontalPodAutoscaler shop/keda-orders", "!"},
                                  {0}};
    assert_hpa(known, table, true, (struct hpa_facts){60000, -1, 0});
}

static void what_backlog_does_not_have_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        const char *words;
    } cases[] = {
        {"\"env\":[{\"parameter\":\"password\",\"name\":\"PW\"}]", "uses env for password"},
        {"\"filePath\":[{}]", "uses filePath"},
        {"\"hashiCorpVault\":{}", "uses hashiCorpVault"},
        {"\"oauth2\":{\"clientId\":\"me\"}", "uses oauth2, which Backlog does not have"},
        {"\"filePath\":\"\",\"ofKeda3\":[{\"parameter\":\"password\"}]", "uses ofKeda3"},
        {"\"boundServiceAccountToken\":[{}]", "uses boundServiceAccountToken"},
        {"\"podIdentity\":{\"provider\":\"aws\"}", "uses podIdentity"},
        {OF_SECRET("queue"), "has queue, which is no key of a connection"},
        {OF_SECRET("maxSessions"), "belongs in the connections file"},
        {OF_SECRET("cloud"), "has cloud: use host"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *json = text_format(
            "{\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\"},\"spec\":{%s}}", cases[i].spec);
        const struct known known[] = {OBJECT, {"TriggerAuthentication shop/a", json}, SECRET, {0}};
        assert_refused(resolve(known), ERROR_INVALID, cases[i].words);
    }
}

static void what_is_missing_is_named_and_waits_for_what_is_unknown(void **state)
{
    (void)state;
    const struct known no_authentication[] = {OBJECT, {0}};
    assert_refused(resolve(no_authentication), ERROR_INVALID,
                   "TriggerAuthentication shop/a does not exist");
    const struct known no_secret[] = {OBJECT, AUTHENTICATION(OF_SECRET("password")), {0}};
    assert_refused(resolve(no_secret), ERROR_INVALID, "Secret shop/s does not exist");
    const struct known failed[] = {
        OBJECT, AUTHENTICATION(OF_SECRET("password")), {"Secret shop/s", "!"}, {0}};
    assert_refused(resolve(failed), ERROR_UNAVAILABLE,
                   "TriggerAuthentication shop/a: Secret shop/s cannot be read: 403");
    const struct known unknown[] = {
        OBJECT, AUTHENTICATION(OF_SECRET("password")), {"Secret shop/s", NULL}, {0}};
    _cleanup_(credentials_cleanup) struct credentials *waiting = resolve(unknown);
    assert_int_equal(waiting->state, CREDENTIALS_WAITING);
}

static void a_parameter_is_there_once_whatever_its_secrets_are(void **state)
{
    (void)state;
    const struct known known[] = {
        OBJECT,
        AUTHENTICATION("\"secretTargetRef\":[{\"parameter\":\"password\",\"name\":\"s\",\"key\":"
                       "\"k\"},{\"parameter\":\"password\",\"name\":\"t\",\"key\":\"k\"}]"),
        {"Secret shop/s", NULL},
        {"Secret shop/t", NULL},
        {0}};
    assert_refused(resolve(known), ERROR_INVALID,
                   "TriggerAuthentication shop/a has password twice");
}

static void an_authentication_of_many_parameters_is_an_error(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text json = {0};
    text_add(&json, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"shop\"},\"spec\":{\"env\":[");
    for (int i = 0; i < 257; i++)
        text_addf(&json, "%s{\"parameter\":\"p%d\",\"name\":\"n\"}", i == 0 ? "" : ",", i);
    text_add(&json, "]}}");
    assert_null(api_object_parse(OBJECT_TRIGGER_AUTHENTICATION, "shop", "a", json.bytes,
                                 json.length, &error));
    assert_string_equal(error_text(&error), "has more than 256 parameters");
}

static void values_of_many_bytes_are_refused(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *value = memory_new((40 << 10) + 1);
    memset(value, 'x', 40 << 10);
    _cleanup_(memory_free) char *json = text_format(
        "{\"metadata\":{\"name\":\"c\",\"namespace\":\"shop\"},\"data\":{\"k\":\"%s\"}}", value);
    struct known known[] = {
        OBJECT,
        AUTHENTICATION("\"configMapTargetRef\":[{\"parameter\":\"host\",\"name\":\"c\",\"key\":"
                       "\"k\"},{\"parameter\":\"password\",\"name\":\"c\",\"key\":\"k\"},"
                       "{\"parameter\":\"ca\",\"name\":\"c\",\"key\":\"k\"}]"),
        {"ConfigMap shop/c", json},
        {0}};
    assert_refused(resolve(known), ERROR_INVALID,
                   "TriggerAuthentication shop/a: with password its values have 81920 bytes: at "
                   "most 65536 are allowed in all");
}

/* With the keys of no call there is nothing to keep; what is kept is counted. */
static void metadata_that_no_call_can_have_is_not_kept(void **state)
{
    (void)state;
    for (int is_long = 0; is_long <= 1; is_long++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(text_done) struct text json = {0};
        text_add(&json, "{" META ",\"spec\":{\"triggers\":[{\"type\":\"external\",\"metadata\":{");
        for (int i = 0; i < (is_long ? 17 : 257); i++)
            text_addf(&json, "%s\"k%d\":\"%0*d\"", i == 0 ? "" : ",", i, is_long ? 1000 : 1, 0);
        text_add(&json, "}}," TRIGGER(USUAL, REF) "]}}");
        struct api_object *object = api_object_parse(OBJECT_SCALED_OBJECT, "shop", "orders",
                                                     json.bytes, json.length, &error);
        assert_non_null(object);
        assert_int_equal(object->triggers_count, 1);
        assert_in_range(object->bytes, 200, 1000);
        api_object_free(object);
    }
}

static void names_that_are_none_never_become_a_path(void **state)
{
    (void)state;
    const struct known known[] = {
        {"ScaledObject shop/orders",
         SCALED(TRIGGER(USUAL, ",\"authenticationRef\":{\"name\":\"../../secrets/s\"}"))},
        {0}};
    assert_refused(resolve(known), ERROR_INVALID, "is not the name of a TriggerAuthentication");
}

/* As for KEDA: an empty name is no authentication, and one with a blank is no name. */
static void an_empty_name_is_no_authentication(void **state)
{
    (void)state;
    const struct known empty[] = {
        {"ScaledObject shop/orders",
         SCALED(TRIGGER(USUAL, ",\"authenticationRef\":{\"name\":\"\"}"))},
        {0}};
    _cleanup_(credentials_cleanup) struct credentials *credentials = resolve(empty);
    if (credentials->state != CREDENTIALS_VERIFIED)
        fail_msg("%s", error_text(&credentials->failure));
    assert_int_equal(credentials->count, 0);
    const struct known blank[] = {
        {"ScaledObject shop/orders",
         SCALED(TRIGGER(USUAL, ",\"authenticationRef\":{\"name\":\" a \"}"))},
        {0}};
    assert_refused(resolve(blank), ERROR_INVALID,
                   "\" a \" is not the name of a TriggerAuthentication");
    const struct known secret[] = {
        OBJECT,
        AUTHENTICATION(
            "\"secretTargetRef\":[{\"parameter\":\"password\",\"name\":\"\",\"key\":\"k\"}]"),
        {0}};
    assert_refused(resolve(secret), ERROR_INVALID, "\"\" is not the name of a Secret");
}

static void a_reply_about_something_else_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{", "[]", "null", "{}", "{\"metadata\":{\"name\":\"s\",\"namespace\":\"other\"}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(error_done) struct error error = {0};
        assert_null(
            api_object_parse(OBJECT_SECRET, "shop", "s", texts[i], strlen(texts[i]), &error));
        assert_int_equal(error.code, ERROR_UNAVAILABLE);
    }
    static const char kind_missing[] =
        "{\"reason\":\"NotFound\",\"details\":{},\"message\":\"could not find the resource\"}";
    static const char object_missing[] = "{\"reason\":\"NotFound\",\"details\":{\"name\":\"s\"}}";
    assert_false(api_object_is_absent("s", kind_missing, strlen(kind_missing)));
    assert_true(api_object_is_absent("s", object_missing, strlen(object_missing)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_of_a_trigger_gets_the_values_of_its_authentication),
        cmocka_unit_test(a_config_map_counts_as_well_and_unknown_parameters_are_passed_over),
        cmocka_unit_test(all_keys_must_be_those_of_a_trigger),
        cmocka_unit_test(a_variable_may_be_absent_and_have_any_value),
        cmocka_unit_test(other_types_do_not_count),
        cmocka_unit_test(without_an_object_nothing_else_is_read),
        cmocka_unit_test(equal_triggers_with_different_authentications_are_refused),
        cmocka_unit_test(a_trigger_of_a_scaled_object_needs_no_right_to_scaled_jobs),
        cmocka_unit_test(the_metadata_may_name_the_authentication),
        cmocka_unit_test(what_backlog_does_not_have_is_refused_by_name),
        cmocka_unit_test(what_is_missing_is_named_and_waits_for_what_is_unknown),
        cmocka_unit_test(a_parameter_is_there_once_whatever_its_secrets_are),
        cmocka_unit_test(an_authentication_of_many_parameters_is_an_error),
        cmocka_unit_test(values_of_many_bytes_are_refused),
        cmocka_unit_test(metadata_that_no_call_can_have_is_not_kept),
        cmocka_unit_test(names_that_are_none_never_become_a_path),
        cmocka_unit_test(an_empty_name_is_no_authentication),
        cmocka_unit_test(the_window_and_the_replicas_of_the_hpa_are_known),
        cmocka_unit_test(without_a_right_to_the_hpa_credentials_are_as_before),
        cmocka_unit_test(a_reply_about_something_else_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
