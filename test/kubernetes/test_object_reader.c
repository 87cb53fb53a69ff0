/* When the objects of the Kubernetes API are read next. */
#include "kubernetes/informer/object_reader.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000, LONGEST_INTERVAL_MS = 400 * 1000, MINUTE_MS = 60 * 1000 };

/* Watched since; it was requested at that moment. Nothing is sent here. */
struct watched {
    struct kubernetes_api api;
    struct object_reader reader;
    struct informer_entry *entry;
    struct object_watch *watch;
    int64_t live_ms;
};

static void go_live(const struct watched *watched)
{
    const struct api_watch_owner *owner = &watched->watch->watch.owner;
    owner->went_live(owner->context, watched->live_ms);
}

static void lose(const struct watched *watched)
{
    const struct api_watch_owner *owner = &watched->watch->watch.owner;
    owner->lost(owner->context);
}

static void begin(struct watched *watched, enum api_object_kind kind)
{
    *watched = (struct watched){.live_ms = clock_now_ms()};
    watched->reader.api = &watched->api;
    object_reader_init(&watched->reader);
    watched->entry = object_reader_entry(&watched->reader, kind, "shop", "orders");
    watched->entry->is_read = true;
    watched->entry->read_ms = watched->live_ms;
    watched->watch = watched->entry->watch == NULL ? watched->reader.watches.of_kind[kind]
                                                   : watched->entry->watch;
    go_live(watched);
}

static void end(struct watched *watched)
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
        struct watched watched;
        begin(&watched, kinds[i]);
        assert_true(watched.entry->due_ms >= watched.live_ms + HOUR_MS);
        lose(&watched);
        assert_true(watched.entry->due_ms <= clock_now_ms() + LONGEST_INTERVAL_MS);
        go_live(&watched);
        assert_true(watched.entry->due_ms >= watched.live_ms + HOUR_MS);
        end(&watched);
    }
}

/* What has failed may have succeeded once, and be older than the watch's news or not. */
static void a_watch_that_resumes_leaves_what_fails_to_be_read_soon(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        for (int is_first = 0; is_first < 2; is_first++) {
            struct watched watched;
            begin(&watched, kinds[i]);
            lose(&watched);
            watched.entry->is_read = !is_first;
            informer_entries_set_failing(&watched.reader.entries, watched.entry, true);
            informer_entries_set_forbidden(&watched.reader.entries, watched.entry, true);
            informer_entries_set_due(&watched.reader.entries, watched.entry,
                                     clock_now_ms() + MINUTE_MS);
            go_live(&watched); /* from its former version on: nothing is older than that */
            assert_true(watched.entry->due_ms <= clock_now_ms() + 1100);
            end(&watched);
        }
}

/* A watch that is lost says nothing of them. */
static void a_watch_that_is_lost_hastens_nothing_that_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct watched watched;
        begin(&watched, kinds[i]);
        int64_t due_ms = clock_now_ms() + MINUTE_MS;
        informer_entries_set_failing(&watched.reader.entries, watched.entry, true);
        informer_entries_set_due(&watched.reader.entries, watched.entry, due_ms);
        lose(&watched);
        assert_int_equal(watched.entry->due_ms, due_ms);
        end(&watched);
    }
}

static void change(const struct watched *watched, const char *revision)
{
    const struct api_watch_owner *owner = &watched->watch->watch.owner;
    owner->changed(owner->context, &(struct api_watch_event){.kind = API_WATCH_CHANGE,
                                                             .namespace = (char *)"shop",
                                                             .name = (char *)"orders",
                                                             .revision = (char *)revision});
}

static bool is_due_soon(const struct watched *watched)
{
    return watched->entry->due_ms <= clock_now_ms() + INFORMER_MIN_INTERVAL_MS;
}

/* As a Secret that was too large: its pause may have grown to a minute. */
static void a_change_hastens_what_could_not_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct watched watched;
        begin(&watched, kinds[i]);
        watched.entry->is_read = false;
        watched.entry->backoff_ms = MINUTE_MS;
        informer_entries_set_failing(&watched.reader.entries, watched.entry, true);
        informer_entries_set_due(&watched.reader.entries, watched.entry,
                                 clock_now_ms() + MINUTE_MS);
        change(&watched, "2");
        assert_true(is_due_soon(&watched));
        assert_true(watched.entry->backoff_ms < MINUTE_MS);
        end(&watched);
    }
}

/* KEDA writes the status of an object with each poll. What is forbidden has its own pace. */
static void what_could_not_be_read_is_hastened_once_for_a_change(void **state)
{
    (void)state;
    for (int is_forbidden = 0; is_forbidden < 2; is_forbidden++) {
        struct watched watched;
        begin(&watched, OBJECT_SCALED_OBJECT);
        watched.entry->is_read = false;
        informer_entries_set_failing(&watched.reader.entries, watched.entry, true);
        informer_entries_set_forbidden(&watched.reader.entries, watched.entry, is_forbidden == 1);
        if (is_forbidden == 0)
            change(&watched, "2");
        informer_entries_set_due(&watched.reader.entries, watched.entry,
                                 clock_now_ms() + MINUTE_MS);
        change(&watched, "2");
        assert_false(is_due_soon(&watched));
        end(&watched);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_watched_is_read_again_after_an_hour),
        cmocka_unit_test(a_watch_that_resumes_leaves_what_fails_to_be_read_soon),
        cmocka_unit_test(a_watch_that_is_lost_hastens_nothing_that_fails),
        cmocka_unit_test(a_change_hastens_what_could_not_be_read),
        cmocka_unit_test(what_could_not_be_read_is_hastened_once_for_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
