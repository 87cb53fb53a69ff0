#include "web/pages.h"

#include "base/clock.h"
#include "web/content/live_tables.h"
#include "web/http/page.h"

#include <event2/keyvalq_struct.h>
#include <math.h>

struct triggers *table_of(size_t max)
{
    return triggers_new(&(struct triggers_settings){
        .scalers = fake_scalers, .engine = engine, .forget_ms = 1000, .max = max});
}

static bool run(void *context, void (*call)(void *call_context), void *call_context)
{
    struct fake_loop *loop = context;
    loop->turns++;
    usleep(loop->wait_us);
    if (!loop->is_busy)
        call(call_context);
    return !loop->is_busy;
}

struct trigger_walk *walk_of_triggers(struct fake_loop *loop)
{
    static struct fake_loop usual;
    static struct trigger_walk walk;
    walk = (struct trigger_walk){
        .triggers = triggers, .run = run, .run_context = loop == NULL ? &usual : loop};
    return &walk;
}

double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value)    ? json_number_value(value)
           : json_is_boolean(value) ? (double)json_is_true(value)
                                    : (double)NAN;
}

json_t *page_of(const struct trigger *trigger,
                void (*get)(void *context, const struct page_request *request,
                            struct page_response *response),
                const char *list)
{
    struct page_response response = {0};
    struct evkeyvalq none = {0};
    char namespace[] = "shop";
    char name[] = "worker";
    const struct page_request request = {
        .below = {namespace, name}, .below_count = 2, .parameters = &none};
    get((void *)walk_of_triggers(NULL), &request, &response);
    json_t *page = json_loads(response.body.bytes, 0, NULL);
    text_done(&response.body);
    const json_t *triggers_of_page = list == NULL ? page : json_object_get(page, list);
    size_t index;
    json_t *one;
    json_t *found = NULL;
    json_array_foreach(triggers_of_page, index, one)
        if (json_integer_value(json_object_get(one, "id")) == (json_int_t)trigger->id)
            found = json_incref(one);
    json_decref(page);
    assert_non_null(found);
    return found;
}

static int64_t update(void *context, struct live_tables *tables)
{
    struct trigger_rows **rows = context;
    assert_true(trigger_rows_update(*rows, walk_of_triggers(NULL)));
    live_tables_server(tables, "{\"s\":1}");
    return 1000;
}

struct text read_rows(struct trigger_totals *ret_totals)
{
    struct trigger_rows *rows = NULL;
    struct live_tables *tables = live_tables_new(
        &(struct live_tables_settings){.hello = "{}", .update = update, .context = &rows});
    rows = trigger_rows_new(tables);
    void *reader = live_tables_stream.opened(tables, false);
    live_tables_stream.update(tables);
    struct text piece = {0};
    while (live_tables_stream.write(tables, reader, &piece))
        ;
    *ret_totals = *trigger_rows_totals(rows);
    live_tables_stream.closed(tables, reader);
    trigger_rows_free(rows);
    live_tables_free(tables);
    return piece;
}

struct trigger *find_now(const char *const *pairs)
{
    return find_in("shop", clock_now_ms(), pairs);
}
