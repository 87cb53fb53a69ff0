#include "postgresql/keywords.h"

#include "base/memory.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of pgx: they change nothing for a query that is sent once in a session of ours. */
static const char *const ignored[] = {
    "default_query_exec_mode",    "statement_cache_capacity",
    "description_cache_capacity", "statement_cache_mode",
    "min_read_buffer_size",       "pool_*",
    "prefer_simple_protocol",     NULL,
};

/* Parameters of a session. Others can be written into options: a word that is not known here may be
 * a mistake. */
static const char *const settings[] = {
    "timezone",
    "search_path",
    "datestyle",
    "intervalstyle",
    "extra_float_digits",
    "lc_*",
    "bytea_output",
    "default_text_search_config",
    "statement_timeout",
    "lock_timeout",
    "transaction_timeout",
    "idle_*_timeout",
    "tcp_keepalives_*",
    "role",
    "row_security",
    "default_transaction_*",
    "synchronous_commit",
    "client_min_messages",
    "work_mem",
    "temp_buffers",
    "jit",
    "enable_*",
    "geqo",
    "max_parallel_workers_per_gather",
    "plan_cache_mode",
    NULL,
};

/* Of other libraries. */
static const struct {
    const char *keyword, *whose, *advice;
} foreign[] = {
    {"pgbouncer", "Prisma", "remove it, PgBouncer needs no keyword here"},
    {"schema", "Prisma", "write search_path"},
    {"connection_limit", "Prisma", "remove it"},
    {"socket_timeout", "Prisma", "remove it, and set the trigger's timeout"},
    {"statement_cache_size", "Prisma and asyncpg", "remove it"},
    {"prepared_statement_cache_size", "asyncpg", "remove it"},
    {"sslaccept", "Prisma", "write sslmode"},
    {"sslidentity", "Prisma", "remove it"},
    {"ssl", "JDBC and others", "write sslmode=require or sslmode=disable"},
    {"currentSchema", "JDBC", "write search_path"},
    {"ApplicationName", "JDBC", "remove it"},
    {"prepareThreshold", "JDBC", "remove it"},
    {"preparedStatementCacheQueries", "JDBC", "remove it"},
    {"loginTimeout", "JDBC", "write connect_timeout"},
    {"connectTimeout", "JDBC", "write connect_timeout"},
    {"socketTimeout", "JDBC", "remove it, and set the trigger's timeout"},
    {"tcpKeepAlive", "JDBC", "write keepalives"},
    {"targetServerType", "JDBC", "write target_session_attrs"},
    {"binary_parameters", "lib/pq", "remove it"},
    {"uselibpqcompat", "node-postgres", "remove it"},
    {"krbspn", "pgx", "remove it, Kerberos is not supported"},
    {"min_protocol_version", "libpq 18", "remove it"},
    {"max_protocol_version", "libpq 18", "remove it"},
};

/* One * in a pattern stands for any letters. */
static bool matches(const char *word, const char *pattern)
{
    size_t stem = strcspn(pattern, "*");
    if (pattern[stem] == '\0')
        return strcasecmp(word, pattern) == 0;
    const char *end = pattern + stem + 1;
    size_t length = strlen(word);
    size_t tail = strlen(end);
    return length >= stem + tail && strncasecmp(word, pattern, stem) == 0 &&
           strcasecmp(word + length - tail, end) == 0;
}

static bool is_among(const char *word, const char *const *patterns)
{
    for (; *patterns != NULL; patterns++)
        if (matches(word, *patterns))
            return true;
    return false;
}

/* In the spelling of libpq; NULL: it has no such keyword. */
static const char *find_known(const char *keyword, const PQconninfoOption *known)
{
    for (; known->keyword != NULL; known++)
        if (strcasecmp(known->keyword, keyword) == 0)
            return known->keyword;
    return NULL;
}

static bool refuse(const char *keyword, size_t number, const PQconninfoOption *all, bool is_url,
                   struct error *error)
{
    const char *known = find_known(keyword, all);
    if (known != NULL)
        return error_invalid(error, "connection: keywords are in lower case: write %s", known);
    for (size_t i = 0; i < ARRAY_LENGTH(foreign); i++)
        if (strcasecmp(foreign[i].keyword, keyword) == 0)
            return error_invalid(error, "connection: %s is a keyword of %s: %s", foreign[i].keyword,
                                 foreign[i].whose, foreign[i].advice);
    return error_invalid(error,
                         "connection: keyword number %zu%s is none of libpq: correct or remove it; "
                         "if it is a parameter of the session, write options=-cNAME%sVALUE",
                         number, is_url ? " behind the ?" : "", is_url ? "%3D" : "=");
}

/* White space would begin the next parameter. */
static void add_setting(struct text *options, const char *keyword, const char *value)
{
    text_addf(options, " -c%s=", keyword);
    for (; *value != '\0'; value++)
        text_addf(options, isspace((unsigned char)*value) || *value == '\\' ? "\\%c" : "%c",
                  *value);
}

/* One keyword of the string, and what is done with it. */
struct pair {
    char *keyword;
    char *value;     /* as it is meant */
    const char *raw; /* ... and as it is written */
    size_t raw_bytes;
};

static void pair_done(struct pair *pair)
{
    free(pair->keyword);
    free(pair->value);
    *pair = (struct pair){0};
}

static bool take_pair(const struct pair *pair, const PQconninfoOption *all, bool is_url,
                      struct text *known, struct text *options)
{
    const char *keyword = text_equal(pair->keyword, "database") ? "dbname" : pair->keyword;
    bool is_alias = is_url && text_equal(keyword, "ssl") && text_equal(pair->value, "true");
    if (is_alias || text_equal(find_known(keyword, all), keyword)) {
        const char *before = !is_url ? " " : strchr(known->bytes, '?') == NULL ? "?" : "&";
        text_addf(known, "%s%s=%.*s", before, keyword, (int)pair->raw_bytes, pair->raw);
        return true;
    }
    if (is_among(keyword, ignored))
        return true;
    bool is_custom = strchr(keyword, '.') != NULL; /* of an extension, or the user's */
    if (!is_custom && !is_among(keyword, settings))
        return false;
    add_setting(options, keyword, pair->value);
    return true;
}

/* ---- pairs with & between them, behind the ? of a URL ---- */

/* NULL: a % is not followed by a byte. The caller frees it. */
static char *decoded(const char *bytes, size_t length)
{
    struct text text = {0};
    for (size_t i = 0; i < length; i++) {
        int byte = bytes[i] == '%' ? text_percent_byte(bytes + i, length - i) : 0;
        unsigned char letter = byte > 0 ? (unsigned char)byte : (unsigned char)bytes[i];
        if (bytes[i] == '%' && byte <= 0) {
            text_done(&text);
            return NULL;
        }
        text_add_bytes(&text, (const char *)&letter, 1);
        i += bytes[i] == '%' ? 2 : 0;
    }
    return text_take(&text);
}

/* False: it is none. */
static bool next_of_url(const char **at, struct pair *ret_pair)
{
    const char *begin = *at + 1; /* behind ? or & */
    size_t length = strcspn(begin, "&");
    const char *equals = memchr(begin, '=', length);
    *at = begin + length;
    if (equals == NULL)
        return false;
    ret_pair->keyword = decoded(begin, (size_t)(equals - begin));
    ret_pair->raw = equals + 1;
    ret_pair->raw_bytes = (size_t)(*at - ret_pair->raw);
    ret_pair->value = decoded(ret_pair->raw, ret_pair->raw_bytes);
    return ret_pair->keyword != NULL && ret_pair->value != NULL;
}

/* ---- pairs with white space between them ---- */

static const char spaces[] = " \t\r\n\f\v";

/* A value may be in quotes, and \ stands before a letter that is meant as it is. */
static char *value_of_pair(const char **at, bool *is_open)
{
    struct text text = {0};
    bool is_quoted = **at == '\'';
    const char *letter = *at + is_quoted;
    for (; *letter != '\0' && (is_quoted ? *letter != '\'' : strchr(spaces, *letter) == NULL);
         letter++) {
        letter += letter[0] == '\\' && letter[1] != '\0';
        text_add_bytes(&text, letter, 1);
    }
    *is_open = is_quoted && *letter == '\0';
    *at = letter + (is_quoted && *letter != '\0');
    return text_take(&text);
}

/* False: it is none. */
static bool next_of_pairs(const char **at, struct pair *ret_pair)
{
    size_t length = strcspn(*at, "= \t\r\n\f\v");
    const char *equals = *at + length + strspn(*at + length, spaces);
    bool is_open = false;
    if (*equals != '=')
        return false;
    ret_pair->keyword = text_copy_bytes(*at, length);
    *at = equals + 1 + strspn(equals + 1, spaces);
    ret_pair->raw = *at;
    ret_pair->value = value_of_pair(at, &is_open);
    ret_pair->raw_bytes = (size_t)(*at - ret_pair->raw);
    *at += strspn(*at, spaces);
    return !is_open;
}

bool postgresql_keywords_split(const char *string, bool is_url, struct text *ret_known,
                               struct text *ret_options, struct error *error)
{
    PQconninfoOption *all = PQconninfoParse("", NULL);
    const char *at = string + (is_url ? strcspn(string, "?") : strspn(string, spaces));
    bool good = true;
    text_add_bytes(ret_known, string, is_url ? (size_t)(at - string) : 0);
    for (size_t number = 1; good && *at != '\0'; number++) {
        _cleanup_(pair_done) struct pair pair = {0};
        const char *begin = at;
        if (!(is_url ? next_of_url(&at, &pair) : next_of_pairs(&at, &pair))) {
            text_addf(ret_known, " %s", begin); /* libpq refuses it */
            break;
        }
        good = take_pair(&pair, all, is_url, ret_known, ret_options) ||
               refuse(pair.keyword, number, all, is_url, error);
    }
    PQconninfoFree(all);
    return good;
}
