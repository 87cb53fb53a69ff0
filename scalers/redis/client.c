#include "redis/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/arm.h"
#include "redis/kind.h"
#include "redis/pipeline.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LONGEST_WORDS = 200, /* of the server's, in an error */
    LONGEST_VERSION = 32,
    MOST_ELEMENTS = 1 << 17, /* of one array; hiredis makes room for as many as it is told */
};

/* What a few errors mean for who reads them here. */
static const struct {
    const char *code;
    const char *words;
} explained[] = {
    {"NOAUTH ", "wants a password: set password, and username where it is not the default user"},
    {"NOPERM ", "does not allow its user to measure"},
    {"LOADING ", "is still loading its data"},
    {"MASTERDOWN ", "is a replica without its master"},
    {"MOVED ", "is a node of a Redis Cluster, which is not supported, and another has this key"},
    {"ASK ", "is a node of a Redis Cluster, which is not supported, and another has this key"},
    {"CLUSTERDOWN ", "is a node of a Redis Cluster, which is not supported"},
};

bool redis_reply_is_error(const redisReply *reply, const char *beginning)
{
    return reply->type == REDIS_REPLY_ERROR && text_starts_with(reply->str, beginning);
}

bool redis_client_explain(const struct redis_client *client, const redisReply *reply,
                          struct error *error)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return error_unavailable(error, "Redis at %s answered something else than was asked",
                                 client->address);
    const char *words = "answered";
    for (size_t i = 0; i < ARRAY_LENGTH(explained); i++)
        if (redis_reply_is_error(reply, explained[i].code))
            words = explained[i].words;
    return error_unavailable(error, "Redis at %s %s: %.*s", client->address, words,
                             (int)text_cut(reply->str, LONGEST_WORDS), reply->str);
}

static void *create_limited_array(const redisReadTask *task, redis_element_count elements)
{
    const struct redis_client *client = task->privdata;
    return elements > MOST_ELEMENTS ? NULL : client->create_array(task, elements);
}

static bool cannot_connect(const struct redis_client *client, const char *words,
                           struct error *error)
{
    return error_unavailable(error, "cannot connect to Redis at %s: %s", client->address, words);
}

static bool wait_for_connection(const struct redis_client *client, int64_t deadline_ms,
                                struct error *error)
{
    struct pollfd socket = {.fd = client->context->fd, .events = POLLOUT};
    int ready = 0;
    do
        ready = poll(&socket, 1, clock_left_ms(deadline_ms, INT_MAX));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return cannot_connect(client, "no answer in time", error);

    int failure = errno;
    socklen_t size = sizeof(failure);
    if (ready > 0)
        getsockopt(socket.fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    return (ready > 0 && failure == 0) || cannot_connect(client, strerror(failure), error);
}

static bool open_connection(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    int port = 0;
    _cleanup_(memory_free) char *host = redis_connection_host(client->options, &port);
    /* The host's name is looked up by getaddrinfo(), whose own time-outs may exceed the deadline. */
    client->context = redisConnectNonBlock(host, port);
    if (client->context == NULL)
        return error_set(error, ERROR_INTERNAL, "hiredis made no connection");
    if (client->context->err != 0)
        return cannot_connect(client, client->context->errstr, error);

    redisReader *reader = client->context->reader;
    client->functions = *reader->fn;
    client->create_array = client->functions.createArray;
    client->functions.createArray = create_limited_array;
    reader->fn = &client->functions;
    reader->privdata = client;
    return wait_for_connection(client, deadline_ms, error);
}

/* Never the server's own words: one that does not know AUTH repeats what came with it. */
static void explain_login(const struct redis_client *client, const redisReply *reply,
                          struct error *error)
{
    /* As KEDA: it lets everybody in, and ours was not needed. */
    if (strstr(reply->str, "no password is set") != NULL ||
        strstr(reply->str, "without any password configured") != NULL)
        return;
    bool wrong = redis_reply_is_error(reply, "WRONGPASS") ||
                 redis_reply_is_error(reply, "ERR invalid password");
    error_unavailable(error, "Redis at %s did not let us in: %s", client->address,
                      wrong ? "check username and password"
                            : "it refused AUTH (before version 6 there is no username)");
}

static void learn_version(struct redis_client *client, const redisReply *reply)
{
    static const char field[] = "redis_version:";
    const char *found = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, field) : NULL;
    if (found == NULL)
        return;
    const char *version = found + strlen(field);
    free(client->version);
    client->version = text_copy_bytes(version, strcspn(version, "\r\n"));
    client->version[text_cut(client->version, LONGEST_VERSION)] = '\0';
}

/* The pipeline's context is the error. */
static void greeted(struct redis_pipeline *pipeline, struct redis_command command,
                    const redisReply *reply)
{
    struct error *error = pipeline->context;
    const char *verb = command.words[0];
    if (error_is_set(error))
        return;
    if (text_equal(verb, "INFO"))
        learn_version(pipeline->client, reply);
    if (reply->type != REDIS_REPLY_ERROR)
        return;

    bool optional = text_equal(verb, "INFO") || text_equal(verb, "CLIENT");
    bool answer_enough = text_equal(verb, "PING") && redis_reply_is_error(reply, "NOPERM");
    if (text_equal(verb, "AUTH"))
        explain_login(pipeline->client, reply, error);
    else if (!optional && !answer_enough)
        redis_client_explain(pipeline->client, reply, error);
}

static bool greet(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    const struct redis_connection *options = client->options;
    _cleanup_(memory_free) char *database = text_format("%lld", (long long)options->database);
    _cleanup_(error_done) struct error refusal = {0};
    _cleanup_(redis_pipeline_done) struct redis_pipeline pipeline = {
        .client = client, .answered = greeted, .context = &refusal};

    if (options->password != NULL && options->username != NULL)
        redis_pipeline_ask(&pipeline, (struct redis_command){
                                          {"AUTH", options->username, options->password}, NULL});
    else if (options->password != NULL)
        redis_pipeline_ask(&pipeline, (struct redis_command){{"AUTH", options->password}, NULL});
    if (options->database != 0)
        redis_pipeline_ask(&pipeline, (struct redis_command){{"SELECT", database}, NULL});
    redis_pipeline_ask(&pipeline, (struct redis_command){{"CLIENT", "SETNAME", "backlog"}, NULL});
    redis_pipeline_ask(&pipeline, (struct redis_command){{"INFO", "server"}, NULL});
    redis_pipeline_ask(&pipeline, (struct redis_command){{"PING"}, NULL});

    bool good = redis_pipeline_run(&pipeline, deadline_ms, error);
    /* Some servers say why, and hang up. */
    if (error_is_set(&refusal)) {
        error_move(error, &refusal);
        return false;
    }
    return good;
}

static void close_connection(struct redis_client *client)
{
    if (client->context != NULL)
        redisFree(TAKE(client->context));
}

bool redis_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                          struct error *error)
{
    const struct redis_connection *options = connection_options;
    struct redis_client *client = memory_new(sizeof(*client));
    client->options = options;
    int port = 0;
    _cleanup_(memory_free) char *host = redis_connection_host(options, &port);
    client->address = text_format(strchr(host, ':') == NULL ? "%s:%d" : "[%s]:%d", host, port);

    if (!open_connection(client, deadline_ms, error) || !greet(client, deadline_ms, error)) {
        redis_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

bool redis_client_refresh(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    /* Nothing is asked, so whatever can be read is the end, or an answer to nobody. */
    struct pollfd socket = {.fd = client->context->fd, .events = POLLIN};
    const redisReader *reader = client->context->reader;
    if (poll(&socket, 1, 0) == 0 && reader->pos == reader->len)
        return true;
    close_connection(client);
    redis_arm_lose(client);
    return open_connection(client, deadline_ms, error) && greet(client, deadline_ms, error);
}

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_arm_free(client);
    kinds_forget(client);
    close_connection(client);
    free(client->version);
    free(client->address);
    free(client);
}
