#include "postgresql/statement.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MAX_SHOWN_BYTES = 20, MAX_NAME = 64 /* PostgreSQL's own, with the end */ };

/* They do what outlives a read-only transaction that is rolled back: to other sessions, the whole
 * server, its files, or other servers. The last ones run SQL that is in a string. At the end *
 * stands for any letters. */
static const char *const forbidden[] = {
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_rotate_logfile*",
    "pg_log_*",
    "pg_promote",
    "pg_switch_wal",
    "pg_wal_replay_*",
    "pg_create_*",
    "pg_drop_*",
    "pg_copy_*",
    "pg_logical_*",
    "pg_replication_*",
    "pg_backup_*",
    "pg_start_backup",
    "pg_stop_backup",
    "pg_stat_reset*",
    "pg_stat_statements_reset",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_stat_file",
    "pg_ls_*",
    "pg_file_*",
    "lo_import",
    "lo_export",
    "dblink*",
    "query_to_xml*",
    "ts_rewrite",
    "ts_stat",
    "connectby",
    "crosstab*",
    "xpath_table",
    /* Of pgsql-http, pg_net, pg_curl, pg_background, Citus and aws_s3: requests to other servers,
     * and SQL in sessions of its own. What is written in PL/Python and the like has any name. */
    "http",
    "http_get",
    "http_post",
    "http_put",
    "http_patch",
    "http_delete",
    "http_head",
    "http_set_curlopt",
    "http_reset_curlopt",
    "curl_*",
    "pg_background_*",
    "run_command_on_*",
    "query_export_to_s3",
};

/* Of U&"...", whose escapes can be any letters. */
static const char escaped_name[] = "u&";

static bool is_forbidden(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(forbidden); i++) {
        size_t length = strlen(forbidden[i]);
        bool is_prefix = forbidden[i][length - 1] == '*';
        if (is_prefix ? strncmp(name, forbidden[i], length - 1) == 0
                      : strcmp(name, forbidden[i]) == 0)
            return true;
    }
    return false;
}

/* ---- as the server reads it ---- */

/* All of these note a comment, a string or a name that does not end. */
static const char *past_comment(const char *at, bool *is_open)
{
    int depth = 0;
    do {
        bool opens = text_starts_with(at, "/*");
        bool closes = text_starts_with(at, "*/");
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
    } while (depth > 0 && *at != '\0');
    *is_open = *is_open || depth > 0;
    return at;
}

/* White space, comments, and what is in `others`. */
static const char *past_space(const char *at, const char *others, bool *is_open)
{
    for (;;) {
        at += strspn(at, " \t\r\n\f\v");
        if (text_starts_with(at, "--"))
            at += strcspn(at, "\r\n");
        else if (text_starts_with(at, "/*"))
            at = past_comment(at, is_open);
        else if (*at != '\0' && strchr(others, *at) != NULL)
            at++;
        else
            return at;
    }
}

/* A string goes on, with what it was begun with, where another one begins in a later line. */
static const char *next_piece(const char *at)
{
    bool has_line = false;
    for (;;) {
        at += strspn(at, " \t\f\v");
        if (text_starts_with(at, "--"))
            at += strcspn(at, "\r\n");
        else if (*at == '\r' || *at == '\n') {
            has_line = true;
            at++;
        } else
            return has_line && *at == '\'' ? at : NULL;
    }
}

/* A piece of a string, or a quoted name, whose quote is doubled within. */
static const char *past_piece(const char *at, bool has_escapes, bool *is_open)
{
    char quote = *at++;
    while (*at != '\0') {
        bool is_escape = at[0] == '\\' && has_escapes && at[1] != '\0';
        if (is_escape || (at[0] == quote && at[1] == quote))
            at += 2;
        else if (*at++ == quote)
            return at;
    }
    *is_open = true;
    return at;
}

static const char *past_string(const char *at, bool has_escapes, bool *is_open)
{
    for (const char *next = at; next != NULL; next = next_piece(at))
        at = past_piece(next, has_escapes, is_open);
    return at;
}

static bool begins_name(char letter)
{
    return isalpha((unsigned char)letter) || letter == '_' || (unsigned char)letter >= 0x80;
}

static bool continues_name(char letter)
{
    return begins_name(letter) || isdigit((unsigned char)letter) || letter == '$';
}

/* A string between $tag$ and $tag$; any other $ is one letter. */
static const char *past_dollar(const char *at, bool *is_open)
{
    size_t length = 1;
    while (begins_name(at[length]) || (length > 1 && isdigit((unsigned char)at[length])))
        length++;
    if (at[length] != '$')
        return at + 1;
    _cleanup_(memory_free) char *tag = text_copy_bytes(at, length + 1);
    const char *end = strstr(at + length + 1, tag);
    *is_open = *is_open || end == NULL;
    return end == NULL ? at + strlen(at) : end + length + 1;
}

/* Unquoted names are in lower case. */
static const char *read_name(const char *at, char *name)
{
    size_t length = 0;
    while (continues_name(*at)) {
        if (length < MAX_NAME - 1)
            name[length++] = (char)tolower((unsigned char)*at);
        at++;
    }
    name[length] = '\0';
    return at;
}

static const char *read_quoted_name(const char *at, char *name, bool *is_open)
{
    const char *end = past_piece(at, false, is_open);
    size_t length = (size_t)(end - at) < 2 ? 0 : (size_t)(end - at) - 2;
    if (length > MAX_NAME - 1)
        length = MAX_NAME - 1;
    memcpy(name, at + 1, length);
    name[length] = '\0';
    return end;
}

/* The next function that is called, as far as names show it: a name before a parenthesis, or behind
 * a dot, as (42).f calls f(42); or a name with escapes, wherever it is. False: there is none. */
static bool next_call(const char **at, char *name, bool *is_open)
{
    const char *next = past_space(*at, "", is_open);
    bool behind_dot = false;
    for (; *next != '\0'; next = past_space(next, "", is_open)) {
        bool is_name = true;
        bool is_dot = *next == '.';
        if (begins_name(*next)) {
            next = read_name(next, name);
            if (strcmp(name, "u") == 0 && text_starts_with(next, "&\"")) {
                memcpy(name, escaped_name, sizeof(escaped_name));
                *at = next;
                return true;
            }
            if (*next == '\'') { /* E'...' and its like */
                next = past_string(next, strcmp(name, "e") == 0, is_open);
                is_name = false;
            }
        } else if (*next == '"')
            next = read_quoted_name(next, name, is_open);
        else {
            is_name = false;
            if (*next == '\'')
                next = past_string(next, false, is_open);
            else if (*next == '$')
                next = past_dollar(next, is_open);
            else
                next++;
        }
        *at = next;
        if (is_name && (behind_dot || *past_space(next, "", is_open) == '('))
            return true;
        behind_dot = is_dot;
    }
    return false;
}

/* ---- the rules ---- */

/* What can return a row. The rest would fail, and some of it would end the session for all (COPY)
 * or outlive its transaction (PREPARE). */
static bool can_return_row(const char *first)
{
    static const char *const words[] = {"select", "with", "values", "table", "show", "call", "("};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strncasecmp(first, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

void postgresql_statement_check(const char *key, const char *sql, struct error *mistakes)
{
    char name[MAX_NAME];
    bool is_open = false;
    const char *first = past_space(sql, ";", &is_open);
    if (!can_return_row(first))
        error_add(mistakes,
                  "%s must begin with SELECT, WITH, VALUES, TABLE, SHOW or CALL: it begins with "
                  "\"%.*s\"",
                  key, (int)text_cut(first, MAX_SHOWN_BYTES), first);
    for (const char *at = sql; next_call(&at, name, &is_open);)
        if (strcmp(name, escaped_name) == 0) {
            error_add(mistakes,
                      "%s must not have names with escapes (U&\"...\"): write their letters", key);
            return;
        } else if (is_forbidden(name)) {
            error_add(
                mistakes,
                "%s must not call %s(): it acts on other sessions, files or servers, not only "
                "in the query's transaction",
                key, name);
            return;
        }
    /* Other queries of the trigger are sent in one statement with it: what it begins, they would
     * end. */
    if (is_open)
        error_add(mistakes, "%s ends within a string, a quoted name or a comment", key);
}
