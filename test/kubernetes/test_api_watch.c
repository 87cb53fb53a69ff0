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
        {EVENT("ADDED", METADATA("")), API_WATCH_CHANGE, "8"},
        {EVENT("MODIFIED", METADATA("")), API_WATCH_CHANGE, "8"},
        {EVENT("DELETED", METADATA("")), API_WATCH_DELETION, "8"},
        {EVENT("BOOKMARK", "\"metadata\":{\"resourceVersion\":\"9\"}"), API_WATCH_BOOKMARK, "9"},
        {EVENT("ERROR", "\"code\":410,\"message\":\"too old\""), API_WATCH_EXPIRED, NULL},
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
    const char *text = EVENT("MODIFIED", METADATA(",\"generation\":3,\"uid\":\"u\""));
    _cleanup_(parsed_done) struct parsed object = parse(OBJECT_SCALED_OBJECT, text);
    _cleanup_(parsed_done) struct parsed secret = parse(OBJECT_SECRET, text);
    assert_string_equal(object.event.revision, "generation 3 of u");
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

static void ignore_live(void *context, const struct api_watch *watch, bool was_live)
{
    (void)context;
    (void)watch;
    (void)was_live;
}

static void ignore_end(void *context, struct api_watch *watch, const struct error *error)
{
    (void)context;
    (void)watch;
    (void)error;
}

/* A watch whose requests are never sent: a test ends them. */
struct unsent {
    struct kubernetes_api api;
    struct api_request_budget budget;
    struct api_watches watches;
    struct api_watch *watch;
};

static void unsent_begin(struct unsent *unsent, const char *name)
{
    static char server[] = "https://127.0.0.1:1";
    static char token_file[] = "/proc/self/comm"; /* any text */
    static char ca_file[] = "/dev/null";
    *unsent = (struct unsent){.api = {server, token_file, ca_file}, .budget = {.max = 1 << 20}};
    unsent->watches = (struct api_watches){.api = &unsent->api,
                                           .multi = curl_multi_init(),
                                           .replies = &unsent->budget,
                                           .live_changed = ignore_live,
                                           .ended = ignore_end};
    api_watches_init(&unsent->watches);
    unsent->watch = api_watches_add(&unsent->watches, OBJECT_SCALED_OBJECT,
                                    name == NULL ? NULL : "shop", name, NULL);
}

static void unsent_end(struct unsent *unsent)
{
    api_watch_drop(unsent->watch);
    api_watches_done(&unsent->watches);
    curl_multi_cleanup(unsent->watches.multi);
}

static void send_request(struct unsent *unsent)
{
    api_watches_begin_due(&unsent->watches, unsent->watch->due_ms);
    assert_non_null(unsent->watch->request.curl);
}

static void reply(struct unsent *unsent, long status, int64_t retry_after_ms)
{
    send_request(unsent);
    unsent->watch->request.status = status;
    unsent->watch->request.retry_after_ms = retry_after_ms;
    unsent->watch->request.ended(&unsent->watch->request);
}

/* The version of the list may be newer than what is read meanwhile. */
static void what_is_read_while_the_list_is_on_its_way_may_have_changed(void **state)
{
    (void)state;
    static const char list[] = "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[]}";
    struct unsent unsent;
    unsent_begin(&unsent, NULL);
    send_request(&unsent);

    int64_t read_ms = clock_now_ms();
    while (clock_now_ms() == read_ms)
        ;
    unsent.watch->request.status = 200;
    text_add_bytes(&unsent.watch->request.body, list, strlen(list));
    unsent.watch->request.ended(&unsent.watch->request);
    assert_string_equal(unsent.watch->version, "9");
    assert_true(unsent.watch->since_ms > read_ms);
    unsent_end(&unsent);
}

enum { FAILURES = 10, LONG_MS = 60 * 1000 };

/* Whatever failed before: a right that comes back is to be used within 15 s. */
static void a_watch_of_a_kind_is_tried_again_soon(void **state)
{
    enum { SOON_MS = 10 * 1000 };
    (void)state;
    struct unsent unsent;
    unsent_begin(&unsent, NULL);
    for (int i = 0; i < 2 * FAILURES; i++) {
        reply(&unsent, i < FAILURES ? 500 : 403, 0);
        assert_true(unsent.watch->due_ms <= clock_now_ms() + SOON_MS);
    }
    unsent_end(&unsent);
}

static void a_watch_of_one_object_backs_off_to_a_minute(void **state)
{
    (void)state;
    struct unsent unsent;
    unsent_begin(&unsent, "orders");
    for (int i = 0; i < FAILURES; i++)
        reply(&unsent, 500, 0);
    assert_true(unsent.watch->due_ms >= clock_now_ms() + LONG_MS - 1000);
    unsent_end(&unsent);
}

static void a_retry_begins_at_once_and_backs_off_anew(void **state)
{
    (void)state;
    struct unsent unsent;
    unsent_begin(&unsent, "orders");
    for (int i = 0; i < FAILURES; i++)
        reply(&unsent, 403, 0);
    api_watch_retry(unsent.watch);
    assert_true(unsent.watch->due_ms <= clock_now_ms());
    reply(&unsent, 403, 0);
    assert_true(unsent.watch->due_ms <= clock_now_ms() + 2000);
    unsent_end(&unsent);
}

static void a_retry_waits_as_long_as_the_server_wants(void **state)
{
    (void)state;
    struct unsent unsent;
    unsent_begin(&unsent, "orders");
    reply(&unsent, 429, LONG_MS);
    int64_t not_before_ms = unsent.watch->due_ms;
    assert_true(not_before_ms >= clock_now_ms() + LONG_MS - 1000);
    api_watch_retry(unsent.watch);
    assert_int_equal(unsent.watch->due_ms, not_before_ms);
    unsent_end(&unsent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_all_types),
        cmocka_unit_test(a_status_is_no_change_and_a_secret_has_no_generation),
        cmocka_unit_test(what_is_no_event_is_an_error),
        cmocka_unit_test(an_event_may_have_a_hundred_thousand_annotations),
        cmocka_unit_test(what_is_read_while_the_list_is_on_its_way_may_have_changed),
        cmocka_unit_test(a_watch_of_a_kind_is_tried_again_soon),
        cmocka_unit_test(a_watch_of_one_object_backs_off_to_a_minute),
        cmocka_unit_test(a_retry_begins_at_once_and_backs_off_anew),
        cmocka_unit_test(a_retry_waits_as_long_as_the_server_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
