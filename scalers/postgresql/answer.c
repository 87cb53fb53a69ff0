#include "postgresql/answer.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_WORDS = 300, LONGEST_SHOWN = 40 };

bool postgresql_number_parse(const char *text, double *ret_number)
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

static void answer_row(struct probe *probe, const PGresult *result)
{
    int columns = PQnfields(result);
    if (columns != 1) {
        probe_failf(probe, "the query must answer exactly one column: it answered %d", columns);
        return;
    }
    if (PQgetisnull(result, 0, 0)) {
        probe_failf(probe,
                    "the query answered NULL, which is no number: wrap it in COALESCE(..., 0) "
                    "if nothing means 0");
        return;
    }
    const char *text = PQgetvalue(result, 0, 0);
    struct reading reading = READING_UNKNOWN;
    if (postgresql_number_parse(text, &reading.value))
        probe_answer(probe, &reading);
    else
        probe_failf(probe, "the query answered \"%.*s\", which is no finite number",
                    (int)text_cut(text, LONGEST_SHOWN), text);
}

static void fail_as_told(struct probe *probe, const PGresult *result)
{
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (words == NULL)
        words = PQresultErrorMessage(result);
    probe_failf(probe, "PostgreSQL refused the query: %.*s", (int)text_cut(words, LONGEST_WORDS),
                words);
}

void postgresql_answer(struct probe *probe, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
        answer_row(probe, result);
        break;
    case PGRES_TUPLES_OK:
        if (PQntuples(result) > 0)
            answer_row(probe, result);
        else /* the end of the rows, where there were any */
            probe_failf(probe, "the query answered no row");
        break;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        probe_failf(probe, "the query must be a SELECT: it answers no rows");
        break;
    default:
        fail_as_told(probe, result);
    }
}

bool postgresql_was_cancelled(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, "57014") == 0; /* query_canceled */
}
