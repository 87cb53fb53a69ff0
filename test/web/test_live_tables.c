/* What readers of live tables are sent. */
#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "web/content/live_tables.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Of a time with milliseconds; clock_unix_s() may jump by one. */
#define ROUNDING_S 0.002

/* The rows with odd ids up to `count`, each with `live`. */
struct world {
    struct live_tables *tables;
    uint64_t count;
    uint64_t without; /* this one is not there */
    const char *live;
    const char *fixed; /* given again with each row; NULL: only with those that are not there */
    int64_t rest_ms;   /* after each update */
};

static int64_t update(void *context, struct live_tables *tables)
{
    const struct world *world = context;
    live_tables_begin(tables, LIVE_TRIGGERS);
    for (uint64_t id = 1; id <= world->count; id += 2) {
        if (id == world->without)
            continue;
        bool is_known = live_tables_seek(tables, LIVE_TRIGGERS, id);
        const char *fixed = is_known ? NULL : "{\"name\":\"n\"}";
        live_tables_row(tables, LIVE_TRIGGERS, id, world->fixed != NULL ? world->fixed : fixed,
                        world->live);
    }
    live_tables_end(tables, LIVE_TRIGGERS);
    live_tables_server(tables, "{\"s\":1}");
    return world->rest_ms;
}

static void begin(struct world *world)
{
    world->tables = live_tables_new(
        &(struct live_tables_settings){.hello = "{\"h\":1}", .update = update, .context = world});
    recent_log_start();
}

static void end(struct world *world)
{
    live_tables_free(world->tables);
}

/* Takes ,"sent":1790000000.123 or another number with its key, and the comma behind it, out of the
 * text, and returns the last one; NAN: there is none. */
static double take_number(char *text, const char *key)
{
    double number = NAN;
    for (char *at; (at = strstr(text, key)) != NULL;) {
        char *end = NULL;
        number = strtod(at + strlen(key), &end);
        end += *end == ',';
        memmove(at, end, strlen(end) + 1);
    }
    return number;
}

static double take_sent(char *text)
{
    return take_number(text, ",\"sent\":");
}

static double take_max_age_ms(char *text)
{
    return take_number(text, ",\"maxAgeMs\":");
}

/* All that is new for the reader; the caller frees it. */
static char *all_news(const struct world *world, void *reader)
{
    struct text all = {0};
    bool is_more = true;
    while (is_more) {
        struct text piece = {0};
        is_more = live_tables_stream.write(world->tables, reader, &piece);
        text_add_bytes(&all, piece.bytes == NULL ? "" : piece.bytes, piece.length);
        text_done(&piece);
    }
    return text_take(&all);
}

/* The same without the times in it; the caller frees it. */
static char *news(const struct world *world, void *reader)
{
    char *text = all_news(world, reader);
    take_sent(text);
    take_max_age_ms(text);
    return text;
}

static void a_reader_is_sent_everything_and_then_what_changes(void **state)
{
    (void)state;
    struct world world = {.count = 3, .live = "{\"v\":1}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    _cleanup_(memory_free) char *nothing = news(&world, reader);
    assert_string_equal(nothing, ""); /* the first update is still to come */
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *first = news(&world, reader);
    assert_string_equal(first,
                        "retry: 2000\nevent: hello\ndata: {\"h\":1}\n\n"
                        "event: rows\ndata: {\"table\":\"triggers\",\"rows\":["
                        "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{\"v\":1}},"
                        "{\"id\":3,\"fixed\":{\"name\":\"n\"},\"live\":{\"v\":1}}],\"gone\":[]}\n\n"
                        "event: server\ndata: {\"s\":1}\n\n"
                        "event: ready\ndata: {}\n\n");
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *same = news(&world, reader);
    assert_string_equal(same, "event: server\ndata: {\"s\":1}\n\n");

    world.live = "{\"v\":2}";
    world.without = 1;
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *changed = news(&world, reader);
    assert_string_equal(changed, "event: rows\ndata: {\"table\":\"triggers\",\"rows\":["
                                 "{\"id\":3,\"live\":{\"v\":2}}],\"gone\":[1]}\n\n"
                                 "event: server\ndata: {\"s\":1}\n\n");
    world.without = 0;
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *back = news(&world, reader);
    assert_non_null(strstr(back, "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{\"v\":2}}"));
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

/* As of a server that a rehearsal shows, which was restarted: its ids are of other triggers. */
static void a_row_with_another_fixed_part_is_another_row(void **state)
{
    (void)state;
    struct world world = {.count = 1, .live = "{\"v\":1}", .fixed = "{\"name\":\"n\"}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *first = news(&world, reader);
    assert_non_null(strstr(first, "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{\"v\":1}}"));
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *same = news(&world, reader);
    assert_null(strstr(same, "rows"));
    world.fixed = "{\"name\":\"other\"}";
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *other = news(&world, reader);
    assert_non_null(strstr(other, "{\"id\":1,\"fixed\":{\"name\":\"other\"},\"live\":{\"v\":1}}"));
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

/* The second reader is sent stored figures. */
static void figures_say_when_they_are_sent(void **state)
{
    (void)state;
    enum { LATER_US = 20000 };
    struct world world = {.count = 1, .live = "{}"};
    void *readers[2];
    begin(&world);
    for (int i = 0; i < 2; i++) {
        struct text piece = {0};
        readers[i] = live_tables_stream.opened(world.tables, false);
        if (i == 0)
            live_tables_stream.update(world.tables);
        usleep(LATER_US);
        double before_s = clock_unix_s(clock_now_ms());
        live_tables_stream.write(world.tables, readers[i], &piece);
        double after_s = clock_unix_s(clock_now_ms());
        double sent_s = take_sent(piece.bytes);
        assert_true(sent_s >= before_s - ROUNDING_S && sent_s <= after_s + ROUNDING_S);
        take_max_age_ms(piece.bytes);
        assert_non_null(strstr(piece.bytes, "event: server\ndata: {\"s\":1}\n\n"));
        text_done(&piece);
    }
    for (int i = 0; i < 2; i++)
        live_tables_stream.closed(world.tables, readers[i]);
    end(&world);
}

/* One may be back before there is another update. */
static void rows_are_there_until_they_are_forgotten(void **state)
{
    (void)state;
    struct world world = {.count = 1, .live = "{}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    live_tables_stream.closed(world.tables, reader);
    reader = live_tables_stream.opened(world.tables, false);
    _cleanup_(memory_free) char *kept = news(&world, reader);
    assert_non_null(strstr(kept, "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{}}"));
    assert_non_null(strstr(kept, "event: server\n"));
    live_tables_stream.closed(world.tables, reader);
    live_tables_stream.forget(world.tables);
    reader = live_tables_stream.opened(world.tables, false);
    _cleanup_(memory_free) char *nothing = news(&world, reader);
    assert_string_equal(nothing, "");
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *all = news(&world, reader);
    assert_non_null(strstr(all, "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{}}"));
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

static void a_slow_reader_is_sent_the_newest_state_once(void **state)
{
    (void)state;
    struct world world = {.count = 1, .live = "{\"v\":1}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *first = news(&world, reader);
    for (int i = 0; i < 100; i++) {
        world.live = i % 2 == 0 ? "{\"v\":2}" : "{\"v\":3}";
        live_tables_stream.update(world.tables);
    }
    _cleanup_(memory_free) char *later = news(&world, reader);
    assert_null(strstr(later, "\"v\":2"));
    assert_non_null(strstr(later, "\"v\":3"));
    assert_null(strstr(strstr(later, "\"v\":3") + 1, "\"v\":3"));
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

static void pieces_are_bounded(void **state)
{
    (void)state;
    struct world world = {.count = 20001, .live = "{\"v\":\"0123456789012345678901234567890123\"}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    size_t rows = 0;
    bool is_more = true;
    while (is_more) {
        struct text piece = {0};
        is_more = live_tables_stream.write(world.tables, reader, &piece);
        assert_true(piece.length < WEB_STREAM_PIECE_BYTES + 1024);
        for (const char *at = piece.bytes; (at = strstr(at, "{\"id\":")) != NULL; at++)
            rows++;
        text_done(&piece);
    }
    assert_int_equal(rows, 10001);
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

/* Thousands of rows come and go: what is gone is forgotten, and whoever was not sent it begins
 * again. */
static void only_a_reader_that_missed_too_much_begins_again(void **state)
{
    (void)state;
    struct world world = {.count = 4001, .live = "{}"};
    begin(&world);
    void *slow = live_tables_stream.opened(world.tables, false);
    void *reader = live_tables_stream.opened(world.tables, false);
    recent_log_add(LOG_LEVEL_WARNING, "a line from before");
    live_tables_stream.update(world.tables);
    free(news(&world, slow));
    _cleanup_(memory_free) char *first = news(&world, reader);
    assert_non_null(strstr(first, "a line from before"));
    world.count = 1;
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *gone = news(&world, reader);
    assert_null(strstr(gone, "event: hello"));
    assert_non_null(strstr(gone, "4001"));
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *nothing = news(&world, reader);
    assert_null(strstr(nothing, "event: hello"));

    _cleanup_(memory_free) char *again = news(&world, slow);
    assert_non_null(strstr(again, "event: hello"));
    assert_non_null(strstr(again, "a line from before")); /* hello made it forget that, too */
    assert_non_null(
        strstr(again, "\"rows\":[{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{}}],\"gone\":[]"));
    live_tables_stream.closed(world.tables, reader);
    live_tables_stream.closed(world.tables, slow);
    end(&world);
}

/* Also where it begins again, as it missed too much. */
static void the_hello_of_a_reader_says_whether_it_can_log_out(void **state)
{
    (void)state;
    static const char without[] = "event: hello\ndata: {\"h\":1}\n\n";
    static const char with[] = "event: hello\ndata: {\"hasSession\":true,\"h\":1}\n\n";
    struct world world = {.count = 4001, .live = "{}"};
    begin(&world);
    void *readers[] = {live_tables_stream.opened(world.tables, false),
                       live_tables_stream.opened(world.tables, true)};
    for (int round = 0; round < 2; round++) {
        world.count = 4001;
        live_tables_stream.update(world.tables);
        for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
            _cleanup_(memory_free) char *text = news(&world, readers[i]);
            assert_non_null(strstr(text, i == 0 ? without : with));
        }
        world.count = 1;
        live_tables_stream.update(world.tables); /* thousands are gone, which neither is sent */
        live_tables_stream.update(world.tables); /* and are forgotten */
    }
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++)
        live_tables_stream.closed(world.tables, readers[i]);
    end(&world);
}

/* By that a page knows a server of many triggers, which rests for long after an update, from one
 * that is stuck, also where the server grows while a reader stays. The time between two updates
 * includes what others of the server's thread take. */
static void figures_say_at_which_age_they_are_late(void **state)
{
    (void)state;
    enum { REST_MS = 20000, PAUSE_MS = 50 };
    struct world world = {.live = "{}", .rest_ms = REST_MS};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *after_one = all_news(&world, reader);
    assert_true(take_max_age_ms(after_one) >= 2.0 * REST_MS);
    world.rest_ms = 0;
    usleep(PAUSE_MS * 1000);
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *after_two = all_news(&world, reader);
    double max_age_ms = take_max_age_ms(after_two);
    assert_true(max_age_ms >= 2.0 * PAUSE_MS && max_age_ms < 2.0 * REST_MS);
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

static void lines_of_the_log_follow(void **state)
{
    (void)state;
    struct world world = {.count = 0, .live = "{}"};
    begin(&world);
    recent_log_add(LOG_LEVEL_WARNING, "it \"broke\"\n<b>");
    void *reader = live_tables_stream.opened(world.tables, false);
    live_tables_stream.update(world.tables);
    _cleanup_(memory_free) char *first = news(&world, reader);
    assert_non_null(strstr(first, "event: log\ndata: [{\"number\":1,"));
    assert_non_null(
        strstr(first, "\"level\":\"warning\",\"text\":\"it \\\"broke\\\"\\n<b>\"}]\n\n"));
    for (int i = 0; i < 2 * RECENT_LOG_LINES; i++)
        recent_log_add(LOG_LEVEL_INFO, "more");
    _cleanup_(memory_free) char *more = news(&world, reader);
    assert_null(strstr(more, "\"number\":501,"));
    assert_non_null(strstr(more, "\"number\":502,"));
    assert_non_null(strstr(more, "\"number\":1001,"));
    static const char time[] = "\"time\":";
    for (const char *at = more; (at = strstr(at, time)) != NULL;) {
        at += strlen(time);
        const char *fraction = at + strcspn(at, ".,");
        assert_in_range(strspn(fraction, ".0123456789"), 0, strlen(".123"));
    }
    live_tables_stream.closed(world.tables, reader);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_is_sent_everything_and_then_what_changes),
        cmocka_unit_test(a_row_with_another_fixed_part_is_another_row),
        cmocka_unit_test(figures_say_when_they_are_sent),
        cmocka_unit_test(rows_are_there_until_they_are_forgotten),
        cmocka_unit_test(a_slow_reader_is_sent_the_newest_state_once),
        cmocka_unit_test(pieces_are_bounded),
        cmocka_unit_test(lines_of_the_log_follow), /* it numbers the first lines */
        cmocka_unit_test(only_a_reader_that_missed_too_much_begins_again),
        cmocka_unit_test(the_hello_of_a_reader_says_whether_it_can_log_out),
        cmocka_unit_test(figures_say_at_which_age_they_are_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
