#include "kafka/login/oauth.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kit/auth.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_EXTENSIONS = 64,
    MAX_EXTENSION_WORDS = 2 * MAX_EXTENSIONS,
};

static bool is_extension(const char *piece)
{
    size_t letters = strspn(piece, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    bool is_reserved = letters == 4 && strncmp(piece, "auth", 4) == 0; /* RFC 7628, section 3.1 */
    const char *value = piece + letters + 1;
    return letters > 0 && piece[letters] == '=' && *value != '\0' && strchr(value, '=') == NULL &&
           !is_reserved;
}

void kafka_oauth_extensions_free(const char **words, size_t count)
{
    for (size_t i = 0; words != NULL && i < count; i++)
        free((char *)words[i]);
    free(words);
}

/* The trimmed pieces between commas, each name=value, cut in two; NULL where one is not. */
const char **kafka_oauth_extensions(const char *list, size_t *ret_words)
{
    const char **words = memory_array(MAX_EXTENSION_WORDS, sizeof(*words));
    size_t count = 0;
    while (list != NULL) {
        _cleanup_(memory_free) char *piece = text_take_piece(&list, ",");
        if (count == MAX_EXTENSION_WORDS || !is_extension(piece)) {
            kafka_oauth_extensions_free(words, count);
            return NULL;
        }
        size_t name = strcspn(piece, "=");
        words[count++] = text_copy_bytes(piece, name);
        words[count++] = text_copy(piece + name + 1);
    }
    *ret_words = count;
    return words;
}

void kafka_oauth_check(const struct kafka_connection_options *connection, struct error *mistakes)
{
    size_t count = 0;
    if (connection->username == NULL || connection->password == NULL ||
        connection->token_endpoint == NULL)
        error_add(mistakes,
                  "sasl \"oauthbearer\" needs username, password and oauthTokenEndpointUri");
    else
        auth_check_endpoint("oauthTokenEndpointUri", connection->token_endpoint, mistakes);

    const char **words = kafka_oauth_extensions(connection->oauth_extensions, &count);
    if (words == NULL)
        error_add(
            mistakes,
            "oauthExtensions must be at most %d pieces between commas, each a name of letters "
            "(not auth), = and a value",
            MAX_EXTENSIONS);
    else
        kafka_oauth_extensions_free(words, count);
}

/* KEDA's commas are the protocol's spaces. */
char *kafka_oauth_scope(const char *scopes)
{
    char *scope = text_copy(scopes);
    for (char *at = scope; at != NULL && *at != '\0'; at++)
        if (*at == ',')
            *at = ' ';
    return scope;
}

static bool give(const struct kafka_connection_options *connection, rd_kafka_t *rk,
                 const struct auth_token *token, struct error *error)
{
    char reason[256] = "";
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t count = 0;
    const char **extensions = kafka_oauth_extensions(connection->oauth_extensions, &count);
    rd_kafka_resp_err_t code = rd_kafka_oauthbearer_set_token(
        rk, token->text, (int64_t)now.tv_sec * 1000 + token->lifetime_ms, connection->username,
        extensions, count, reason, sizeof(reason));
    kafka_oauth_extensions_free(extensions, count);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
           error_unavailable(error, "librdkafka does not take the token: %s", reason);
}

static bool refresh(const struct kafka_connection_options *connection, rd_kafka_t *rk,
                    int64_t deadline_ms, struct error *error)
{
    _cleanup_(memory_free) char *scope = kafka_oauth_scope(connection->scopes);
    _cleanup_(auth_token_done) struct auth_token token = {0};
    const struct auth_client client = {
        .endpoint = connection->token_endpoint,
        .client_id = connection->username,
        .client_secret = connection->password,
        .scope = scope,
        .tls = &connection->tls,
    };
    return auth_get_token(&client, deadline_ms, &token, error) &&
           give(connection, rk, &token, error);
}

bool kafka_oauth_refresh(const struct kafka_connection_options *connection, rd_kafka_t *rk,
                         int64_t deadline_ms)
{
    _cleanup_(error_done) struct error error = {0};
    bool has_token = refresh(connection, rk, deadline_ms, &error);
    if (!has_token)
        rd_kafka_oauthbearer_set_token_failure(rk, error_text(&error));
    return has_token;
}
