#include "rabbitmq/management/access_token.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

enum {
    RENEWAL_MS = 2000, /* the most that one may take */
    RETRY_MS = 5000,   /* after one failed, while the old token is valid */
};

static char *join_scopes(const struct option_list *scopes)
{
    struct text scope = {0};
    for (size_t i = 0; i < scopes->count; i++)
        text_addf(&scope, "%s%s", i == 0 ? "" : " ", scopes->items[i]);
    return scopes->count > 0 ? text_take(&scope) : NULL;
}

void rabbitmq_access_token_init(struct rabbitmq_access_token *token,
                                const struct rabbitmq_connection_options *options,
                                struct fetch_pool *pool)
{
    *token = (struct rabbitmq_access_token){.scope = join_scopes(&options->scopes), .pool = pool};
    token->source = (struct token_source){
        .endpoint = options->oauth_token_uri,
        .client_id = options->client_id,
        .client_secret = options->client_secret,
        .scope = token->scope,
        .parameters = options->endpoint_params,
        .tls = &options->tls,
    };
}

void rabbitmq_access_token_done(struct rabbitmq_access_token *token)
{
    rabbitmq_access_token_stop(token);
    error_done(&token->error);
    free(token->scope);
}

/* Its lifetime counts from when it was requested. */
static void use(struct rabbitmq_access_token *token, const struct token *got)
{
    fetch_pool_set_bearer(token->pool, got->text);
    token->renewal_ms = token->requested_ms + got->lifetime_ms * 4 / 5;
    token->end_ms = token->requested_ms + got->lifetime_ms;
    token->is_missing = false;
    token->is_new = true;
}

bool rabbitmq_access_token_get(struct rabbitmq_access_token *token, int64_t deadline_ms,
                               struct error *error)
{
    _cleanup_(token_done) struct token got = {0};
    if (token->source.endpoint == NULL)
        return true;
    token->requested_ms = clock_now_ms();
    if (!token_get(&token->source, token->pool, deadline_ms, &got, error))
        return false;
    use(token, &got);
    return true;
}

bool rabbitmq_access_token_renew(struct rabbitmq_access_token *token, int64_t now_ms,
                                 struct error *error)
{
    if (token->source.endpoint == NULL)
        return true;
    /* One that took longer to come than it is valid is used all the same, or none would ever be. */
    token->is_missing = now_ms >= token->end_ms && !token->is_new;
    token->is_new = false;
    if (error_is_set(&token->error) && token->is_missing) {
        error_move(error, &token->error);
        return false;
    }
    if (error_is_set(&token->error)) {
        error_done(&token->error);
        token->renewal_ms = now_ms + RETRY_MS;
    }
    if (token->request != NULL || (now_ms < token->renewal_ms && !token->is_missing))
        return true;
    token->requested_ms = now_ms;
    token->request = token_request_new(&token->source, token->pool, clock_now_ms() + RENEWAL_MS);
    return true;
}

bool rabbitmq_access_token_take(struct rabbitmq_access_token *token,
                                const struct fetch_ended *ended)
{
    _cleanup_(token_done) struct token got = {0};
    if (token->request == NULL || ended->owner != token->request)
        return false;
    enum token_outcome outcome = token_request_take(token->request, ended, &got, &token->error);
    if (outcome == TOKEN_GOT)
        use(token, &got);
    if (outcome != TOKEN_PENDING)
        rabbitmq_access_token_stop(token);
    return true;
}

void rabbitmq_access_token_stop(struct rabbitmq_access_token *token)
{
    token_request_free(TAKE(token->request));
}
