#include "rabbitmq/amqp/connection_login.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    MIN_FRAME_BYTES = 4096,     /* that any peer takes (AMQP 0-9-1, frame-min-size) */
    MAX_FRAME_BYTES = 8 * 1024, /* the least that RabbitMQ takes; what is received has 600 bytes */
    REFUSED = 403,              /* AMQP's ACCESS_REFUSED */

    /* RABBITMQ_SLOTS, and those of queues that hang, which may never be freed. Each takes 9 KiB:
     * librabbitmq keeps a page of 8 KiB for one that has ever received a frame. */
    MAX_CHANNELS = 128,
};

struct login {
    struct rabbitmq_amqp_connection *connection;
    const struct rabbitmq_url *url;
    int64_t deadline_ms;
    struct error *error;
};

static bool fail(const struct login *login, const char *why)
{
    return error_unavailable(login->error, "RabbitMQ at %s: login failed: %s",
                             login->connection->address, why);
}

static bool fail_closed(const struct login *login, const amqp_connection_close_t *close)
{
    const char *what = close->reply_code == REFUSED ? "authentication failed" : "login failed";
    return error_unavailable(login->error, "RabbitMQ at %s: %s: %.*s", login->connection->address,
                             what, (int)close->reply_text.len,
                             (const char *)close->reply_text.bytes);
}

static bool send_method(const struct login *login, amqp_method_number_t method, void *fields)
{
    return rabbitmq_amqp_connection_send(login->connection, 0, method, fields, login->error);
}

static bool is_method(const amqp_frame_t *frame, amqp_method_number_t method)
{
    return frame->frame_type == AMQP_FRAME_METHOD && frame->channel == 0 &&
           frame->payload.method.id == method;
}

static bool receive_frame(const struct login *login, amqp_frame_t *ret_frame)
{
    struct rabbitmq_amqp_connection *connection = login->connection;
    amqp_maybe_release_buffers(connection->state);
    for (;;) {
        int64_t next_ms;
        enum rabbitmq_received received =
            rabbitmq_amqp_connection_decode(connection, ret_frame, login->error);
        if (received != RABBITMQ_RECEIVED_NOTHING)
            return received == RABBITMQ_RECEIVED_FRAME;
        if (!rabbitmq_amqp_connection_flush(connection, &next_ms, login->error))
            return false;
        if (!rabbitmq_socket_wait(&connection->socket, rabbitmq_amqp_connection_events(connection),
                                  login->deadline_ms))
            return error_unavailable(
                login->error, "RabbitMQ at %s: no answer in time, after it accepted the connection",
                connection->address);
        if (!rabbitmq_amqp_connection_read(connection, login->error))
            return false;
    }
}

/* The method that is due next, until another is received. */
static void *receive_method(const struct login *login, amqp_method_number_t method)
{
    amqp_frame_t frame;
    if (!receive_frame(login, &frame))
        return NULL;
    if (is_method(&frame, method))
        return frame.payload.method.decoded;
    if (is_method(&frame, AMQP_CONNECTION_CLOSE_METHOD))
        fail_closed(login, frame.payload.method.decoded);
    else
        fail(login, "unexpected reply");
    return NULL;
}

/* A list with spaces between its words. */
static bool has_word(amqp_bytes_t list, const char *word)
{
    _cleanup_(memory_free) char *copy = text_copy_bytes(list.bytes, list.len);
    char *rest = copy;
    for (const char *found; (found = strsep(&rest, " ")) != NULL;)
        if (text_equal(found, word))
            return true;
    return false;
}

static amqp_table_entry_t text_entry(const char *key, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

/* Of an AMQP table: `key` has its length and the type of the value. */
static void add_entry(struct text *table, const char *key, const char *value)
{
    size_t length = strlen(value);
    text_add(table, key);
    text_add_bytes(table, (const char *)&(uint32_t){htonl((uint32_t)length)}, sizeof(uint32_t));
    text_add_bytes(table, value, length);
}

static void add_response(const struct rabbitmq_url *url, enum rabbitmq_mechanism mechanism,
                         struct text *response)
{
    switch (mechanism) {
    case RABBITMQ_MECHANISM_PLAIN: /* RFC 4616 */
        text_add_bytes(response, "", 1);
        text_add(response, url->user);
        text_add_bytes(response, "", 1);
        text_add(response, url->password);
        break;
    case RABBITMQ_MECHANISM_AMQPLAIN:
        add_entry(response, "\5LOGINS", url->user);
        add_entry(response, "\10PASSWORDS", url->password);
        break;
    case RABBITMQ_MECHANISM_EXTERNAL: /* the broker looks at the certificate only */
        text_add(response, "*");
        break;
    }
}

/* The first that the broker has, too; NULL: none. */
static const enum rabbitmq_mechanism *find_mechanism(const struct rabbitmq_url *url,
                                                     amqp_bytes_t offered)
{
    for (size_t i = 0; i < url->mechanisms_count; i++)
        if (has_word(offered, rabbitmq_mechanisms[url->mechanisms[i]]))
            return &url->mechanisms[i];
    return NULL;
}

static bool authenticate(const struct login *login)
{
    const amqp_connection_start_t *start = receive_method(login, AMQP_CONNECTION_START_METHOD);
    if (start == NULL)
        return false;
    const enum rabbitmq_mechanism *mechanism = find_mechanism(login->url, start->mechanisms);
    if (mechanism == NULL)
        return fail(login, amqp_error_string2(AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD));

    /* Then a refusal is a reply, and not a connection that breaks. */
    amqp_table_entry_t capability = {
        .key = amqp_cstring_bytes("authentication_failure_close"),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
    amqp_table_entry_t properties[] = {
        text_entry("product", "Backlog"),
        text_entry("version", BACKLOG_VERSION),
        text_entry("connection_name", "backlog"),
        {.key = amqp_cstring_bytes("capabilities"),
         .value = {.kind = AMQP_FIELD_KIND_TABLE,
                   .value.table = {.num_entries = 1, .entries = &capability}}},
    };
    _cleanup_(text_done) struct text response = {0};
    add_response(login->url, *mechanism, &response);
    amqp_connection_start_ok_t ok = {
        .client_properties = {.num_entries = ARRAY_LENGTH(properties), .entries = properties},
        .mechanism = amqp_cstring_bytes(rabbitmq_mechanisms[*mechanism]),
        .response = {.len = response.length, .bytes = response.bytes},
        .locale = amqp_cstring_bytes("en_US"),
    };
    return send_method(login, AMQP_CONNECTION_START_OK_METHOD, &ok);
}

/* 0 of the broker's is no limit. */
static uint32_t smaller(uint32_t ours, uint32_t theirs)
{
    return theirs != 0 && theirs < ours ? theirs : ours;
}

static bool tune(const struct login *login)
{
    struct rabbitmq_amqp_connection *connection = login->connection;
    const amqp_connection_tune_t *theirs = receive_method(login, AMQP_CONNECTION_TUNE_METHOD);
    if (theirs == NULL)
        return false;
    amqp_connection_tune_ok_t ok = {
        .channel_max = (uint16_t)smaller(MAX_CHANNELS, theirs->channel_max),
        .frame_max = smaller(MAX_FRAME_BYTES, theirs->frame_max),
        .heartbeat = (uint16_t)smaller(RABBITMQ_HEARTBEAT_SECONDS, theirs->heartbeat),
    };
    if (ok.frame_max < MIN_FRAME_BYTES)
        return fail(login, "unexpected reply");
    int status =
        amqp_tune_connection(connection->state, ok.channel_max, (int)ok.frame_max, ok.heartbeat);
    if (status != AMQP_STATUS_OK)
        return fail(login, amqp_error_string2(status));
    connection->heartbeat_ms = ok.heartbeat * 1000;
    connection->max_channels = ok.channel_max;
    return send_method(login, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
}

static bool open_host(const struct login *login)
{
    amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(login->url->vhost),
                                   .capabilities = amqp_empty_bytes,
                                   .insist = 1};
    return send_method(login, AMQP_CONNECTION_OPEN_METHOD, &open) &&
           receive_method(login, AMQP_CONNECTION_OPEN_OK_METHOD) != NULL;
}

bool rabbitmq_amqp_connection_log_in(struct rabbitmq_amqp_connection *connection,
                                     const struct rabbitmq_url *url, int64_t deadline_ms,
                                     struct error *error)
{
    static const char header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    const struct login login = {connection, url, deadline_ms, error};
    connection->bytes_ms = clock_now_ms();
    text_add_bytes(&connection->output, header, sizeof(header));
    if (!authenticate(&login) || !tune(&login) || !open_host(&login))
        return false;
    connection->is_open = true;
    amqp_maybe_release_buffers(connection->state);
    return true;
}
