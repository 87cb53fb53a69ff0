#include "postgresql/parameters.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"
#include "postgresql/keywords.h"
#include "shared/address.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a connection string may have. The others name files of our server (passfile, service,
 * sslkey, sslrootcert ...), have it log in as itself (krbsrvname, gsslib ...) or at other servers
 * (oauth_issuer), or change what a session is (replication). hostaddr, where it is empty, is a
 * socket of this machine. */
static const char *const allowed[] = {
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "connect_timeout",
    "client_encoding",
    "options",
    "application_name",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslmode",
    "sslsni",
    "sslcompression",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "sslnegotiation",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
    NULL,
};

static const char *const sslmodes[] = {"disable",   "allow",       "prefer", "require",
                                       "verify-ca", "verify-full", NULL};

static const char system_roots[] = "/etc/ssl/certs/ca-certificates.crt";

/* From this libpq on a server cannot demand that we log in by a ticket or a certificate of ours. */
enum { REQUIRING_VERSION = 160000 };

/* In place of files that libpq would look for in our home. Not /dev/null: it warns about that. */
static const char nowhere[] = "/nonexistent/backlog";

/* libpq fills what a connection leaves open from PGPASSWORD, PGHOST, PGSERVICE and the like, and no
 * parameter can prevent that. Whoever may write a trigger could then log in with credentials of our
 * server. */
void postgresql_parameters_forget_environment(void)
{
    for (size_t i = 0; environ[i] != NULL;) {
        if (!text_starts_with(environ[i], "PG")) {
            i++;
            continue;
        }
        _cleanup_(memory_free) char *name = text_copy_bytes(environ[i], strcspn(environ[i], "="));
        unsetenv(name);
    }
}

static bool is_among(const char *word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (text_equal(word, *words))
            return true;
    return false;
}

const char *postgresql_parameter(const struct postgresql_parameters *parameters,
                                 const char *keyword)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (text_equal(parameters->keywords[i], keyword))
            return parameters->values[i];
    return NULL;
}

void postgresql_parameters_set(struct postgresql_parameters *parameters, const char *keyword,
                               const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    size_t i = 0;
    while (i < parameters->count && !text_equal(parameters->keywords[i], keyword))
        i++;
    if (i == POSTGRESQL_MAX_PARAMETERS - 1)
        abort(); /* the last ones are those that protect: none is left out */
    parameters->keywords[i] = keyword;
    parameters->values[i] = value;
    if (i == parameters->count)
        parameters->count++;
}

/* The last @ of the authority ends the password, as in Go, and so in KEDA; to libpq the first does,
 * and the rest would be the host, and be shown in errors. */
static char *with_one_at(const char *url, struct url_places places)
{
    struct text encoded = {0};
    for (size_t i = 0; url[i] != '\0'; i++)
        if (url[i] == '@' && i >= places.user && i + 1 < places.host)
            text_add(&encoded, "%40");
        else
            text_add_bytes(&encoded, &url[i], 1);
    return text_take(&encoded);
}

static bool is_url(const char *string)
{
    return text_starts_with(string, "postgresql://") || text_starts_with(string, "postgres://");
}

/* What other libraries take, in place of postgresql://. */
static bool check_scheme(const char *string, struct error *error)
{
    const char *end = strstr(string, "://");
    if (text_starts_with(string, "jdbc:"))
        return error_invalid(error, "connection begins with jdbc:, which is for JDBC: write "
                                    "postgresql://user:password@host:5432/database");
    if (text_starts_with(string, "postgres") && end != NULL && !is_url(string) &&
        strcspn(string, " =@/") > (size_t)(end - string))
        return error_invalid(error,
                             "connection begins with %.*s://, which names a driver: write "
                             "postgresql://",
                             (int)(end - string), string);
    size_t first = strcspn(string, " \t\r\n");
    const char *next = memchr(string, ';', first);
    if (next != NULL && memchr(next, '=', first - (size_t)(next - string)) != NULL &&
        !is_url(string))
        return error_invalid(error, "connection has ; between its keywords: write spaces, and the "
                                    "keywords of libpq: host=... port=... dbname=... user=...");
    return true;
}

static bool parse_string(const char *string, struct postgresql_parameters *parameters,
                         struct error *error)
{
    struct url_places places = url_find(string, strlen(string));
    if (is_url(string) && places.is_ambiguous)
        return error_invalid(error, "connection: in a URL write / as %%2F, ? as %%3F and # as %%23 "
                                    "in the user and the password, and @ as %%40 behind the host");
    if (is_url(string) && address_lacks_brackets(string))
        return error_invalid(error, "connection: the host is an IPv6 address without brackets: "
                                    "write [fd00::1]:5432");
    if (!check_scheme(string, error))
        return false;
    char *words = NULL; /* they repeat parts of the string */
    _cleanup_(text_done) struct text settings = {0};
    _cleanup_(text_done) struct text known = {0};
    _cleanup_(memory_free) char *read =
        is_url(string) ? with_one_at(string, places) : text_copy(string);
    if (!postgresql_keywords_split(read, is_url(string), &known, &settings, error))
        return false;
    parameters->parsed = PQconninfoParse(known.length == 0 ? "" : known.bytes, &words);
    PQfreemem(words);
    if (parameters->parsed == NULL)
        return error_invalid(error,
                             "connection must be postgresql://user:password@host:5432/database or "
                             "pairs as host=... user=... with the keywords of libpq");

    for (const PQconninfoOption *option = parameters->parsed; option->keyword != NULL; option++) {
        if (option->val == NULL)
            continue;
        if (!is_among(option->keyword, allowed))
            return error_invalid(error, "connection: %s is not allowed here%s", option->keyword,
                                 text_equal(option->keyword, "sslrootcert") ? ": set ca"
                                 : text_equal(option->keyword, "hostaddr")  ? ": set host"
                                                                            : "");
        postgresql_parameters_set(parameters, option->keyword, option->val);
    }
    if (settings.length > 0) {
        const char *options = postgresql_parameter(parameters, "options");
        parameters->options = text_format("%s%s", options == NULL ? "" : options, settings.bytes);
        postgresql_parameters_set(parameters, "options", parameters->options);
    }
    return true;
}

/* Of several each may be missing. */
static bool check_ports(const char *ports, const char *hosts, struct error *error)
{
    for (const char *at = ports; at != NULL;) {
        size_t length = strcspn(at, ",");
        bool is_missing = length == 0 && strchr(ports, ',') != NULL;
        if (!is_missing && !address_is_port(at, length))
            return error_invalid(error, "port must be a number from 1 to 65535");
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    size_t count = text_count_pieces(ports, ",");
    return count == 1 || hosts == NULL || count == text_count_pieces(hosts, ",") ||
           error_invalid(error, "port must be one number, or as many as there are hosts");
}

/* Each is trimmed as in places.c. libpq takes a host that is missing or begins with / or @ for a
 * socket of this machine, where PostgreSQL may let our own user in. Neither stands anywhere in one:
 * places.c removes brackets before libpq sees it. */
static bool check_hosts(const char *hosts, struct error *error)
{
    bool good = strpbrk(hosts, "/@ \t\r\n") == NULL;
    for (char *host; good && (host = text_take_piece(&hosts, ",")) != NULL; free(host))
        good = host[0] != '\0';
    return good || error_invalid(error, "host must be a name or an address, or several with "
                                        "commas, and no socket");
}

/* Before libpq sees them, whose errors repeat them. */
static bool check_values(const struct postgresql_parameters *parameters, struct error *error)
{
    const char *host = postgresql_parameter(parameters, "host");
    const char *ports = postgresql_parameter(parameters, "port");
    const char *sslmode = postgresql_parameter(parameters, "sslmode");
    if (host != NULL && !check_hosts(host, error))
        return false;
    if (ports != NULL && !check_ports(ports, host, error))
        return false;
    if (sslmode != NULL && !is_among(sslmode, sslmodes))
        return error_invalid(error, "sslmode must be disable, allow, prefer, require, verify-ca or "
                                    "verify-full");
    return true;
}

bool postgresql_parameters_make(const struct postgresql_connection_options *options,
                                struct postgresql_parameters *ret_parameters, struct error *error)
{
    struct postgresql_parameters *parameters = ret_parameters;
    if (options->connection == NULL) {
        postgresql_parameters_set(parameters, "host", options->host);
        postgresql_parameters_set(parameters, "port", options->port);
        postgresql_parameters_set(parameters, "user", options->user_name);
        postgresql_parameters_set(parameters, "dbname", options->db_name);
        postgresql_parameters_set(parameters, "sslmode", options->sslmode);
        postgresql_parameters_set(parameters, "password", options->password);
    } else {
        if (!parse_string(options->connection, parameters, error))
            return false;
        if (postgresql_parameter(parameters, "host") == NULL)
            return error_invalid(error, "connection must name a host");
    }
    if (!check_values(parameters, error))
        return false;

    const char *sslmode = postgresql_parameter(parameters, "sslmode");
    bool verify = sslmode != NULL && text_starts_with(sslmode, "verify-");
    postgresql_parameters_set(parameters, "sslrootcert", verify ? system_roots : nowhere);
    postgresql_parameters_set(parameters, "sslcert", nowhere);
    postgresql_parameters_set(parameters, "sslcrl", nowhere);
    postgresql_parameters_set(parameters, "passfile", nowhere);
    postgresql_parameters_set(parameters, "application_name", "backlog");
    postgresql_parameters_set(parameters, "client_encoding", "UTF8");
    postgresql_parameters_set(parameters, "gssencmode", "disable");
    if (PQlibVersion() >= REQUIRING_VERSION) {
        postgresql_parameters_set(parameters, "require_auth", "!gss,!sspi");
        postgresql_parameters_set(parameters, "sslcertmode", "disable");
    }
    return true;
}

void postgresql_parameters_done(struct postgresql_parameters *parameters)
{
    PQconninfoFree(parameters->parsed);
    free(parameters->options);
    *parameters = (struct postgresql_parameters){0};
}
