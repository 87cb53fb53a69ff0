/* What a watch of the Kubernetes API says of objects that change. */
#include "kubernetes/api/api_watch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":{" object "}}"
#define METADATA(more)                                                                             \
    "\"metadata\":{\"name\":\"worker\",\"namespace\":\"shop\",\"resourceVersion\":\"8\"" more "}"

struct parsed {
    struct api_watch_event event;
    struct error error;
    bool is_good;
};

static void parsed_done(struct parsed *parsed)
{
    api_watch_event_done(&parsed->event);
    error_done(&parsed->error);
}

static struct parsed parse(enum api_object_kind kind, const char *text)
{
    struct parsed parsed = {0};
    parsed.is_good = api_watch_event_parse(kind, text, strlen(text), &parsed.event, &parsed.error);
    return parsed;
}

static void events_of_all_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind;
        const char *version;
    } cases[] = {
        {EVENT("ADDED", METADATA("")), WATCH_CHANGE, "8"},
        {EVENT("MODIFIED", METADATA("")), WATCH_CHANGE, "8"},
        {EVENT("DELETED", METADATA("")), WATCH_DELETION, "8"},
        {EVENT("BOOKMARK", "\"metadata\":{\"resourceVersion\":\"9\"}"), WATCH_BOOKMARK, "9"},
        {EVENT("ERROR", "\"code\":410,\"message\":\"too old\""), WATCH_EXPIRED, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(parsed_done) struct parsed parsed = parse(OBJECT_SECRET, cases[i].text);
        assert_true(parsed.is_good);
        assert_int_equal(parsed.event.kind, cases[i].kind);
        assert_true(text_equal(parsed.event.version, cases[i].version));
    }
    _cleanup_(parsed_done) struct parsed failed =
        parse(OBJECT_SECRET, EVENT("ERROR", "\"code\":500,\"message\":\"no quorum\""));
    assert_false(failed.is_good);
    assert_string_equal(error_text(&failed.error), "no quorum");
}

/* KEDA's writes of lastActiveTime change the resourceVersion alone. */
static void a_status_is_no_change_and_a_secret_has_no_generation(void **state)
{
    (void)state;
    const char *text = EVENT("MODIFIED", METADATA(",\"generation\":3"));
    _cleanup_(parsed_done) struct parsed object = parse(OBJECT_SCALED_OBJECT, text);
    _cleanup_(parsed_done) struct parsed secret = parse(OBJECT_SECRET, text);
    assert_string_equal(object.event.revision, "generation 3");
    assert_string_equal(secret.event.revision, "8");
    assert_string_equal(object.event.namespace, "shop");
    assert_string_equal(object.event.name, "worker");
}

static void what_is_no_event_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{}",
                                        EVENT("MODIFIED", ""),
                                        EVENT("OTHER", METADATA("")),
                                        "{\"type\":\"ADDED\",\"object\":7}"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(parsed_done) struct parsed parsed = parse(OBJECT_SECRET, texts[i]);
        assert_false(parsed.is_good);
        assert_int_equal(parsed.error.code, ERROR_UNAVAILABLE);
    }
}

/* Whoever may write one object must not end the watch of all. */
static void an_event_may_have_a_hundred_thousand_annotations(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text text = {0};
    text_add(&text, "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"annotations\":{");
    for (int i = 0; i < 100 * 1000; i++)
        text_addf(&text, "\"%d\":\"\",", i);
    text_add(&text, "\"last\":\"\"},\"name\":\"worker\",\"resourceVersion\":\"8\"}}}");
    _cleanup_(parsed_done) struct parsed parsed = parse(OBJECT_SECRET, text.bytes);
    assert_true(parsed.is_good);
    assert_string_equal(parsed.event.name, "worker");
    assert_string_equal(parsed.event.version, "8");
}

static void ignore_loss(void *context)
{
    (void)context;
}

static void ignore_live(void *context, int64_t live_ms)
{
    (void)context;
    (void)live_ms;
}

/* The version of the list may be newer than what is read meanwhile. */
static void what_is_read_while_the_list_is_on_its_way_may_have_changed(void **state)
{
    (void)state;
    static const char list[] = "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}";
    _cleanup_(error_done) struct error error = {0};
    char server[] = "https://127.0.0.1:1";
    char token_file[] = "/proc/self/comm"; /* any text */
    char ca_file[] = "/dev/null";
    struct kubernetes_api api = {server, token_file, ca_file};
    struct api_request_budget budget = {.max = 1 << 20};
    CURLM *multi = curl_multi_init();
    const struct api_watch_owner owner = {multi,       &budget,     &api, NULL,
                                          ignore_live, ignore_loss, NULL};
    struct api_watch watch;
    api_watch_init(&watch, &owner, OBJECT_SCALED_OBJECT, NULL, NULL);
    assert_true(api_watch_begin(&watch, &error));

    int64_t read_ms = clock_now_ms();
    while (clock_now_ms() == read_ms)
        ;
    watch.request.status = 200;
    text_add_bytes(&watch.request.body, list, strlen(list));
    api_watch_end(&watch);
    assert_string_equal(watch.version, "9");
    assert_true(watch.live_ms > read_ms);

    api_watch_done(&watch);
    curl_multi_cleanup(multi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_all_types),
        cmocka_unit_test(a_status_is_no_change_and_a_secret_has_no_generation),
        cmocka_unit_test(what_is_no_event_is_an_error),
        cmocka_unit_test(an_event_may_have_a_hundred_thousand_annotations),
        cmocka_unit_test(what_is_read_while_the_list_is_on_its_way_may_have_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
