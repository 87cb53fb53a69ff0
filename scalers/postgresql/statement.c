#include "postgresql/statement.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { MAX_SHOWN_BYTES = 20, MAX_NAME_BYTES = 63 /* PostgreSQL's own */ };

static const char spaces[] = " \t\r\n\f\v";

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

/* (42).f and a.f call f, too; but behind a dot it can also be the name of a table or a column. Only
 * whole names of functions count there, and not http, which a column may have. */
static bool is_forbidden(const char *name, size_t length, bool is_called)
{
    for (size_t i = 0; i < ARRAY_LENGTH(forbidden); i++) {
        size_t stem = strcspn(forbidden[i], "*");
        bool is_whole = forbidden[i][stem] == '\0';
        if (strncmp(name, forbidden[i], stem) == 0 && (!is_whole || length == stem) &&
            (is_called || (is_whole && strchr(forbidden[i], '_') != NULL)))
            return true;
    }
    return false;
}

/* ---- tokens, as the server reads them ---- */

static bool begins_name(char letter)
{
    return isalpha((unsigned char)letter) || letter == '_' || (unsigned char)letter >= 0x80;
}

/* Comments nest. */
static const char *past_comment(const char *at)
{
    for (int depth = 0; *at != '\0';) {
        bool opens = text_starts_with(at, "/*");
        bool closes = text_starts_with(at, "*/");
        depth += opens - closes;
        at += opens || closes ? 2 : 1;
        if (depth == 0)
            return at;
    }
    return NULL;
}

/* A string or a quoted name, whose quote is doubled within. */
static const char *past_quote(const char *at, bool has_escapes)
{
    char quote = *at++;
    for (; *at != '\0'; at++)
        if ((*at == '\\' && has_escapes && at[1] != '\0') || (at[0] == quote && at[1] == quote))
            at++;
        else if (*at == quote)
            return at + 1;
    return NULL;
}

/* A string between $tag$ and $tag$; any other $ is one letter. */
static const char *past_dollar(const char *at)
{
    size_t length = 1;
    while (begins_name(at[length]) || (length > 1 && isdigit((unsigned char)at[length])))
        length++;
    if (at[length] != '$')
        return at + 1;
    _cleanup_(memory_free) char *tag = text_copy_bytes(at, length + 1);
    const char *end = strstr(at + length + 1, tag);
    return end == NULL ? NULL : end + length + 1;
}

static bool is_blank(const char *at)
{
    return (*at != '\0' && strchr(spaces, *at) != NULL) || text_starts_with(at, "--") ||
           text_starts_with(at, "/*");
}

/* Behind the token at `at`: white space, a comment, a string, a name, or any other letter. NULL: it
 * does not end. A string goes on with the next one in a later line, and with its escapes; where the
 * two are in one line, the server refuses both. */
static const char *past_token(const char *at, bool *has_escapes)
{
    bool is_escaped = *has_escapes;
    if (is_blank(at))
        return text_starts_with(at, "--")   ? at + strcspn(at, "\r\n")
               : text_starts_with(at, "/*") ? past_comment(at)
                                            : at + strspn(at, spaces);
    *has_escapes = (is_escaped && *at == '\'') || (tolower(at[0]) == 'e' && at[1] == '\'');
    if (*at == '\'' || *at == '"')
        return past_quote(at, is_escaped && *at == '\'');
    if (*at == '$')
        return past_dollar(at);
    const char *end = at + 1;
    while (begins_name(*at) && (begins_name(*end) || isdigit((unsigned char)*end) || *end == '$'))
        end++;
    return end;
}

/* NULL: a comment does not end. */
static const char *past_blanks(const char *at)
{
    bool has_escapes = false;
    while (at != NULL && is_blank(at))
        at = past_token(at, &has_escapes);
    return at;
}

/* ---- the rules ---- */

/* What can return a row. The rest would fail, and some of it would end the session for all (COPY)
 * or outlive its transaction (PREPARE). */
static void check_start(const char *key, const char *sql, struct error *mistakes)
{
    static const char *const words[] = {"select", "with", "values", "table", "show", "call", "("};
    const char *first = past_blanks(sql);
    while (first != NULL && *first == ';')
        first = past_blanks(first + 1);
    first = first == NULL ? "" : first;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strncasecmp(first, words[i], strlen(words[i])) == 0)
            return;
    error_add(mistakes,
              "%s must begin with SELECT, WITH, VALUES, TABLE, SHOW or CALL: it begins with "
              "\"%.*s\"",
              key, (int)text_cut(first, MAX_SHOWN_BYTES), first);
}

/* The name of the token, as the server looks it up; NULL: it is no name. The caller frees it. */
static char *name_of(const char *at, const char *end)
{
    bool is_quoted = *at == '"';
    if (!is_quoted && !begins_name(*at))
        return NULL;
    size_t length = (size_t)(end - at) - (is_quoted ? 2 : 0);
    char *name = text_copy_bytes(at + is_quoted, length < MAX_NAME_BYTES ? length : MAX_NAME_BYTES);
    for (char *letter = name; !is_quoted && *letter != '\0'; letter++)
        *letter = (char)tolower((unsigned char)*letter);
    return name;
}

/* A name behind these is given to a table of the query, and its columns may be in parentheses. */
static bool names_what_follows(const char *name)
{
    return name != NULL &&
           (strcmp(name, "as") == 0 || strcmp(name, "with") == 0 || strcmp(name, "recursive") == 0);
}

void postgresql_statement_check(const char *key, const char *sql, struct error *mistakes)
{
    bool has_escapes = false, is_behind_dot = false, is_given = false;
    check_start(key, sql, mistakes);
    for (const char *at = sql, *end; *at != '\0'; at = end) {
        end = past_token(at, &has_escapes);
        if (end == NULL) {
            /* Other queries of the trigger are sent in one statement with it: what it begins, they
             * would end. */
            error_add(mistakes, "%s ends within a string, a quoted name or a comment", key);
            return;
        }
        if (is_blank(at))
            continue;
        _cleanup_(memory_free) char *name = name_of(at, end);
        if (text_equal(name, "u") && text_starts_with(end, "&\"")) {
            error_add(mistakes,
                      "%s must not have names with escapes (U&\"...\"): write their letters", key);
            return;
        }
        const char *next = past_blanks(end);
        bool is_called = next != NULL && *next == '(' && !is_given;
        if (name != NULL && (is_called || is_behind_dot) &&
            is_forbidden(name, strlen(name), is_called)) {
            error_add(mistakes,
                      "%s must not call %s(): it acts on other sessions, files or servers, not "
                      "only in the query's transaction",
                      key, name);
            return;
        }
        is_behind_dot = *at == '.';
        is_given = *at != '"' && names_what_follows(name);
    }
}
