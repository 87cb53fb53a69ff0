/* Lists of triggers and the pages of an object, and what bounds them. */
#include "base/memory.h"
#include "web/content/web_json.h"
#include "web/http/page.h"
#include "web/pages.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <string.h>

/* ---- lists ---- */

/* What a list's request with these parameters returns; the caller frees it. NULL: it was refused.
 */
static json_t *list_of(const char *parameters)
{
    struct page_response response = {0};
    struct evkeyvalq parsed = {0};
    evhttp_parse_query_str(parameters, &parsed);
    const struct page_request request = {.parameters = &parsed};
    explain_list((void *)walk_of_triggers(NULL), &request, &response);
    evhttp_clear_headers(&parsed);
    json_t *page = response.code >= 400 ? NULL : json_loads(response.body.bytes, 0, NULL);
    assert_true(response.code >= 400 || page != NULL);
    text_done(&response.body);
    return page;
}

/* The only trigger of the page; 0: it has none. */
static uint64_t id_on(const char *parameters, bool *ret_has_more)
{
    json_t *page = list_of(parameters);
    const json_t *list = json_object_get(page, "triggers");
    assert_in_range(json_array_size(list), 0, 1);
    json_int_t id = json_integer_value(json_object_get(json_array_get(list, 0), "id"));
    *ret_has_more = json_is_true(json_object_get(page, "hasMore"));
    json_decref(page);
    return (uint64_t)id;
}

/* The table holds three. */
static void a_page_goes_on_behind_the_last_row_where_earlier_ones_are_gone(void **state)
{
    (void)state;
    uint64_t ids[4];
    bool has_more = false;
    for (int i = 0; i < 3; i++) {
        _cleanup_(memory_free) char *queue = text_format("%d", i);
        ids[i] = find_in("shop", i,
                         (const char *const[]){"scaler", "fake", "source", "a", "queueName", queue,
                                               NULL})
                     ->id;
    }
    assert_int_equal(id_on("limit=1", &has_more), ids[0]);
    assert_true(has_more);
    const int64_t hour_ms = 3600000;
    ids[3] = find_in("shop", hour_ms, (const char *const[]){GOOD, NULL})->id;
    for (size_t i = 1; i < 4; i++) {
        _cleanup_(memory_free) char *next =
            text_format("limit=1&after=%llu", (unsigned long long)ids[i - 1]);
        assert_int_equal(id_on(next, &has_more), ids[i]);
        assert_int_equal(has_more, i < 3);
    }
}

static void a_page_without_rows_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"limit=0",  "limit=",   "limit=all",
                                        "after=-1", "after=7x", "limit=99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_null(list_of(wrong[i]));
}

/* ---- the page of an object ---- */

/* Of one object three times as many as a page of it shows, in a table of their own. Returns the one
 * that came last. */
static const struct trigger *find_many(void)
{
    enum { TRIGGERS = 3 * TRIGGER_WALK_PER_OBJECT };
    const struct trigger *last = NULL;
    triggers = table_of(TRIGGERS);
    for (int i = 1; i <= TRIGGERS; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        last = FIND_NOW(JOBS, "queueLength", length);
    }
    return last;
}

/* An edit makes a new trigger, and one that is reverted an old one again. */
static void the_pages_of_an_object_show_what_keda_calls_for_now(void **state)
{
    (void)state;
    struct triggers *usual = triggers;
    const struct trigger *edited = find_many();
    json_decref(page_of(edited, explain_one, NULL));
    json_decref(page_of(edited, history_page, "triggers"));
    const struct trigger *reverted = FIND_NOW(JOBS, "queueLength", "1");
    assert_true(reverted->id < edited->id);
    json_decref(page_of(reverted, explain_one, NULL));
    json_decref(page_of(reverted, history_page, "triggers"));
    triggers_free(triggers);
    triggers = usual;
}

#define LONG_KEY(digit) digit "a-key-that-no-scaler-knows-and-that-is-nearly-as-long-as-shown-ones"

/* Behind 1 MiB of other triggers, which have control characters: six bytes each in JSON. */
static void the_page_of_an_object_has_whole_errors(void **state)
{
    (void)state;
    enum { QUEUE_BYTES = 2000 };
    char queue[QUEUE_BYTES + 1];
    struct triggers *usual = triggers;
    triggers = table_of((size_t)2 * TRIGGER_WALK_PER_OBJECT); /* each counts as two */
    const struct trigger *wrong =
        FIND_NOW(JOBS, LONG_KEY("1"), "", LONG_KEY("2"), "", LONG_KEY("3"), "", LONG_KEY("4"), "",
                 LONG_KEY("5"), "", LONG_KEY("6"), "");
    memset(queue, '\x01', QUEUE_BYTES);
    queue[QUEUE_BYTES] = '\0';
    for (int i = 1; i < TRIGGER_WALK_PER_OBJECT; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        FIND_NOW("scaler", "fake", "source", "a", "queueName", queue, "queueLength", length);
    }
    json_t *object = page_of(wrong, explain_one, NULL);
    const json_t *error = json_object_get(json_object_get(object, "now"), "error");
    assert_true(json_is_null(json_object_get(object, "metadata")));
    assert_true(json_string_length(error) > WEB_JSON_SHORT_BYTES);
    assert_string_equal(json_string_value(error), error_text(&wrong->parsed.mistakes));
    json_decref(object);
    triggers_free(triggers);
    triggers = usual;
}

/* The page of the object is requested, while the loop is so. */
static void explain_worker(struct fake_loop *loop, struct page_response *response)
{
    char namespace[] = "shop";
    char name[] = "worker";
    struct evkeyvalq none = {0};
    const struct page_request request = {
        .below = {namespace, name}, .below_count = 2, .parameters = &none};
    explain_one((void *)walk_of_triggers(loop), &request, response);
}

/* Anybody can call with other metadata: what the page does not show costs no turn of the loop. */
static void a_page_of_one_object_takes_turns_for_what_it_shows(void **state)
{
    (void)state;
    struct triggers *usual = triggers;
    struct fake_loop loop = {0};
    struct page_response response = {.code = 200};
    find_many();
    explain_worker(&loop, &response);
    assert_int_equal(response.code, 200);
    assert_in_range(loop.turns, TRIGGER_WALK_PER_OBJECT, 2 * TRIGGER_WALK_PER_OBJECT);
    text_done(&response.body);
    triggers_free(triggers);
    triggers = usual;
}

/* Each turn comes in time, but no other page is written until all have come. */
static void a_page_does_not_wait_for_many_late_turns(void **state)
{
    (void)state;
    enum { LATE_US = 1100000, TRIGGERS = 5, TURNS = 3 }; /* of 5 */
    struct fake_loop loop = {.wait_us = LATE_US};
    struct page_response response = {0};
    struct triggers *usual = triggers;
    triggers = table_of(TRIGGERS);
    for (int i = 1; i <= TRIGGERS; i++) {
        _cleanup_(memory_free) char *length = text_format("%d", i);
        FIND_NOW(JOBS, "queueLength", length);
    }
    explain_worker(&loop, &response);
    assert_int_equal(response.code, 503);
    assert_true(loop.turns <= TURNS);
    text_done(&response.body);
    triggers_free(triggers);
    triggers = usual;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_goes_on_behind_the_last_row_where_earlier_ones_are_gone),
        TEST(a_page_without_rows_is_refused),
        TEST(a_page_does_not_wait_for_many_late_turns),
        TEST(the_pages_of_an_object_show_what_keda_calls_for_now),
        TEST(the_page_of_an_object_has_whole_errors),
        TEST(a_page_of_one_object_takes_turns_for_what_it_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
