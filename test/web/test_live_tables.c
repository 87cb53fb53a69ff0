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
    return 1000;
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

/* Takes ,"sent":1790000000.123 out of the text, and returns the last one; NAN: there is none. */
static double take_sent(char *text)
{
    static const char key[] = ",\"sent\":";
    double sent = NAN;
    for (char *at; (at = strstr(text, key)) != NULL;) {
        char *end = NULL;
        sent = strtod(at + strlen(key), &end);
        memmove(at, end, strlen(end) + 1);
    }
    return sent;
}

/* All that is new for the reader, without when it was sent; the caller frees it. */
static char *news(const struct world *world, void *reader)
{
    struct text all = {0};
    bool is_more = true;
    while (is_more) {
        struct text piece = {0};
        is_more = live_tables_stream.write(world->tables, reader, &piece);
        text_add_bytes(&all, piece.bytes == NULL ? "" : piece.bytes, piece.length);
        text_done(&piece);
    }
    char *text = text_take(&all);
    take_sent(text);
    return text;
}

static void a_reader_is_sent_everything_and_then_what_changes(void **state)
{
    (void)state;
    struct world world = {.count = 3, .live = "{\"v\":1}"};
    begin(&world);
    void *reader = live_tables_stream.opened(world.tables);
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
    void *reader = live_tables_stream.opened(world.tables);
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
        readers[i] = live_tables_stream.opened(world.tables);
        if (i == 0)
            live_tables_stream.update(world.tables);
        usleep(LATER_US);
        double before_s = clock_unix_s(clock_now_ms());
        live_tables_stream.write(world.tables, readers[i], &piece);
        double after_s = clock_unix_s(clock_now_ms());
        double sent_s = take_sent(piece.bytes);
        assert_true(sent_s >= before_s - ROUNDING_S && sent_s <= after_s + ROUNDING_S);
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
    void *reader = live_tables_stream.opened(world.tables);
    live_tables_stream.update(world.tables);
    live_tables_stream.closed(world.tables, reader);
    reader = live_tables_stream.opened(world.tables);
    _cleanup_(memory_free) char *kept = news(&world, reader);
    assert_non_null(strstr(kept, "{\"id\":1,\"fixed\":{\"name\":\"n\"},\"live\":{}}"));
    assert_non_null(strstr(kept, "event: server\n"));
    live_tables_stream.closed(world.tables, reader);
    live_tables_stream.forget(world.tables);
    reader = live_tables_stream.opened(world.tables);
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
    void *reader = live_tables_stream.opened(world.tables);
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
    void *reader = live_tables_stream.opened(world.tables);
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
    void *slow = live_tables_stream.opened(world.tables);
    void *reader = live_tables_stream.opened(world.tables);
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

static void lines_of_the_log_follow(void **state)
{
    (void)state;
    struct world world = {.count = 0, .live = "{}"};
    begin(&world);
    recent_log_add(LOG_LEVEL_WARNING, "it \"broke\"\n<b>");
    void *reader = live_tables_stream.opened(world.tables);
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

/* ---- tables that change while a reader is in the middle of them ---- */

enum { MAX_ID = 40001, CHANGING = 2 };

/* A row in numbers. `fixed` 0: there is none. */
struct numbers {
    unsigned fixed, live;
};

/* By table and id; what there is, and what a reader holds. */
struct rows {
    struct numbers of[CHANGING][MAX_ID + 1];
};

struct changing {
    struct live_tables *tables;
    struct rows rows;
    unsigned last;    /* of all numbers that rows were given */
    unsigned updates; /* so far: the figures of each are its number */
    bool is_failing;  /* updates end before there are figures */
};

struct holder {
    void *reader;
    struct rows held;
    unsigned hellos;
    unsigned figures; /* the last ones, 0: none yet */
    unsigned figures_taken;
};

static int64_t update_changing(void *context, struct live_tables *tables)
{
    struct changing *changing = context;
    char figures[32];
    snprintf(figures, sizeof(figures), "{\"s\":%u}", ++changing->updates);
    for (int table = 0; table < CHANGING; table++) {
        live_tables_begin(tables, table);
        for (uint64_t id = 1; id <= MAX_ID; id++) {
            char fixed[32];
            char live[32];
            struct numbers row = changing->rows.of[table][id];
            if (row.fixed == 0)
                continue;
            snprintf(fixed, sizeof(fixed), "{\"f\":%u}", row.fixed);
            snprintf(live, sizeof(live), "{\"v\":%u}", row.live);
            bool is_known = live_tables_seek(tables, table, id);
            live_tables_row(tables, table, id, is_known ? NULL : fixed, live);
        }
        live_tables_end(tables, table);
    }
    if (!changing->is_failing)
        live_tables_server(tables, figures);
    return 1000;
}

static unsigned number_of(const json_t *row, const char *part, const char *key)
{
    return (unsigned)json_integer_value(json_object_get(json_object_get(row, part), key));
}

static void take_row(struct numbers *held, const json_t *row)
{
    unsigned fixed = number_of(row, "fixed", "f");
    if (fixed != 0)
        held->fixed = fixed;
    assert_int_not_equal(held->fixed, 0); /* or the row is not known, and has none */
    held->live = number_of(row, "live", "v");
}

static void take_rows(struct holder *holder, const char *data)
{
    _cleanup_(json_done) json_t *event = json_loads(data, JSON_DISABLE_EOF_CHECK, NULL);
    const char *name = json_string_value(json_object_get(event, "table"));
    size_t index;
    json_t *each;
    assert_non_null(name);
    int table =
        strcmp(name, live_table_names[LIVE_TRIGGERS]) == 0 ? LIVE_TRIGGERS : LIVE_CONNECTIONS;
    assert_string_equal(name, live_table_names[table]);
    json_array_foreach(json_object_get(event, "rows"), index, each)
        take_row(&holder->held.of[table][json_integer_value(json_object_get(each, "id"))], each);
    json_array_foreach(json_object_get(event, "gone"), index, each)
        holder->held.of[table][json_integer_value(each)] = (struct numbers){0};
}

static void take_figures(struct holder *holder, const char *data)
{
    _cleanup_(json_done) json_t *figures = json_loads(data, JSON_DISABLE_EOF_CHECK, NULL);
    holder->figures = (unsigned)json_integer_value(json_object_get(figures, "s"));
    holder->figures_taken++;
}

/* As a page does. True: it was sent something. */
static bool read_piece(const struct changing *changing, struct holder *holder)
{
    static const char rows[] = "event: rows\ndata: ";
    static const char figures[] = "event: server\ndata: ";
    struct text piece = {0};
    bool is_more = live_tables_stream.write(changing->tables, holder->reader, &piece);
    const char *at = piece.bytes;
    if (at != NULL && strstr(at, "event: hello\n") != NULL) {
        holder->held = (struct rows){0};
        holder->hellos++;
    }
    for (; at != NULL && (at = strstr(at, rows)) != NULL; at++)
        take_rows(holder, at + strlen(rows));
    for (at = piece.bytes; at != NULL && (at = strstr(at, figures)) != NULL; at++)
        take_figures(holder, at + strlen(figures));
    is_more |= piece.length > 0;
    text_done(&piece);
    return is_more;
}

static void assert_holds_all(const struct changing *changing, struct holder *holder)
{
    while (read_piece(changing, holder))
        ;
    for (int table = 0; table < CHANGING; table++)
        for (size_t id = 0; id <= MAX_ID; id++) {
            struct numbers held = holder->held.of[table][id];
            struct numbers row = changing->rows.of[table][id];
            if (held.fixed != row.fixed || (row.fixed != 0 && held.live != row.live))
                fail_msg("table %d, row %zu: %u %u is held, it is %u %u", table, id, held.fixed,
                         held.live, row.fixed, row.live);
        }
}

static void make_rows(struct changing *changing, enum live_table table, size_t from, size_t to,
                      size_t step)
{
    for (size_t id = from; id <= to; id += step)
        changing->rows.of[table][id] = (struct numbers){++changing->last, changing->last};
}

static void change_rows(struct changing *changing, size_t from, size_t to, size_t step)
{
    for (size_t id = from; id <= to; id += step)
        changing->rows.of[LIVE_TRIGGERS][id].live = ++changing->last;
}

static void end_rows(struct changing *changing, enum live_table table, size_t from, size_t to)
{
    for (size_t id = from; id <= to; id++)
        changing->rows.of[table][id] = (struct numbers){0};
}

/* Those with odd ids are still to come. */
static struct changing *changing_new(void)
{
    struct changing *changing = memory_new(sizeof(*changing));
    changing->tables = live_tables_new(&(struct live_tables_settings){
        .hello = "{\"h\":1}", .update = update_changing, .context = changing});
    make_rows(changing, LIVE_TRIGGERS, 2, MAX_ID, 2);
    make_rows(changing, LIVE_CONNECTIONS, 2, 20, 2);
    return changing;
}

static void changing_free(struct changing *changing)
{
    live_tables_free(changing->tables);
    free(changing);
}

static struct holder *open_holder(const struct changing *changing)
{
    struct holder *holder = memory_new(sizeof(*holder));
    holder->reader = live_tables_stream.opened(changing->tables);
    return holder;
}

static void close_holder(const struct changing *changing, struct holder *holder)
{
    live_tables_stream.closed(changing->tables, holder->reader);
    free(holder);
}

/* It has one piece of 20,000 rows. Its place is between the rows 1000 and 10000. */
static struct holder *open_in_the_middle(const struct changing *changing)
{
    struct holder *holder = open_holder(changing);
    live_tables_stream.update(changing->tables);
    read_piece(changing, holder);
    assert_int_not_equal(holder->held.of[LIVE_TRIGGERS][1000].fixed, 0);
    assert_int_equal(holder->held.of[LIVE_TRIGGERS][10000].fixed, 0);
    return holder;
}

/* After a last update the reader has all, and did not have to begin again. */
static void end_with_all(struct changing *changing, struct holder *holder)
{
    live_tables_stream.update(changing->tables);
    assert_holds_all(changing, holder);
    assert_int_equal(holder->hellos, 1);
    close_holder(changing, holder);
    changing_free(changing);
}

static void rows_that_change_on_both_sides_of_a_reader_are_sent(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    change_rows(changing, 2, 40000, 6);
    live_tables_stream.update(changing->tables);
    read_piece(changing, holder);
    change_rows(changing, 4, 40000, 20);
    end_with_all(changing, holder);
}

static void rows_that_end_on_both_sides_of_a_reader_are_gone(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    end_rows(changing, LIVE_TRIGGERS, 100, 500);
    end_rows(changing, LIVE_TRIGGERS, 20000, 20500);
    live_tables_stream.update(changing->tables);
    read_piece(changing, holder);
    end_rows(changing, LIVE_TRIGGERS, 1, 20);
    end_rows(changing, LIVE_TRIGGERS, 39900, 40000);
    end_with_all(changing, holder);
}

static void rows_that_come_on_both_sides_of_a_reader_are_sent(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    make_rows(changing, LIVE_TRIGGERS, 1, 801, 2);
    make_rows(changing, LIVE_TRIGGERS, 30001, 30801, 2);
    live_tables_stream.update(changing->tables);
    read_piece(changing, holder);
    make_rows(changing, LIVE_TRIGGERS, 10001, 12001, 2);
    make_rows(changing, LIVE_TRIGGERS, MAX_ID, MAX_ID, 2);
    end_with_all(changing, holder);
}

/* It is sent no end of the former ones. */
static void rows_that_end_and_come_back_are_other_ones(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    end_rows(changing, LIVE_TRIGGERS, 100, 500);
    end_rows(changing, LIVE_TRIGGERS, 20000, 20500);
    live_tables_stream.update(changing->tables);
    make_rows(changing, LIVE_TRIGGERS, 100, 500, 2);
    make_rows(changing, LIVE_TRIGGERS, 20000, 20500, 2);
    end_with_all(changing, holder);
}

/* More than are remembered; the rest moves, and a reader that had everything goes on from there. */
static void rows_may_move_below_readers(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    struct holder *other = open_holder(changing);
    assert_holds_all(changing, other);
    end_rows(changing, LIVE_TRIGGERS, 100, 5000);
    end_rows(changing, LIVE_TRIGGERS, 20000, 25000);
    live_tables_stream.update(changing->tables);
    read_piece(changing, holder);
    assert_int_equal(holder->hellos, 1); /* none of them is forgotten yet */
    assert_holds_all(changing, other);
    make_rows(changing, LIVE_TRIGGERS, 51, 99, 2);
    change_rows(changing, 2, 98, 2);
    change_rows(changing, 39900, 40000, 2);
    live_tables_stream.update(changing->tables); /* forgets what ended before */
    read_piece(changing, holder);
    live_tables_stream.update(changing->tables);
    assert_holds_all(changing, holder);
    assert_holds_all(changing, other);
    assert_int_equal(holder->hellos, 2);
    assert_int_equal(other->hellos, 1);
    close_holder(changing, holder);
    close_holder(changing, other);
    changing_free(changing);
}

/* Those say how old the rows are, at the least. */
static void figures_come_after_the_rows_of_their_update(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(holder->figures_taken, 0);
        change_rows(changing, 2, 40000, 2);
        live_tables_stream.update(changing->tables);
        read_piece(changing, holder);
    }
    while (holder->figures_taken == 0)
        read_piece(changing, holder);
    assert_int_equal(holder->figures, 1); /* it began with those */
    while (read_piece(changing, holder))
        ;
    assert_int_equal(holder->figures, changing->updates);
    assert_int_equal(holder->figures_taken, 2);
    end_with_all(changing, holder);
}

/* It gave some rows and no figures: what a reader has is as old as it was. */
static void an_update_that_fails_renews_no_figures(void **state)
{
    (void)state;
    struct changing *changing = changing_new();
    struct holder *holder = open_in_the_middle(changing);
    while (read_piece(changing, holder))
        ;
    changing->is_failing = true;
    change_rows(changing, 2, 40000, 2);
    live_tables_stream.update(changing->tables);
    assert_holds_all(changing, holder);
    assert_int_equal(holder->figures_taken, 1);
    struct holder *other = open_holder(changing);
    assert_holds_all(changing, other);
    assert_int_equal(other->figures, 1);
    close_holder(changing, other);
    changing->is_failing = false;
    live_tables_stream.update(changing->tables);
    assert_holds_all(changing, holder);
    assert_int_equal(holder->figures, changing->updates);
    end_with_all(changing, holder);
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
        cmocka_unit_test(rows_that_change_on_both_sides_of_a_reader_are_sent),
        cmocka_unit_test(rows_that_end_on_both_sides_of_a_reader_are_gone),
        cmocka_unit_test(rows_that_come_on_both_sides_of_a_reader_are_sent),
        cmocka_unit_test(rows_that_end_and_come_back_are_other_ones),
        cmocka_unit_test(rows_may_move_below_readers),
        cmocka_unit_test(figures_come_after_the_rows_of_their_update),
        cmocka_unit_test(an_update_that_fails_renews_no_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
