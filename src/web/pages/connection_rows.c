#include "web/pages/connection_rows.h"

#include "base/memory.h"
#include "measure/engine.h"
#include "web/content/web_json.h"

#include <math.h>

enum { DIGITS = 6 }; /* of a number in a row of the table */

/* In steps, as a row is sent again with each change. A utilization that is not 0 stays above 0. */
static double utilization_step(double utilization)
{
    const double least = 0.0001;
    return utilization > 0 && utilization < 0.0005 ? least : round(utilization * 1000) / 1000;
}

static json_t *connection_fixed(const struct connection_info *info)
{
    json_t *object = json_object();
    web_json_set(object, "scaler", web_json_text(info->scaler->name));
    web_json_set(object, "inAgent", json_boolean(info->in_agent));
    web_json_set(object, "settings", web_json_options(info->values, web_json_short));
    return object;
}

static json_t *connection_live(const struct connection_info *info)
{
    const struct connection_stats *stats = &info->stats;
    json_t *object = json_object();
    web_json_set(object, "name", web_json_short(info->name)); /* changes with its users */
    web_json_set(object, "state", web_json_text(client_state_name(info->state)));
    web_json_set(object, "queries", json_integer((json_int_t)stats->counts[COUNT_QUERIES]));
    web_json_set(object, "failing", json_integer((json_int_t)stats->counts[COUNT_FAILING_QUERIES]));
    web_json_set(object, "isolated",
                 json_integer((json_int_t)stats->counts[COUNT_ISOLATED_QUERIES]));
    web_json_set(object, "subscribed",
                 json_integer((json_int_t)stats->counts[COUNT_SUBSCRIBED_QUERIES]));
    web_json_set(object, "utilization", web_json_number(utilization_step(stats->utilization)));
    web_json_set(object, "roundTrip", web_json_number(info->round_trip_seconds));
    web_json_set(object, "delay", web_json_number(stats->delay_seconds));
    if (info->error[0] != '\0')
        web_json_set(object, "error", web_json_short(info->error));
    return object;
}

static void update_connection(void *context, const struct connection_info *info)
{
    struct live_tables *tables = context;
    bool is_known = live_tables_seek(tables, LIVE_CONNECTIONS, info->number);
    _cleanup_(memory_free) char *fixed =
        web_json_compact(is_known ? NULL : connection_fixed(info), DIGITS);
    _cleanup_(memory_free) char *live = web_json_compact(connection_live(info), DIGITS);
    live_tables_row(tables, LIVE_CONNECTIONS, info->number, fixed, live);
}

static void list_connection(void *context, const struct connection_info *info)
{
    struct list_part *list = context;
    if (!list_part_next(list, info->number))
        return;
    _cleanup_(json_done) json_t *fixed = connection_fixed(info);
    json_t *object = connection_live(info);
    json_object_update(object, fixed);
    web_json_set(object, "id", json_integer((json_int_t)info->number));
    list_part_add(list, object);
}

void connection_rows_update(struct live_tables *tables, struct engine *engine)
{
    live_tables_begin(tables, LIVE_CONNECTIONS);
    engine_connections(engine, update_connection, tables);
    live_tables_end(tables, LIVE_CONNECTIONS);
}

void connection_rows_list(struct engine *engine, struct list_part *list)
{
    engine_connections(engine, list_connection, list);
}
