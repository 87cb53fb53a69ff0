/*
 * What the views of a trigger's report show of it: a table with a row for each field, which says in
 * which views it is. A field that views call by different names, or that is another number there,
 * has a row for each. Each view has its fields in the order of the rows.
 *
 * A new field is a member of struct trigger_figures (of a reading: of struct reading) and a row
 * here; docs/architecture.md lists the other places. By hand are, with no row here: of the
 * dashboard's rows `superseded`, `connection`, `connectionId`, `time`, `ratesAreBounds` and `error`
 * (write_live() in pages/trigger_rows.c), whose memory budget.c counts (row_bytes()); and all of
 * the page of a trigger but the reading and the rates (explain() in pages/explain.c).
 *
 * Threads: any that may read the trigger (the turn lock), or the figures.
 */
#ifndef BACKLOG_WEB_CONTENT_TRIGGER_FIELDS_H
#define BACKLOG_WEB_CONTENT_TRIGGER_FIELDS_H

#include "scale/trigger/trigger_report.h"
#include "web/content/web_json.h"

#include <stddef.h>

enum trigger_view {
    VIEW_READING = 1 << 0, /* what explain has as "reading" */
    VIEW_ROW = 1 << 1,     /* the dashboard's rows */
    VIEW_HISTORY = 1 << 2, /* the history, as JSON */
    VIEW_CSV = 1 << 3,     /* the history, as CSV: its columns are in this order */
    VIEW_METRICS = 1 << 4,
    VIEW_RATES = 1 << 5, /* what explain has as "rates" */
};

struct trigger_field {
    const char *key;    /* in JSON */
    const char *column; /* in CSV */
    const char *metric; /* the name of its metric */
    const char *help;   /* what the metric says */
    enum { FIELD_NUMBER, FIELD_BOOLEAN, FIELD_WORD } kind;
    unsigned views;
    /* In struct trigger_figures: a double. Of a word, a const char *, one of a few names of ours:
     * it is short, and has nothing to escape in JSON and CSV. */
    size_t offset;
};

/* The field that comes next in a view; after NULL comes the first. NULL: there is no other. */
const struct trigger_field *trigger_field_next(const struct trigger_field *field,
                                               enum trigger_view view);

#define TRIGGER_FIELD_FOREACH(field, view)                                                         \
    for (const struct trigger_field *field = NULL;                                                 \
         ((field) = trigger_field_next(field, view)) != NULL;)

/* What the field is, as text, which may be in `buffer`; a number has so many digits. `word_quote`
 * is "\"" for JSON, and "" for a cell of CSV. NULL: it is not known. */
enum { TRIGGER_FIELD_BYTES = 32 };
const char *trigger_field_text(const struct trigger_field *field,
                               const struct trigger_figures *figures, int digits,
                               const char *word_quote, char buffer[TRIGGER_FIELD_BYTES]);

/* Of the views whose fields all are numbers: VIEW_READING, VIEW_METRICS and VIEW_RATES. NAN: it is
 * not known. */
double trigger_field_number(const struct trigger_field *field,
                            const struct trigger_figures *figures);

/* Adds what several pages begin with: "scaler" (null: it is unknown), "metricName" and "target". */
void trigger_fields_add_head(json_t *object, const struct trigger *trigger,
                             web_json_make_text *make_text);

#endif
