#include "web/content/live_tables.h"

#include "base/clock.h"
#include "base/json_cleanup.h"
#include "base/memory.h"
#include "web/content/web_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

enum { MAX_GONE = 1000, LOG_LINES_AT_A_TIME = 50 };

/* Figures that are older than so many periods are late: the next update may take longer than the
 * last one, and the number of triggers may grow while a reader stays for days. */
enum { LATE_PERIODS = 2 };

const char *const live_table_names[LIVE_TABLES] = {
    [LIVE_TRIGGERS] = "triggers", [LIVE_CONNECTIONS] = "connections", [LIVE_WORKERS] = "workers"};

struct row {
    uint64_t id;
    uint64_t made;    /* the version of its `fixed` */
    uint64_t changed; /* the version in which the row changed last, or went */
    char *fixed;
    char *live; /* NULL: it is gone */
};

struct table {
    struct row *rows; /* by id */
    size_t count, capacity;
    size_t gone; /* how many of the rows are */
    size_t at;   /* while the table is updated: where the next row is to be */
};

/* A walk sends what has changed after version `from`, and then the figures (live_tables.h). */
struct live_tables_reader {
    uint64_t from; /* the reader has all of this version; 0: it has nothing */
    uint64_t to;   /* the version when its walk began; 0: there is no walk */
    int table;     /* where the walk is */
    size_t row;
    char *server; /* the figures that close the walk; NULL: the reader has them */
    uint64_t
        server_version; /* of `server`; where that is NULL, of the figures that were sent last */
    uint64_t log;       /* the number of the last line that the reader has */
    bool has_session;   /* which the reader can end */
    bool is_greeted;
    bool is_ready;
    struct live_tables_reader *next, *prev;
};

struct live_tables {
    struct live_tables_settings settings;
    struct table tables[LIVE_TABLES];
    struct live_tables_reader *readers;
    uint64_t version;      /* counts the updates */
    int64_t updated_at_ms; /* when the last update began; 0: what it left is forgotten */
    int64_t period_ms;     /* from the begin of one update to that of the next, as of the last */
    char *server;          /* the figures; NULL: there are none */
    uint64_t server_version;
};

/* ---- tables ---- */

static void clear_tables(struct live_tables *tables)
{
    for (int t = 0; t < LIVE_TABLES; t++) {
        struct table *table = &tables->tables[t];
        for (size_t i = 0; i < table->count; i++) {
            free(table->rows[i].fixed);
            free(table->rows[i].live);
        }
        free(table->rows);
        *table = (struct table){0};
    }
    free(TAKE(tables->server));
}

struct live_tables *live_tables_new(const struct live_tables_settings *settings)
{
    struct live_tables *tables = memory_new(sizeof(*tables));
    tables->settings = *settings;
    return tables;
}

bool live_tables_has_readers(const struct live_tables *tables)
{
    return tables->readers != NULL;
}

void live_tables_free(struct live_tables *tables)
{
    if (tables == NULL)
        return;
    clear_tables(tables);
    free(tables);
}

static void end_row(struct live_tables *tables, struct table *table, struct row *row)
{
    if (row->live == NULL)
        return;
    free(TAKE(row->fixed));
    free(TAKE(row->live));
    row->changed = tables->version;
    table->gone++;
}

void live_tables_begin(struct live_tables *tables, enum live_table which)
{
    tables->tables[which].at = 0;
}

bool live_tables_seek(struct live_tables *tables, enum live_table which, uint64_t id)
{
    struct table *table = &tables->tables[which];
    while (table->at < table->count && table->rows[table->at].id < id)
        end_row(tables, table, &table->rows[table->at++]);
    return table->at < table->count && table->rows[table->at].id == id &&
           table->rows[table->at].live != NULL;
}

void live_tables_row(struct live_tables *tables, enum live_table which, uint64_t id,
                     const char *fixed, const char *live)
{
    struct table *table = &tables->tables[which];
    bool is_known = live_tables_seek(tables, which, id);
    if (!is_known && fixed == NULL)
        return;
    if (table->at == table->count || table->rows[table->at].id != id) {
        table->rows =
            memory_grow(table->rows, &table->capacity, table->count + 1, sizeof(*table->rows));
        memmove(&table->rows[table->at + 1], &table->rows[table->at],
                (table->count - table->at) * sizeof(*table->rows));
        table->count++;
        table->rows[table->at] = (struct row){.id = id};
    } else if (!is_known)
        table->gone--;
    struct row *row = &table->rows[table->at++];
    bool is_other = !is_known || (fixed != NULL && strcmp(row->fixed, fixed) != 0);
    if (is_other) {
        free(row->fixed);
        row->made = tables->version;
        row->fixed = text_copy(fixed);
    }
    if (!is_other && strcmp(row->live, live) == 0)
        return;
    free(row->live);
    row->live = text_copy(live);
    row->changed = tables->version;
}

/* Forgets the rows that went in this version or before. A reader that does not know yet that one of
 * them is gone begins again, as nothing would say so later. Example: rows went in versions 4 and 7,
 * and are forgotten until version 8. A reader with `from` 6 begins again, one with 7 does not. */
static void forget_until(struct live_tables *tables, struct table *table, uint64_t version)
{
    struct live_tables_reader *reader;
    size_t kept = 0;
    uint64_t newest = 0; /* the last version in which a forgotten row went */
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].live != NULL || table->rows[i].changed > version)
            table->rows[kept++] = table->rows[i];
        else
            newest = MAX(newest, table->rows[i].changed);
    if (kept == table->count)
        return;
    table->gone -= table->count - kept;
    table->count = kept;
    DL_FOREACH(tables->readers, reader) {
        reader->to = 0; /* its walk begins again, as rows have moved */
        if (reader->from >= newest)
            continue;
        free(reader->server);
        *reader = (struct live_tables_reader){
            .has_session = reader->has_session, .next = reader->next, .prev = reader->prev};
    }
}

/* First forgets rows of which all readers know that they are gone. If too many remain, forgets them
 * also for slow readers, which begin again. */
static void forget_gone(struct live_tables *tables, struct table *table)
{
    const struct live_tables_reader *reader;
    uint64_t sent_to_all = tables->version;
    DL_FOREACH(tables->readers, reader)
        if (reader->from < sent_to_all)
            sent_to_all = reader->from;
    forget_until(tables, table, sent_to_all);
    if (table->gone > MAX_GONE)
        forget_until(tables, table, tables->version - 1);
}

void live_tables_end(struct live_tables *tables, enum live_table which)
{
    struct table *table = &tables->tables[which];
    while (table->at < table->count)
        end_row(tables, table, &table->rows[table->at++]);
    if (table->gone > MAX_GONE)
        forget_gone(tables, table);
}

void live_tables_server(struct live_tables *tables, const char *json)
{
    free(tables->server);
    tables->server = text_copy(json);
    tables->server_version = tables->version;
}

/* ---- readers ---- */

static void *reader_opened(void *context, bool has_session)
{
    struct live_tables *tables = context;
    struct live_tables_reader *reader = memory_new(sizeof(*reader));
    reader->has_session = has_session;
    DL_APPEND(tables->readers, reader);
    return reader;
}

static void reader_closed(void *context, void *argument)
{
    struct live_tables *tables = context;
    struct live_tables_reader *reader = argument;
    DL_DELETE(tables->readers, reader);
    free(reader->server);
    free(reader);
}

static void forget_tables(void *context)
{
    struct live_tables *tables = context;
    clear_tables(tables);
    tables->updated_at_ms = 0;
}

/* The period of the first update is what is known of it: its own time and its rest. Later ones have
 * it measured, with what writing to the readers adds to the rest (web_stream.h). */
static int64_t renew_tables(void *context)
{
    struct live_tables *tables = context;
    int64_t began_ms = clock_now_ms();
    int64_t last_ms = tables->updated_at_ms == 0 ? 0 : began_ms - tables->updated_at_ms;
    tables->version++;
    tables->updated_at_ms = began_ms;
    int64_t rest_ms = tables->settings.update(tables->settings.context, tables);
    tables->period_ms = MAX(last_ms, clock_now_ms() - began_ms + rest_ms);
    return rest_ms;
}

static void add_row(const struct live_tables_reader *reader, const struct row *row,
                    struct text *piece)
{
    text_addf(piece, "{\"id\":%" PRIu64, row->id);
    if (row->made > reader->from) {
        text_add(piece, ",\"fixed\":");
        text_add(piece, row->fixed);
    }
    text_add(piece, ",\"live\":");
    text_add(piece, row->live);
    text_add(piece, "}");
}

/* Goes on from the reader's row until the table ends or the piece is full. */
static void write_rows(const struct live_tables *tables, struct live_tables_reader *reader,
                       struct text *piece)
{
    const struct table *table = &tables->tables[reader->table];
    _cleanup_(text_done) struct text rows = {0};
    _cleanup_(text_done) struct text gone = {0};
    for (; reader->row < table->count; reader->row++) {
        const struct row *row = &table->rows[reader->row];
        if (piece->length + rows.length + gone.length >= WEB_STREAM_PIECE_BYTES)
            break;
        if (row->changed <= reader->from)
            continue;
        if (row->live == NULL)
            text_addf(&gone, "%s%" PRIu64, gone.length > 0 ? "," : "", row->id);
        else {
            text_add(&rows, rows.length > 0 ? "," : "");
            add_row(reader, row, &rows);
        }
    }
    if (rows.length + gone.length == 0)
        return;
    text_addf(piece, "event: rows\ndata: {\"table\":\"%s\",\"rows\":[",
              live_table_names[reader->table]);
    text_add_bytes(piece, rows.bytes, rows.length);
    text_add(piece, "],\"gone\":[");
    text_add_bytes(piece, gone.bytes, gone.length);
    text_add(piece, "]}\n\n");
}

static void begin_walk(const struct live_tables *tables, struct live_tables_reader *reader)
{
    reader->to = tables->version;
    reader->table = 0;
    reader->row = 0;
    if (reader->server_version == tables->server_version)
        return;
    free(reader->server);
    reader->server = text_copy(tables->server);
    reader->server_version = tables->server_version;
}

/* True: the piece is full, and the walk is not over. */
static bool walk_tables(const struct live_tables *tables, struct live_tables_reader *reader,
                        struct text *piece)
{
    if (reader->to == 0)
        begin_walk(tables, reader);
    while (reader->table < LIVE_TABLES) {
        write_rows(tables, reader, piece);
        if (reader->row < tables->tables[reader->table].count)
            return true;
        reader->table++;
        reader->row = 0;
    }
    reader->from = reader->to;
    reader->to = 0;
    return false;
}

/* True: there are more lines. */
static bool write_log(struct live_tables_reader *reader, struct text *piece)
{
    _cleanup_(json_done) json_t *lines = web_json_log(&reader->log, LOG_LINES_AT_A_TIME);
    if (json_array_size(lines) == 0)
        return false;
    _cleanup_(memory_free) char *json =
        web_json_compact(json_incref(lines), WEB_JSON_STREAM_DIGITS);
    text_addf(piece, "event: log\ndata: %s\n\n", json);
    return json_array_size(lines) == LOG_LINES_AT_A_TIME;
}

/* Adds "maxAgeMs" and "sent" before the last brace of the figures. */
static void write_server(const struct live_tables *tables, struct live_tables_reader *reader,
                         struct text *piece)
{
    if (reader->server == NULL)
        return;
    text_add(piece, "event: server\ndata: ");
    text_add_bytes(piece, reader->server, strlen(reader->server) - 1);
    text_addf(piece, ",\"maxAgeMs\":%" PRId64 ",\"sent\":%.3f}\n\n",
              LATE_PERIODS * tables->period_ms, clock_unix_s(clock_now_ms()));
    free(TAKE(reader->server));
}

/* Adds members of this reader behind the first brace of the settings' hello. */
static void write_hello(const struct live_tables *tables, struct live_tables_reader *reader,
                        struct text *piece)
{
    const char *members = tables->settings.hello + 1;
    if (reader->is_greeted)
        return;
    text_addf(piece, "retry: 2000\nevent: hello\ndata: {%s%s%s\n\n",
              reader->has_session ? "\"hasSession\":true" : "",
              reader->has_session && *members != '}' ? "," : "", members);
    reader->is_greeted = true;
}

static bool write_news(void *context, void *argument, struct text *piece)
{
    struct live_tables *tables = context;
    struct live_tables_reader *reader = argument;
    if (tables->version == 0 || tables->server == NULL)
        return false; /* the first update is still to come */
    write_hello(tables, reader, piece);
    if (reader->from < tables->version && walk_tables(tables, reader, piece))
        return true;
    write_server(tables, reader, piece);
    if (!reader->is_ready)
        text_add(piece, "event: ready\ndata: {}\n\n");
    reader->is_ready = true;
    return write_log(reader, piece);
}

const struct web_stream_hooks live_tables_stream = {
    .opened = reader_opened,
    .closed = reader_closed,
    .update = renew_tables,
    .write = write_news,
    .forget = forget_tables,
};
