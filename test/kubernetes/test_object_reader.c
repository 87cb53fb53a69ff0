/* When the objects of the Kubernetes API are read next. */
#include "kubernetes/informer/object_reader.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <utlist.h>
#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000, LONGEST_INTERVAL_MS = 400 * 1000, MINUTE_MS = 60 * 1000 };

/* Watched since; it was requested at that moment. Nothing is sent here. */
struct watched_object {
    struct kubernetes_api api;
    struct object_reader reader;
    struct informer_entry *entry;
    struct api_watch *watch;
};

static void begin_reader(struct object_reader *reader, struct kubernetes_api *api)
{
    static char server[] = "https://127.0.0.1:1";
    static char token_file[] = "/proc/self/comm"; /* any text */
    static char ca_file[] = "/dev/null";
    *api = (struct kubernetes_api){server, token_file, ca_file};
    *reader = (struct object_reader){.api = api};
    object_reader_init(reader);
}

static void ignore_end(void *context, const struct error *error)
{
    (void)context;
    (void)error;
}

static void set_live(const struct watched_object *watched, bool is_live)
{
    struct api_watch *watch = watched->watch;
    bool was_live = watch->is_live;
    watch->is_live = is_live;
    watch->all->live_changed(watch->all->context, watch, was_live);
}

static void go_live(const struct watched_object *watched)
{
    set_live(watched, true);
}

static void lose(const struct watched_object *watched)
{
    set_live(watched, false);
}

static void begin(struct watched_object *watched, enum api_object_kind kind)
{
    begin_reader(&watched->reader, &watched->api);
    struct object_reader *reader = &watched->reader;
    struct informer_entry *entry = object_reader_entry(reader, kind, "shop", "orders");
    DL_DELETE(reader->unread, entry);
    entry->is_read = true;
    entry->sent_ms = entry->read_ms = clock_now_ms();
    heap_set(&reader->due, &entry->due, entry->read_ms);
    watched->entry = entry;
    watched->watch = entry->watch == NULL ? reader->of_kind[kind] : entry->watch;
    watched->watch->since_ms = entry->read_ms;
    go_live(watched);
}

static void begin_failing(struct watched_object *watched)
{
    error_unavailable(&watched->entry->failure, "it cannot be read");
    watched->reader.failing++;
    heap_set(&watched->reader.due, &watched->entry->due, clock_now_ms() + MINUTE_MS);
}

static void end(struct watched_object *watched)
{
    object_reader_drop(&watched->reader, watched->entry);
    object_reader_end(&watched->reader);
    object_reader_done(&watched->reader);
}

static const enum api_object_kind kinds[] = {OBJECT_SCALED_OBJECT, OBJECT_SECRET};

static void what_is_watched_is_read_again_after_an_hour(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct watched_object watched;
        begin(&watched, kinds[i]);
        assert_true(heap_key(&watched.entry->due) >= watched.entry->read_ms + HOUR_MS);
        lose(&watched);
        assert_true(heap_key(&watched.entry->due) <= clock_now_ms() + LONGEST_INTERVAL_MS);
        go_live(&watched);
        assert_true(heap_key(&watched.entry->due) >= watched.entry->read_ms + HOUR_MS);
        end(&watched);
    }
}

/* What has failed may have succeeded once, and be older than the watch's news or not. */
static void a_watch_that_resumes_leaves_what_fails_to_be_read_soon(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        for (int is_first = 0; is_first < 2; is_first++) {
            struct watched_object watched;
            begin(&watched, kinds[i]);
            lose(&watched);
            watched.entry->is_read = !is_first;
            watched.entry->is_forbidden = true;
            begin_failing(&watched);
            go_live(&watched); /* from its former version on: nothing is older than that */
            assert_true(heap_key(&watched.entry->due) <= clock_now_ms() + 1100);
            end(&watched);
        }
}

/* A watch that is lost says nothing of them. */
static void a_watch_that_is_lost_hastens_nothing_that_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct watched_object watched;
        begin(&watched, kinds[i]);
        begin_failing(&watched);
        int64_t due_ms = heap_key(&watched.entry->due);
        lose(&watched);
        assert_int_equal(heap_key(&watched.entry->due), due_ms);
        end(&watched);
    }
}

static void change(const struct watched_object *watched, const char *revision)
{
    const struct api_watch *watch = watched->watch;
    const struct api_watch_event event = {.kind = API_WATCH_CHANGE,
                                          .namespace = (char *)"shop",
                                          .name = (char *)"orders",
                                          .revision = (char *)revision};
    watch->all->changed(watch->all->context, watch, &event);
}

static bool is_due_soon(const struct watched_object *watched)
{
    return heap_key(&watched->entry->due) <= clock_now_ms() + OBJECT_READER_MIN_INTERVAL_MS;
}

/* Its connection has died, and nobody says so. */
static void a_watch_that_is_silent_begins_anew(void **state)
{
    enum { SILENT_MS = 130 * 1000 };
    (void)state;
    for (int is_silent = 0; is_silent < 2; is_silent++) {
        struct kubernetes_api api;
        struct object_reader reader;
        begin_reader(&reader, &api);
        reader.ended = ignore_end;
        struct informer_entry *entry =
            object_reader_entry(&reader, OBJECT_SECRET, "shop", "orders");
        struct api_watch *watch = entry->watch;
        object_reader_begin_due(&reader);
        assert_non_null(watch->request.curl);
        watch->is_connected = true; /* as once its answer begins */
        watch->received_ms = clock_now_ms() - (is_silent == 1 ? SILENT_MS : SILENT_MS - MINUTE_MS);
        DL_DELETE(reader.watches.unanswered, watch);
        reader.watches.unanswered_count--;
        heap_set(&reader.watches.due, &watch->due, watch->received_ms + SILENT_MS);
        object_reader_begin_due(&reader);
        assert_int_equal(watch->request.curl == NULL, is_silent == 1);
        int64_t left_ms = is_silent == 1 ? 1100 : MINUTE_MS;
        assert_true(heap_key(&entry->watch->due) <= clock_now_ms() + left_ms);
        object_reader_drop(&reader, entry);
        object_reader_end(&reader);
        object_reader_done(&reader);
    }
}

/* As the ScaledObjects after a restart of the API server: nobody knows what happened meanwhile, but
 * the watch that begins again has the generation of each. */
static void what_a_new_watch_finds_as_it_was_is_not_read_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        for (int is_same = 0; is_same < 2; is_same++) {
            struct watched_object watched;
            begin(&watched, kinds[i]);
            watched.entry->object = memory_new(sizeof(*watched.entry->object));
            watched.entry->object->revision = text_copy("2");
            lose(&watched);
            watched.watch->since_ms = watched.entry->read_ms + 1;
            go_live(&watched);
            assert_true(heap_key(&watched.entry->due) <= clock_now_ms() + 1100);
            change(&watched, is_same == 1 ? "2" : "3");
            assert_int_equal(is_due_soon(&watched), is_same == 0);
            end(&watched);
        }
}

/* A trigger has a ScaledObject or a ScaledJob; the new watch names what is there. */
static void what_is_absent_and_not_named_by_a_new_watch_is_not_read_again(void **state)
{
    (void)state;
    for (int has_named_all = 0; has_named_all < 2; has_named_all++) {
        struct watched_object watched;
        begin(&watched, OBJECT_SCALED_JOB);
        lose(&watched);
        watched.watch->since_ms = watched.entry->read_ms + 1;
        watched.watch->has_named_all = has_named_all == 1;
        go_live(&watched);
        assert_int_equal(heap_key(&watched.entry->due) <= clock_now_ms() + 1100,
                         has_named_all == 0);
        change(&watched, "2");
        assert_true(heap_key(&watched.entry->due) <= clock_now_ms() + 1100);
        end(&watched);
    }
}

/* As a Secret that was too large: its pause may have grown to a minute. */
static void a_change_hastens_what_could_not_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct watched_object watched;
        begin(&watched, kinds[i]);
        watched.entry->is_read = false;
        watched.entry->backoff.wait_ms = MINUTE_MS;
        begin_failing(&watched);
        change(&watched, "2");
        assert_true(is_due_soon(&watched));
        assert_true(watched.entry->backoff.wait_ms < MINUTE_MS);
        end(&watched);
    }
}

/* KEDA writes the status of an object with each poll. What is forbidden has its own pace. */
static void what_could_not_be_read_is_hastened_once_for_a_change(void **state)
{
    (void)state;
    for (int is_forbidden = 0; is_forbidden < 2; is_forbidden++) {
        struct watched_object watched;
        begin(&watched, OBJECT_SCALED_OBJECT);
        watched.entry->is_read = false;
        watched.entry->is_forbidden = is_forbidden == 1;
        begin_failing(&watched);
        if (is_forbidden == 0)
            change(&watched, "2");
        heap_set(&watched.reader.due, &watched.entry->due, clock_now_ms() + MINUTE_MS);
        change(&watched, "2");
        assert_false(is_due_soon(&watched));
        end(&watched);
    }
}

/* However many names somebody has invented: the newest is requested at once, and none waits for
 * ever. What was requested before has places of its own. */
static void what_was_never_requested_has_its_turn_the_oldest_and_the_newest_first(void **state)
{
    (void)state;
    enum { NAMES = 100, PLACES = 24 };
    struct kubernetes_api api;
    struct object_reader reader;
    struct informer_entry *entries[NAMES];
    begin_reader(&reader, &api);
    reader.health.answered_ms = clock_now_ms();
    for (int i = 0; i < NAMES; i++) {
        _cleanup_(memory_free) char *name = text_format("o%d", i);
        entries[i] = object_reader_entry(&reader, OBJECT_HPA, "shop", name);
    }
    object_reader_begin_due(&reader);
    assert_int_equal(reader.requests, PLACES);
    for (int i = 0; i < NAMES; i++)
        assert_int_equal(entries[i]->request.curl != NULL,
                         i < PLACES / 2 || i >= NAMES - PLACES / 2);
    DL_DELETE(reader.unread, entries[NAMES / 2]); /* as if it had been read once */
    entries[NAMES / 2]->sent_ms = 1;
    heap_set(&reader.due, &entries[NAMES / 2]->due, clock_now_ms());
    object_reader_begin_due(&reader);
    assert_int_equal(reader.requests, PLACES + 1);
    assert_non_null(entries[NAMES / 2]->request.curl);
    for (int i = 0; i < NAMES; i++)
        object_reader_drop(&reader, entries[i]);
    assert_int_equal(reader.requests, 0);
    assert_int_equal(reader.first_requests, 0);
    assert_null(reader.unread);
    object_reader_end(&reader);
    object_reader_done(&reader);
}

static void what_cannot_be_read_is_requested_again_soon_but_never_at_a_high_rate(void **state)
{
    (void)state;
    assert_int_equal(object_reader_longest_backoff_ms(1), 6000);
    assert_int_equal(object_reader_longest_backoff_ms(500), 10000);
    assert_int_equal(object_reader_longest_backoff_ms(10000), 60000);
    assert_int_equal(object_reader_longest_backoff_ms(SIZE_MAX), 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_watched_is_read_again_after_an_hour),
        cmocka_unit_test(a_watch_that_resumes_leaves_what_fails_to_be_read_soon),
        cmocka_unit_test(a_watch_that_is_lost_hastens_nothing_that_fails),
        cmocka_unit_test(a_watch_that_is_silent_begins_anew),
        cmocka_unit_test(what_a_new_watch_finds_as_it_was_is_not_read_again),
        cmocka_unit_test(what_is_absent_and_not_named_by_a_new_watch_is_not_read_again),
        cmocka_unit_test(a_change_hastens_what_could_not_be_read),
        cmocka_unit_test(what_could_not_be_read_is_hastened_once_for_a_change),
        cmocka_unit_test(what_was_never_requested_has_its_turn_the_oldest_and_the_newest_first),
        cmocka_unit_test(what_cannot_be_read_is_requested_again_soon_but_never_at_a_high_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
