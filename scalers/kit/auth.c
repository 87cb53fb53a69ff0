#include "kit/auth.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_BODY_BYTES = 64 * 1024,
    MAX_TREE_BYTES = 1024 * 1024,
    MAX_CODE_BYTES = 40,
    /* If the endpoint does not report how long its token is valid, and the longest that is
       accepted. */
    DEFAULT_LIFETIME_S = 300,
    MAX_LIFETIME_S = 24 * 3600,
    RENEWAL_MS = 2000, /* the most that one may take */
    RETRY_MS = 5000,   /* after one failed, while the old token is valid */
};

enum outcome {
    GOT,
    FAILED,  /* the error says why */
    PENDING, /* it was requested once more, with the credentials in the body */
};

bool auth_is_header_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("!#$%&'*+-.^_`|~", *at) == NULL)
            return false;
    return name[0] != '\0';
}

bool auth_is_header_value(const char *value)
{
    for (; *value != '\0'; value++)
        if (iscntrl((unsigned char)*value) && *value != '\t')
            return false;
    return true;
}

bool auth_is_header_of_connection(const char *name)
{
    static const char *const names[] = {"Host",    "Content-Length", "Transfer-Encoding",
                                        "Trailer", "Connection",     "Upgrade"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

void auth_check_endpoint(const char *key, const char *endpoint, struct error *mistakes)
{
    if (strncasecmp(endpoint, "http://", strlen("http://")) != 0 &&
        strncasecmp(endpoint, "https://", strlen("https://")) != 0)
        error_add(mistakes, "%s must begin with http:// or https://", key);
    else if (url_find(endpoint, strlen(endpoint)).is_ambiguous)
        error_add(mistakes,
                  "%s: write an @ behind the host percent-encoded (%%40), and any of / ? # @ : "
                  "in a user name or password",
                  key);
}

void auth_token_done(struct auth_token *token)
{
    free(token->text);
    *token = (struct auth_token){0};
}

/* ---- the request ---- */

static void escaped_done(char **escaped)
{
    curl_free(*escaped);
}

static void add_field(struct text *form, const char *name, const char *value)
{
    _cleanup_(escaped_done) char *escaped = curl_easy_escape(NULL, value, 0);
    text_addf(form, "&%s=%s", name, escaped == NULL ? "" : escaped);
}

static void send_request(struct auth *auth, bool is_in_body)
{
    const struct auth_client *client = &auth->client;
    _cleanup_(escaped_done) char *id = curl_easy_escape(NULL, client->client_id, 0);
    _cleanup_(escaped_done) char *secret = curl_easy_escape(NULL, client->client_secret, 0);
    _cleanup_(text_done) struct text form = {0};
    text_add(&form, "grant_type=client_credentials");
    if (client->scope != NULL)
        add_field(&form, "scope", client->scope);
    if (client->parameters != NULL)
        text_addf(&form, "&%s", client->parameters);
    if (is_in_body) {
        add_field(&form, "client_id", client->client_id);
        add_field(&form, "client_secret", client->client_secret);
    }
    const struct http_endpoint endpoint = {
        .name = "the token endpoint",
        .tls = &auth->tls,
        .user = is_in_body ? NULL : id,
        .password = secret,
    };
    auth->is_in_body = is_in_body;
    auth->is_in_flight = true;
    http_post(auth->http, &endpoint, client->endpoint, form.bytes, MAX_BODY_BYTES, auth,
              auth->deadline_ms);
}

/* As RFC 6749 prefers it: with the credentials in a header. */
static void begin(struct auth *auth, int64_t now_ms, int64_t deadline_ms)
{
    auth->requested_ms = now_ms;
    auth->deadline_ms = deadline_ms;
    send_request(auth, false);
}

/* ---- its answer ---- */

/* What ends up in a header or a SASL message as it is. */
static bool is_token(const char *token)
{
    if (token == NULL || *token == '\0')
        return false;
    for (; *token != '\0'; token++)
        if (*token <= ' ' || *token > '~')
            return false;
    return true;
}

static int64_t lifetime_ms(const json_t *answer)
{
    const json_t *value = json_object_get(answer, "expires_in");
    double seconds = json_is_number(value)   ? json_number_value(value)
                     : json_is_string(value) ? strtod(json_string_value(value), NULL)
                                             : 0;
    if (!(seconds > 0))
        seconds = DEFAULT_LIFETIME_S;
    return (int64_t)fmax(1, fmin(seconds, MAX_LIFETIME_S)) * 1000;
}

static bool refuse(const struct http_answer *answer, struct error *error)
{
    const char *code = json_string_value(json_object_get(answer->json, "error"));
    bool known = code != NULL && code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
    return error_unavailable(error, "the token endpoint answered with status %ld%s%.*s",
                             answer->status, known ? ", " : "", MAX_CODE_BYTES, known ? code : "");
}

static bool read_answer(struct http_answer *answer, struct auth_token *ret_token,
                        struct error *error)
{
    if (!http_answer_make_tree(answer, 0, MAX_TREE_BYTES, error))
        return false;
    const char *text = json_string_value(json_object_get(answer->json, "access_token"));
    if (!http_is_success(answer))
        return refuse(answer, error);
    if (!is_token(text))
        return error_unavailable(error, "the token endpoint answered without an access_token");
    *ret_token = (struct auth_token){text_copy(text), lifetime_ms(answer->json)};
    return true;
}

static enum outcome take(struct auth *auth, struct http_ended *ended, struct auth_token *ret_token,
                         struct error *error)
{
    auth->is_in_flight = false;
    if (ended->outcome != HTTP_ANSWERED) {
        error_move(error, &ended->error);
        return FAILED;
    }
    /* Not after an error of the server: it implies nothing about where the credentials should be.
     */
    if (!auth->is_in_body && !http_is_success(&ended->answer) &&
        ended->answer.status < HTTP_SERVER_ERROR) {
        send_request(auth, true);
        return PENDING;
    }
    return read_answer(&ended->answer, ret_token, error) ? GOT : FAILED;
}

static bool get(struct auth *auth, int64_t deadline_ms, struct auth_token *ret_token,
                struct error *error)
{
    enum outcome outcome = PENDING;
    begin(auth, clock_now_ms(), deadline_ms);
    while (outcome == PENDING) {
        _cleanup_(http_ended_done) struct http_ended ended = {0};
        http_wait_one(auth->http, &ended);
        outcome = take(auth, &ended, ret_token, error);
    }
    return outcome == GOT;
}

bool auth_get_token(const struct auth_client *client, int64_t deadline_ms,
                    struct auth_token *ret_token, struct error *error)
{
    struct auth auth;
    struct http *http = http_new(&(struct http_endpoint){.tls = client->tls}, 1);
    auth_init(&auth, client, http);
    bool got = get(&auth, deadline_ms, ret_token, error);
    auth_done(&auth);
    http_free(http);
    return got;
}

/* ---- the tokens of a client ---- */

void auth_init(struct auth *auth, const struct auth_client *client, struct http *http)
{
    *auth = (struct auth){
        .client = *client,
        .tls = {.ca = client->tls->ca, .unsafe = client->tls->unsafe},
        .http = http,
    };
}

void auth_done(struct auth *auth)
{
    auth_stop(auth);
    error_done(&auth->error);
}

void auth_stop(struct auth *auth)
{
    if (auth->is_in_flight)
        http_cancel(auth->http, auth);
    auth->is_in_flight = false;
}

/* Its lifetime counts from when it was requested. */
static void use(struct auth *auth, const struct auth_token *token)
{
    http_set_bearer(auth->http, token->text);
    auth->renewal_ms = auth->requested_ms + token->lifetime_ms * 4 / 5;
    auth->end_ms = auth->requested_ms + token->lifetime_ms;
    auth->is_missing = false;
    auth->is_new = true;
}

bool auth_log_in(struct auth *auth, int64_t deadline_ms, struct error *error)
{
    _cleanup_(auth_token_done) struct auth_token token = {0};
    if (!get(auth, deadline_ms, &token, error))
        return false;
    use(auth, &token);
    return true;
}

bool auth_renew(struct auth *auth, int64_t now_ms, struct error *error)
{
    /* One that took longer to come than it is valid is used all the same, or none would ever be. */
    auth->is_missing = now_ms >= auth->end_ms && !auth->is_new;
    auth->is_new = false;
    if (error_is_set(&auth->error) && auth->is_missing) {
        error_move(error, &auth->error);
        return false;
    }
    if (error_is_set(&auth->error)) {
        error_done(&auth->error);
        auth->renewal_ms = now_ms + RETRY_MS;
    }
    if (!auth->is_in_flight && (now_ms >= auth->renewal_ms || auth->is_missing))
        begin(auth, now_ms, clock_now_ms() + RENEWAL_MS);
    return true;
}

bool auth_take(struct auth *auth, struct http_ended *ended)
{
    _cleanup_(auth_token_done) struct auth_token token = {0};
    if (!auth->is_in_flight || ended->owner != auth)
        return false;
    if (take(auth, ended, &token, &auth->error) == GOT)
        use(auth, &token);
    return true;
}
