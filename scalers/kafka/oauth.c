#include "oauth.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    /* Well before a new connection is given up. */
    ENDPOINT_MS = 1500,
    BODY_BYTES_MOST = 64 * 1024,
    EXTENSIONS_MOST = 64,
    EXTENSION_WORDS_MOST = 2 * EXTENSIONS_MOST,
    /* Where the endpoint does not say how long its token is good for, and the longest we believe. */
    LIFETIME_S = 300,
    LIFETIME_S_MOST = 24 * 3600,
};

/* Where the credentials are put: as RFC 6749 prefers it, or as some endpoints insist on. */
enum style { IN_HEADER, IN_BODY, STYLES };

static bool is_extension(const char *piece)
{
    size_t letters = strspn(piece, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    bool is_reserved = letters == 4 && strncmp(piece, "auth", 4) == 0; /* RFC 7628, section 3.1 */
    const char *value = piece + letters + 1;
    return letters > 0 && piece[letters] == '=' && *value != '\0' && strchr(value, '=') == NULL &&
           !is_reserved;
}

static void extensions_free(const char **words, size_t count)
{
    for (size_t i = 0; words != NULL && i < count; i++)
        free((char *)words[i]);
    free(words);
}

/* The trimmed pieces between commas, each name=value, cut in two; NULL where one is not. */
static const char **extensions_of(const char *list, size_t *ret_words)
{
    const char **words = memory_array(EXTENSION_WORDS_MOST, sizeof(*words));
    size_t count = 0;
    for (bool more = list != NULL; more;) {
        size_t length = strcspn(list, ",");
        _cleanup_(memory_free) char *raw = text_copy_bytes(list, length);
        _cleanup_(memory_free) char *piece = text_trimmed(raw);
        if (count == EXTENSION_WORDS_MOST || !is_extension(piece)) {
            extensions_free(words, count);
            return NULL;
        }
        size_t name = strcspn(piece, "=");
        words[count++] = text_copy_bytes(piece, name);
        words[count++] = text_copy(piece + name + 1);
        more = list[length] == ',';
        list += length + more;
    }
    *ret_words = count;
    return words;
}

void oauth_check(const struct kafka_connection *connection, struct error *mistakes)
{
    size_t count = 0;
    if (connection->username == NULL || connection->password == NULL ||
        connection->token_endpoint == NULL)
        error_add(mistakes,
                  "sasl \"oauthbearer\" needs username, password and oauthTokenEndpointUri");
    else if (!text_starts_with(connection->token_endpoint, "http://") &&
             !text_starts_with(connection->token_endpoint, "https://"))
        error_add(mistakes, "oauthTokenEndpointUri must begin with http:// or https://");

    const char **words = extensions_of(connection->oauth_extensions, &count);
    if (words == NULL)
        error_add(
            mistakes,
            "oauthExtensions must be at most %d pieces between commas, each a name of letters "
            "(not auth), = and a value",
            EXTENSIONS_MOST);
    else
        extensions_free(words, count);
}

static void add_field(struct text *form, const char *name, const char *value)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    text_addf(form, "%s%s=%s", form->length == 0 ? "" : "&", name, escaped == NULL ? "" : escaped);
    curl_free(escaped);
}

static void text_forget(struct text *text)
{
    if (text->bytes != NULL)
        explicit_bzero(text->bytes, text->length);
    text_done(text);
}

/* KEDA's commas are the protocol's spaces. */
static void add_scope(struct text *form, const char *scopes)
{
    _cleanup_(memory_free) char *scope = text_copy(scopes);
    for (char *at = scope; *at != '\0'; at++)
        if (*at == ',')
            *at = ' ';
    add_field(form, "scope", scope);
}

static void add_form(const struct kafka_connection *connection, enum style style, struct text *form)
{
    add_field(form, "grant_type", "client_credentials");
    if (connection->scopes != NULL)
        add_scope(form, connection->scopes);
    if (style == IN_HEADER)
        return;
    add_field(form, "client_id", connection->username);
    add_field(form, "client_secret", connection->password);
}

static bool post(const struct kafka_connection *connection, enum style style, int64_t deadline_ms,
                 struct fetch_answer *ret_answer, struct error *error)
{
    /* The certificate of `cert` is the brokers' to see, and nobody else's. */
    const struct tls_options tls = {.ca = connection->tls.ca, .unsafe = connection->tls.unsafe};
    _cleanup_(text_forget) struct text form = {0};
    char *id = curl_easy_escape(NULL, connection->username, 0);
    char *secret = curl_easy_escape(NULL, connection->password, 0);
    const struct fetch_source source = {
        .name = "the token endpoint",
        .tls = &tls,
        .user = style == IN_HEADER ? id : NULL,
        .password = secret,
        .body_bytes_most = BODY_BYTES_MOST,
    };
    add_form(connection, style, &form);

    struct fetcher *fetcher = fetch_new(&source);
    CURL *curl = fetch_handle(fetcher);
    CURLcode code = CURLE_OPERATION_TIMEDOUT;
    if (curl == NULL)
        code = CURLE_FAILED_INIT;
    else if (fetch_begin(fetcher, connection->token_endpoint, deadline_ms)) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form.bytes);
        code = curl_easy_perform(curl);
    }
    bool answered = fetch_end(fetcher, code, ret_answer, error) == FETCH_ANSWERED;
    fetch_free(fetcher);
    curl_free(id);
    explicit_bzero(secret, strlen(secret));
    curl_free(secret);
    return answered;
}

/* What ends up in the SASL message as it is: RFC 7628 ends the token with a control character. */
static bool is_token(const char *token)
{
    if (token == NULL || *token == '\0')
        return false;
    for (; *token != '\0'; token++)
        if (*token <= ' ' || *token > '~')
            return false;
    return true;
}

static int64_t lifetime_s(const json_t *answer)
{
    const json_t *told = json_object_get(answer, "expires_in");
    double seconds = json_is_number(told)   ? json_number_value(told)
                     : json_is_string(told) ? strtod(json_string_value(told), NULL)
                                            : 0;
    if (!(seconds > 0))
        return LIFETIME_S;
    return seconds < LIFETIME_S_MOST ? (int64_t)seconds + 1 : LIFETIME_S_MOST;
}

static bool give(const struct kafka_connection *connection, rd_kafka_t *rk, const json_t *answer,
                 struct error *error)
{
    char reason[256] = "";
    const char *token = json_string_value(json_object_get(answer, "access_token"));
    if (!is_token(token))
        return error_unavailable(error, "the token endpoint answered without an access_token");

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t count = 0;
    const char **extensions = extensions_of(connection->oauth_extensions, &count);
    rd_kafka_resp_err_t code = rd_kafka_oauthbearer_set_token(
        rk, token, ((int64_t)now.tv_sec + lifetime_s(answer)) * 1000, connection->username,
        extensions, count, reason, sizeof(reason));
    extensions_free(extensions, count);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           error_unavailable(error, "librdkafka does not take the token: %s", reason);
}

/* Of the answer only the error's code of RFC 6749 is repeated: the rest may hold anything. */
static bool refuse(const struct fetch_answer *answer, struct error *error)
{
    const char *code = json_string_value(json_object_get(answer->json, "error"));
    bool known = code != NULL && code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
    return error_unavailable(error, "the token endpoint answered with status %ld%s%.40s",
                             answer->status, known ? ", " : "", known ? code : "");
}

static bool is_good(const struct fetch_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

static bool refresh(const struct kafka_connection *connection, rd_kafka_t *rk, struct error *error)
{
    int64_t deadline_ms = clock_now_ms() + ENDPOINT_MS;
    struct fetch_answer answer = {0};
    bool answered = false;
    for (int style = IN_HEADER; style < STYLES; style++) {
        fetch_answer_done(&answer);
        answered = post(connection, (enum style)style, deadline_ms, &answer, error);
        if (!answered || is_good(&answer) || answer.status >= 500)
            break;
    }
    bool good = answered && (is_good(&answer) ? give(connection, rk, answer.json, error)
                                              : refuse(&answer, error));
    fetch_answer_done(&answer);
    return good;
}

void oauth_refresh(const struct kafka_connection *connection, rd_kafka_t *rk)
{
    _cleanup_(error_done) struct error error = {0};
    if (!refresh(connection, rk, &error))
        rd_kafka_oauthbearer_set_token_failure(rk, error_text(&error));
}
