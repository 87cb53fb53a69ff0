/*
 * The fields that views of a trigger have: a table, whose rows say in which views a field is. A
 * field with different names in two views has two rows. A view has its fields in the order of the
 * rows.
 *
 * A new field is a member of struct trigger_figures (of a reading: of struct reading) and a row
 * here; docs/architecture.md lists the other places. Two views have fields that are not in the
 * table:
 *
 *     the dashboard's rows  `superseded`, `connection`, `connectionId`, `time`, `ratesAreBounds`,
 *                           `error`: write_live() in pages/trigger_rows.c
 *     explain               all but the reading and the rates: explain() in pages/explain.c
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

/* The next field of a view; the first one after NULL. NULL: there is no other. */
const struct trigger_field *trigger_field_next(const struct trigger_field *field,
                                               enum trigger_view view);

#define TRIGGER_FIELD_FOREACH(field, view)                                                         \
    for (const struct trigger_field *field = NULL;                                                 \
         ((field) = trigger_field_next(field, view)) != NULL;)

/* The field's value as text, which may be in `buffer`; a number has so many digits. `word_quote` is
 * "\"" for JSON, and "" for a cell of CSV. NULL: the value is not known. */
enum { TRIGGER_FIELD_BYTES = 32 };
const char *trigger_field_text(const struct trigger_field *field,
                               const struct trigger_figures *figures, int digits,
                               const char *word_quote, char buffer[TRIGGER_FIELD_BYTES]);

/* The value of a field of VIEW_READING, VIEW_METRICS or VIEW_RATES, which have numbers alone. NAN:
 * the value is not known. */
double trigger_field_number(const struct trigger_field *field,
                            const struct trigger_figures *figures);

/* Adds "scaler" (null: there is no such scaler), "metricName" and "target". */
void trigger_fields_add_head(json_t *object, const struct trigger *trigger,
                             web_json_make_text *make_text);

#endif
