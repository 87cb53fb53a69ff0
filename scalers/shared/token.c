#include "shared/token.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"
#include "shared/fetch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_BODY_BYTES = 64 * 1024,
    MAX_TREE_BYTES = 1024 * 1024,
    MAX_CODE_BYTES = 40,
    /* Where the endpoint does not report how long its token is valid, and the longest that is
       accepted. */
    DEFAULT_LIFETIME_S = 300,
    MAX_LIFETIME_S = 24 * 3600,
};

/* Where the credentials are put: as RFC 6749 prefers it, or as some endpoints insist on. */
enum style { IN_HEADER, IN_BODY };

struct token_request {
    struct token_source source;
    struct tls_options tls;
    struct fetch_pool *pool;
    int64_t deadline_ms;
    enum style style;
    struct text form; /* a secret */
    struct fetcher *fetcher;
};

void token_check_endpoint(const char *key, const char *endpoint, struct error *mistakes)
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

static void escaped_done(char **escaped)
{
    curl_free(*escaped);
}

static void add_field(struct text *form, const char *name, const char *value)
{
    _cleanup_(escaped_done) char *escaped = curl_easy_escape(NULL, value, 0);
    text_addf(form, "&%s=%s", name, escaped == NULL ? "" : escaped);
}

static void fill(struct text *form, const struct token_source *source, enum style style)
{
    text_add(form, "grant_type=client_credentials");
    if (source->scope != NULL)
        add_field(form, "scope", source->scope);
    if (source->parameters != NULL)
        text_addf(form, "&%s", source->parameters);
    if (style == IN_HEADER)
        return;
    add_field(form, "client_id", source->client_id);
    add_field(form, "client_secret", source->client_secret);
}

static void send_request(struct token_request *request, enum style style)
{
    const struct token_source *source = &request->source;
    _cleanup_(escaped_done) char *id = curl_easy_escape(NULL, source->client_id, 0);
    _cleanup_(escaped_done) char *secret = curl_easy_escape(NULL, source->client_secret, 0);
    text_done(&request->form);
    fetch_free(request->fetcher);
    request->style = style;
    fill(&request->form, source, style);
    request->fetcher = fetch_new(
        &(struct fetch_source){
            .name = "the token endpoint",
            .tls = &request->tls,
            .user = style == IN_HEADER ? id : NULL,
            .password = secret,
            .max_body_bytes = MAX_BODY_BYTES,
            .max_tree_bytes = MAX_TREE_BYTES,
        },
        NULL);
    fetch_set_form(request->fetcher, request->form.bytes);
    fetch_pool_add(request->pool, request->fetcher, source->endpoint, request,
                   request->deadline_ms);
}

struct token_request *token_request_new(const struct token_source *source, struct fetch_pool *pool,
                                        int64_t deadline_ms)
{
    struct token_request *request = memory_new(sizeof(*request));
    request->source = *source;
    request->tls = (struct tls_options){.ca = source->tls->ca, .unsafe = source->tls->unsafe};
    request->pool = pool;
    request->deadline_ms = deadline_ms;
    send_request(request, IN_HEADER);
    return request;
}

void token_request_free(struct token_request *request)
{
    if (request == NULL)
        return;
    fetch_pool_cancel(request->pool, request);
    fetch_free(request->fetcher);
    text_done(&request->form);
    free(request);
}

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

static bool refuse(const struct fetch_answer *answer, struct error *error)
{
    const char *code = json_string_value(json_object_get(answer->json, "error"));
    bool known = code != NULL && code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
    return error_unavailable(error, "the token endpoint answered with status %ld%s%.*s",
                             answer->status, known ? ", " : "", MAX_CODE_BYTES, known ? code : "");
}

static bool take(const struct fetch_answer *answer, struct token *ret_token, struct error *error)
{
    const char *text = json_string_value(json_object_get(answer->json, "access_token"));
    if (!fetch_is_success(answer))
        return refuse(answer, error);
    if (!is_token(text))
        return error_unavailable(error, "the token endpoint answered without an access_token");
    *ret_token = (struct token){text_copy(text), lifetime_ms(answer->json)};
    return true;
}

/* Not after an error of the server: it implies nothing about where the credentials should be. */
static bool try_other_style(const struct token_request *request, const struct fetch_ended *ended)
{
    return ended->outcome == FETCH_ANSWERED && request->style == IN_HEADER &&
           !fetch_is_success(&ended->answer) && ended->answer.status < FETCH_STATUS_SERVER_ERROR;
}

enum token_outcome token_request_take(struct token_request *request,
                                      const struct fetch_ended *ended, struct token *ret_token,
                                      struct error *error)
{
    if (try_other_style(request, ended)) {
        send_request(request, IN_BODY);
        return TOKEN_PENDING;
    }
    if (ended->outcome != FETCH_ANSWERED) {
        error_copy(error, &ended->error);
        return TOKEN_FAILED;
    }
    return take(&ended->answer, ret_token, error) ? TOKEN_GOT : TOKEN_FAILED;
}

bool token_get(const struct token_source *source, struct fetch_pool *pool, int64_t deadline_ms,
               struct token *ret_token, struct error *error)
{
    struct token_request *request = token_request_new(source, pool, deadline_ms);
    enum token_outcome outcome = TOKEN_PENDING;
    while (outcome == TOKEN_PENDING) {
        _cleanup_(fetch_ended_done) struct fetch_ended ended = {0};
        fetch_pool_wait_one(pool, &ended);
        outcome = token_request_take(request, &ended, ret_token, error);
    }
    token_request_free(request);
    return outcome == TOKEN_GOT;
}

void token_done(struct token *token)
{
    free(token->text);
    *token = (struct token){0};
}
