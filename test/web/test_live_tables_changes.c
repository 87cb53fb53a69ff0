/* What readers of live tables are sent while the tables change: each is in the middle of them. */
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "web/content/live_tables.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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
    holder->reader = live_tables_stream.opened(changing->tables, false);
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
