#include "shared/token.h"

#include "base/memory.h"
#include "base/text.h"
#include "shared/fetch.h"

#include <stdlib.h>
#include <string.h>

enum {
    BODY_BYTES_MOST = 64 * 1024,
    CODE_BYTES_MOST = 40,
    /* Where the endpoint does not say how long its token is good for, and the longest we believe. */
    LIFETIME_S = 300,
    LIFETIME_S_MOST = 24 * 3600,
};

/* Where the credentials are put: as RFC 6749 prefers it, or as some endpoints insist on. */
enum style { IN_HEADER, IN_BODY, STYLES };

static void wipe(char *string)
{
    if (string != NULL)
        explicit_bzero(string, strlen(string));
}

static void escaped_done(char **escaped)
{
    wipe(*escaped);
    curl_free(*escaped);
}

static void form_done(struct text *form)
{
    wipe(form->bytes);
    text_done(form);
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

static bool post(const struct token_source *source, enum style style, int64_t deadline_ms,
                 struct fetch_answer *ret_answer, struct error *error)
{
    const struct tls_options tls = {.ca = source->tls->ca, .unsafe = source->tls->unsafe};
    _cleanup_(form_done) struct text form = {0};
    _cleanup_(escaped_done) char *id = curl_easy_escape(NULL, source->client_id, 0);
    _cleanup_(escaped_done) char *secret = curl_easy_escape(NULL, source->client_secret, 0);
    fill(&form, source, style);
    struct fetcher *fetcher = fetch_new(&(struct fetch_source){
        .name = "the token endpoint",
        .tls = &tls,
        .user = style == IN_HEADER ? id : NULL,
        .password = secret,
        .body_bytes_most = BODY_BYTES_MOST,
    });
    enum fetch_outcome outcome =
        fetch_json_of(fetcher, source->endpoint, form.bytes, deadline_ms, ret_answer, error);
    fetch_free(fetcher);
    return outcome == FETCH_ANSWERED;
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
    const json_t *told = json_object_get(answer, "expires_in");
    double seconds = json_is_number(told)   ? json_number_value(told)
                     : json_is_string(told) ? strtod(json_string_value(told), NULL)
                                            : 0;
    if (!(seconds > 0))
        seconds = LIFETIME_S;
    return (int64_t)(seconds < LIFETIME_S_MOST ? seconds : LIFETIME_S_MOST) * 1000;
}

static bool is_good(const struct fetch_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

static bool refuse(const struct fetch_answer *answer, struct error *error)
{
    const char *code = json_string_value(json_object_get(answer->json, "error"));
    bool known = code != NULL && code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
    return error_unavailable(error, "the token endpoint answered with status %ld%s%.*s",
                             answer->status, known ? ", " : "", CODE_BYTES_MOST, known ? code : "");
}

static bool take(const struct fetch_answer *answer, struct token *ret_token, struct error *error)
{
    const char *text = json_string_value(json_object_get(answer->json, "access_token"));
    if (!is_good(answer))
        return refuse(answer, error);
    if (!is_token(text))
        return error_unavailable(error, "the token endpoint answered without an access_token");
    *ret_token = (struct token){text_copy(text), lifetime_ms(answer->json)};
    return true;
}

bool token_get(const struct token_source *source, int64_t deadline_ms, struct token *ret_token,
               struct error *error)
{
    struct fetch_answer answer = {0};
    bool answered = false;
    for (int style = IN_HEADER; style < STYLES; style++) {
        fetch_answer_done(&answer);
        answered = post(source, (enum style)style, deadline_ms, &answer, error);
        if (!answered || is_good(&answer) || answer.status >= 500)
            break;
    }
    bool good = answered && take(&answer, ret_token, error);
    fetch_answer_done(&answer);
    return good;
}

void token_done(struct token *token)
{
    wipe(token->text);
    free(token->text);
    *token = (struct token){0};
}
