#include "daemon/invalid_connections.h"

#include "base/memory.h"
#include "base/metric.h"

/* Metrics with their names; backlog_invalid_connections counts all. */
enum { MAX_NAMED = 100 };

/* Of one file or Secret on a page, and of one mistake: whoever writes a Secret must not hold up the
 * event loop. */
enum { MAX_LINES = 20, LONGEST_SHOWN = 300 };

static void add_sample(struct text *page, const char *family,
                       const struct invalid_connection *invalid)
{
    _cleanup_(text_done) struct text labels = {0};
    metric_add_label(&labels, "connection", invalid->name);
    metric_add_label(&labels, "in_use", invalid->is_former_used ? "last_good" : "none");
    metric_sample(page, family, labels.bytes, 1);
}

void invalid_connections_write_metrics(const struct connections *connections, struct text *page)
{
    static const char family[] = "backlog_invalid_connection";
    struct invalid_connection invalid;
    size_t position = 0;
    size_t named = 0;
    metric_single(page, "backlog_invalid_connections", METRIC_GAUGE,
                  "Mistakes in the connections files, each of one connection or of one file.",
                  (double)connections_count_invalid(connections));
    metric_family(page, family, METRIC_GAUGE,
                  "1 for each connection that is invalid, the first hundred of them; in_use says "
                  "whether its last good version is.");
    while (named < MAX_NAMED && connections_next_invalid(connections, &position, &invalid))
        if (invalid.name != NULL && !invalid.is_repeated) {
            add_sample(page, family, &invalid);
            named++;
        }
}

static void add_line(struct text *page, const struct invalid_connection *invalid)
{
    int length = (int)text_cut(invalid->text, LONGEST_SHOWN);
    const char *rest = invalid->text[length] == '\0' ? "" : " ...";
    if (invalid->name == NULL)
        text_addf(page, "[-]invalid: %.*s%s\n", length, invalid->text, rest);
    else
        text_addf(page, "[-]connection \"%.*s\" is invalid: %.*s%s (%s)\n",
                  (int)text_cut(invalid->name, LONGEST_SHOWN), invalid->name, length, invalid->text,
                  rest, invalid_connection_state(invalid));
}

void invalid_connections_write_lines(const struct connections *connections, struct text *page)
{
    struct invalid_connection invalid;
    size_t position = 0;
    size_t lines = 0;
    while (lines < MAX_LINES && connections_next_invalid(connections, &position, &invalid)) {
        add_line(page, &invalid);
        lines++;
    }
    if (lines == MAX_LINES && connections_next_invalid(connections, &position, &invalid))
        text_add(page, "[-]and more of it\n");
}
