#include "postgresql/answer.h"

#include "base/memory.h"
#include "base/text.h"
#include "postgresql/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 300, MAX_SHOWN = 40 };

bool postgresql_answer_parse_number(const char *text, double *ret_number)
{
    /* strtod() takes more: white space, hexadecimal, names. */
    if (text[strspn(text, "+-.0123456789eE")] != '\0')
        return false;
    char *end = NULL;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* One column as a number; false: the task has failed. */
static bool read_column(struct task *task, const PGresult *result, int column, const char *key,
                        double *ret_number)
{
    if (PQgetisnull(result, 0, column)) {
        task_failf(task,
                   "%s returned NULL, which is not a number: use COALESCE(..., 0) if nothing means "
                   "0",
                   key);
        return false;
    }
    const char *text = PQgetvalue(result, 0, column);
    if (postgresql_answer_parse_number(text, ret_number))
        return true;
    task_failf(task, "%s returned \"%.*s\", which is not a finite number", key,
               (int)text_cut(text, MAX_SHOWN), text);
    return false;
}

static void answer_row(struct task *task, const PGresult *result)
{
    const struct postgresql_query *query = task->query;
    struct reading reading = READING_UNKNOWN;
    const struct {
        const char *key;
        const char *query;
        double *number;
    } parts[] = {
        {"the query", query->query, &reading.value},
        {"inFlightQuery", query->in_flight_query, &reading.in_flight},
        {"arrivalQuery", query->arrival_query, &reading.arrived},
        {"consumptionQuery", query->consumption_query, &reading.consumed},
    };
    int columns = PQnfields(result), wanted = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        wanted += parts[i].query != NULL;
    if (columns != wanted) {
        task_failf(task, "the query must return exactly one column: it returned %d", columns);
        return;
    }
    int column = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (parts[i].query != NULL &&
            !read_column(task, result, column++, parts[i].key, parts[i].number))
            return;
    task_answer(task, &reading);
}

static void fail_with_words(struct task *task, const PGresult *result)
{
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (words == NULL)
        words = PQresultErrorMessage(result);
    task_failf(task, "PostgreSQL refused the query: %.*s", (int)text_cut(words, MAX_WORDS), words);
}

void postgresql_answer_take(struct task *task, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        answer_row(task, result);
        break;
    case PGRES_TUPLES_OK:
        if (PQntuples(result) > 0)
            answer_row(task, result);
        else
            task_failf(task, "the query returned no row");
        break;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        task_failf(task, "the query must be a SELECT: it returns no rows");
        break;
    default:
        fail_with_words(task, result);
    }
}

bool postgresql_answer_is_cancelled(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, "57014") == 0; /* query_canceled */
}
