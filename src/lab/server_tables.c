#include "lab/server_tables.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/text.h"
#include "lab/server_reader.h"
#include "web/content/web_json.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE_BYTES = 8 << 20, /* of an event, which has a piece of a table at most */
    MAX_ROWS = 10 * 1000,     /* of a table; more are not shown */
    RETRY_MS = 1000,
    TIMEOUT_MS = 5000,      /* of what does not go on: nothing here */
    MAX_AGE_MS = 30 * 1000, /* of figures: a server whose loop is busy sends none */
};

struct server_row {
    uint64_t id;
    json_t *fixed, *live;
};

struct server_table {
    struct server_row *rows; /* by id */
    size_t count, capacity;
};

struct server_tables {
    struct server_reader reader; /* its lock guards instance, by_name and figures */
    struct text line;            /* the thread's, as the next ones */
    char event[16];
    bool is_failing;
    char *instance; /* of the hello; NULL: none has come */
    struct server_table by_name[LIVE_TABLES];
    json_t *figures;
    int64_t figures_ms; /* when they came */
};

/* ---- rows; the lock is held ---- */

static void row_done(struct server_row *row)
{
    json_decref(row->fixed);
    json_decref(row->live);
}

static void clear(struct server_tables *tables)
{
    for (int t = 0; t < LIVE_TABLES; t++) {
        struct server_table *table = &tables->by_name[t];
        for (size_t i = 0; i < table->count; i++)
            row_done(&table->rows[i]);
        free(table->rows);
        *table = (struct server_table){0};
    }
    json_decref(TAKE(tables->figures));
    free(TAKE(tables->instance));
}

static void take_hello(struct server_tables *tables, const json_t *hello)
{
    const char *instance = json_string_value(json_object_get(hello, "instance"));
    clear(tables);
    tables->instance = text_copy(instance == NULL ? "" : instance);
}

/* Where the row with this id is, or would be. */
static size_t place_of(const struct server_table *table, uint64_t id)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct server_table *table, size_t place, uint64_t id)
{
    return place < table->count && table->rows[place].id == id;
}

static void take_row(struct server_table *table, const json_t *row)
{
    uint64_t id = (uint64_t)json_integer_value(json_object_get(row, "id"));
    json_t *fixed = json_object_get(row, "fixed");
    json_t *live = json_object_get(row, "live");
    size_t place = place_of(table, id);
    if (!json_is_object(live))
        return;
    if (!is_at(table, place, id)) {
        if (!json_is_object(fixed) || table->count >= MAX_ROWS)
            return;
        table->rows =
            memory_grow(table->rows, &table->capacity, table->count + 1, sizeof(*table->rows));
        memmove(&table->rows[place + 1], &table->rows[place],
                (table->count++ - place) * sizeof(*table->rows));
        table->rows[place] = (struct server_row){.id = id, .fixed = json_incref(fixed)};
    }
    json_decref(table->rows[place].live);
    table->rows[place].live = json_incref(live);
}

static void drop_row(struct server_table *table, uint64_t id)
{
    size_t place = place_of(table, id);
    if (!is_at(table, place, id))
        return;
    row_done(&table->rows[place]);
    memmove(&table->rows[place], &table->rows[place + 1],
            (--table->count - place) * sizeof(*table->rows));
}

static void take_rows(struct server_tables *tables, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "table"));
    const json_t *item;
    size_t i;
    for (int t = 0; name != NULL && t < LIVE_TABLES; t++) {
        if (!text_equal(name, live_table_names[t]))
            continue;
        json_array_foreach(json_object_get(event, "rows"), i, item)
            take_row(&tables->by_name[t], item);
        json_array_foreach(json_object_get(event, "gone"), i, item)
            drop_row(&tables->by_name[t], (uint64_t)json_integer_value(item));
    }
}

/* ---- events ---- */

static void take_log(const json_t *lines)
{
    const json_t *line;
    size_t i;
    json_array_foreach(lines, i, line) {
        const char *name = json_string_value(json_object_get(line, "level"));
        const char *text = json_string_value(json_object_get(line, "text"));
        int level = LOG_LEVEL_INFO;
        for (int one = LOG_LEVEL_DEBUG; name != NULL && one <= LOG_LEVEL_ERROR; one++)
            if (text_equal(name, log_level_name((enum log_level)one)))
                level = one;
        _cleanup_(memory_free) char *shown = text_format("server: %s", text == NULL ? "" : text);
        recent_log_add(level, shown);
    }
}

/* When they were taken is of the server's clock, and then of ours: pages show how old they are. */
static void take_figures(struct server_tables *tables, json_t *figures)
{
    const json_t *time = json_object_get(figures, "time");
    const json_t *sent = json_object_get(figures, "sent");
    tables->figures_ms = clock_now_ms();
    if (json_is_number(time) && json_is_number(sent)) {
        double age_s = json_number_value(sent) - json_number_value(time);
        web_json_set(figures, "time", web_json_number(clock_unix_s(tables->figures_ms) - age_s));
    }
    json_decref(tables->figures);
    tables->figures = json_incref(figures);
}

static void take_event(struct server_tables *tables, const char *data)
{
    _cleanup_(json_done) json_t *json = json_loads(data, 0, NULL);
    if (json == NULL)
        return;
    if (text_equal(tables->event, "log")) {
        take_log(json);
        return;
    }
    pthread_mutex_lock(&tables->reader.lock);
    if (text_equal(tables->event, "hello"))
        take_hello(tables, json);
    else if (text_equal(tables->event, "rows"))
        take_rows(tables, json);
    else if (text_equal(tables->event, "server")) {
        take_figures(tables, json);
    }
    pthread_mutex_unlock(&tables->reader.lock);
    tables->is_failing = false;
}

static void take_line(struct server_tables *tables, const char *line)
{
    static const char event[] = "event: ", data[] = "data: ";
    if (text_starts_with(line, event))
        snprintf(tables->event, sizeof(tables->event), "%s", line + strlen(event));
    else if (text_starts_with(line, data))
        take_event(tables, line + strlen(data));
}

/* False: no server of ours writes such a line. */
static bool take(void *context, const char *bytes, size_t length)
{
    struct server_tables *tables = context;
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t part = end == NULL ? length : (size_t)(end - bytes);
        if (tables->line.length + part > MAX_LINE_BYTES)
            return false;
        text_add_bytes(&tables->line, bytes, part);
        if (end == NULL)
            break;
        take_line(tables, tables->line.bytes == NULL ? "" : tables->line.bytes);
        text_clear(&tables->line);
        bytes += part + 1;
        length -= part + 1;
    }
    return true;
}

/* ---- the thread ---- */

/* False: it is to end. */
static bool wait_to_retry(struct server_tables *tables)
{
    struct timespec until = clock_monotonic_after(RETRY_MS);
    pthread_mutex_lock(&tables->reader.lock);
    clear(tables); /* what it was before says nothing about now */
    while (!tables->reader.is_stopping &&
           pthread_cond_timedwait(&tables->reader.wake, &tables->reader.lock, &until) == 0)
        continue;
    bool is_stopping = tables->reader.is_stopping;
    pthread_mutex_unlock(&tables->reader.lock);
    return !is_stopping;
}

static void *follow_server(void *context)
{
    struct server_tables *tables = context;
    do {
        _cleanup_(error_done) struct error error = {0};
        text_clear(&tables->line);
        http_client_follow(tables->reader.client, "/api/events", take, tables, &error);
        pthread_mutex_lock(&tables->reader.lock);
        bool is_news = !tables->reader.is_stopping && !tables->is_failing;
        pthread_mutex_unlock(&tables->reader.lock);
        if (is_news)
            log_warning("--server-http: the figures of the server cannot be read; retrying: %s",
                        error_text(&error));
        tables->is_failing = true;
    } while (wait_to_retry(tables));
    return NULL;
}

static void tables_done(struct server_tables *tables)
{
    clear(tables);
    text_done(&tables->line);
    free(tables);
}

bool server_tables_begin(const struct http_server *server, struct server_tables **ret_tables,
                         struct error *error)
{
    struct server_tables *tables = memory_new(sizeof(*tables));
    if (!server_reader_begin(&tables->reader, server, TIMEOUT_MS, follow_server, tables, error)) {
        tables_done(tables);
        return false;
    }
    *ret_tables = tables;
    return true;
}

void server_tables_end(struct server_tables *tables)
{
    if (tables == NULL)
        return;
    server_reader_end(&tables->reader);
    tables_done(tables);
}

/* ---- what is known ---- */

void server_tables_visit(struct server_tables *tables, enum live_table table,
                         void (*visit)(void *context, uint64_t id, const json_t *fixed,
                                       const json_t *live),
                         void *context)
{
    pthread_mutex_lock(&tables->reader.lock);
    const struct server_table *rows = &tables->by_name[table];
    for (size_t i = 0; i < rows->count; i++)
        visit(context, rows->rows[i].id, rows->rows[i].fixed, rows->rows[i].live);
    pthread_mutex_unlock(&tables->reader.lock);
}

bool server_tables_are_of(struct server_tables *tables, const char *instance)
{
    pthread_mutex_lock(&tables->reader.lock);
    bool are =
        tables->instance != NULL && text_equal(tables->instance, instance == NULL ? "" : instance);
    pthread_mutex_unlock(&tables->reader.lock);
    return are;
}

json_t *server_tables_figures(struct server_tables *tables)
{
    pthread_mutex_lock(&tables->reader.lock);
    bool is_known = tables->figures != NULL && clock_now_ms() - tables->figures_ms <= MAX_AGE_MS;
    json_t *figures = is_known ? json_copy(tables->figures) : NULL;
    pthread_mutex_unlock(&tables->reader.lock);
    return figures;
}
