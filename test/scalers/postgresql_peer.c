#include "scalers/postgresql_peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_SESSIONS = 64, DYING_MS = 100, EXITING_MS = 500, MAX_COLUMNS = 4, MAX_DIGITS = 16 };

/* The results of a statement. */
struct peer_row {
    char values[MAX_COLUMNS][MAX_DIGITS];
    size_t count;
};

struct peer_session {
    int socket; /* 0: none */
    struct text received;
    struct text reply;
    bool is_started;
    bool has_failed; /* skips up to the next Sync */
    bool in_transaction;
    bool is_served; /* a pooler has given it a session of the server */
    char *statement;
    int limit_ms;
    int64_t busy_until_ms; /* 0: not */
    bool is_logging_in;
    bool is_beginning;
    bool is_stopped; /* at its limit */
    bool is_dying;
    bool is_exiting;
};

static uint32_t number_at(const char *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof(number));
    return ntohl(number);
}

static void add_number(struct text *text, uint32_t number)
{
    uint32_t bytes = htonl(number);
    text_add_bytes(text, &bytes, sizeof(bytes));
}

static void add_message(struct text *reply, char type, const char *body, size_t length)
{
    text_add_bytes(reply, &type, 1);
    add_number(reply, (uint32_t)length + 4);
    text_add_bytes(reply, body, length);
}

static void add_error(struct peer_session *session, const char *severity, const char *state)
{
    struct text body = {0};
    text_addf(&body, "S%s%cV%s%cC%s%cM%s%c%c", severity, 0, severity, 0, state, 0, "no luck", 0, 0);
    add_message(&session->reply, 'E', body.bytes, body.length);
    text_done(&body);
    session->has_failed = true;
}

static void flush(struct peer_session *session)
{
    size_t length = session->reply.length;
    if (length > 0 && send(session->socket, session->reply.bytes, length, MSG_NOSIGNAL) < 0)
        shutdown(session->socket, SHUT_RDWR);
    text_clear(&session->reply);
}

static void hang_up(struct postgresql_peer *peer, struct peer_session *session)
{
    close(session->socket);
    text_done(&session->received);
    text_done(&session->reply);
    free(session->statement);
    *session = (struct peer_session){0};
    peer->sessions--;
}

static void add_setting(struct peer_session *session, const char *name, bool is_on)
{
    struct text body = {0};
    text_addf(&body, "%s%c%s%c", name, 0, is_on ? "on" : "off", 0);
    add_message(&session->reply, 'S', body.bytes, body.length);
    text_done(&body);
}

static void let_in(const struct postgresql_peer *peer, struct peer_session *session)
{
    char version[64];
    int length =
        snprintf(version, sizeof(version), "server_version%c%d.0", 0, peer->version / 10000);
    session->is_logging_in = false;
    add_message(&session->reply, 'S', version, (size_t)length + 1);
    add_setting(session, "default_transaction_read_only", false);
    add_setting(session, "in_hot_standby", peer->is_standby);
    add_message(&session->reply, 'K', "\0\0\0\1\0\0\0\2", 8);
    add_message(&session->reply, 'Z', "I", 1);
    flush(session);
}

static void start(const struct postgresql_peer *peer, struct peer_session *session)
{
    session->is_started = true;
    if (peer->accepts > 0 && peer->sessions > peer->accepts) {
        add_error(session, "FATAL", "53300");
        flush(session);
        shutdown(session->socket, SHUT_RDWR);
        return;
    }
    add_message(&session->reply, 'R', "\0\0\0\0", 4);
    flush(session);
    session->is_logging_in = true;
    if (peer->login_ms > 0)
        session->busy_until_ms = clock_now_ms() + peer->login_ms;
    else
        let_in(peer, session);
}

static void add_row(struct peer_session *session, const char *value)
{
    struct text body = {0};
    text_add_bytes(&body, "\0\1", 2);
    add_number(&body, (uint32_t)strlen(value));
    text_add(&body, value);
    add_message(&session->reply, 'D', body.bytes, body.length);
    text_done(&body);
    add_message(&session->reply, 'C', "SELECT 1", 9);
}

/* The numbers of "SELECT (\nSELECT 5;...\n), (\nSELECT 6...\n)", with nothing but comments behind
 * them; none: it is no such statement. */
static struct peer_row row_of(const char *statement)
{
    struct peer_row row = {0};
    const struct peer_row none = {0};
    const char *at = statement;
    for (const char *before = "SELECT (\nSELECT "; text_starts_with(at, before);
         before = ", (\nSELECT ") {
        at += strlen(before);
        size_t length = strspn(at, "0123456789");
        const char *end = strstr(at, "\n)");
        bool is_alone = at[length] == '\n' || text_starts_with(at + length, " --");
        if (row.count == MAX_COLUMNS || length >= MAX_DIGITS || end == NULL || !is_alone)
            return none;
        memcpy(row.values[row.count++], at, length);
        at = end + strlen("\n)");
    }
    return *at == '\0' ? row : none;
}

static void add_columns(struct peer_session *session, const struct peer_row *row)
{
    struct text body = {0};
    text_add_bytes(&body, (const char[]){0, (char)row->count}, 2);
    for (size_t i = 0; i < row->count; i++) {
        add_number(&body, (uint32_t)strlen(row->values[i]));
        text_add(&body, row->values[i]);
    }
    add_message(&session->reply, 'D', body.bytes, body.length);
    text_done(&body);
    add_message(&session->reply, 'C', "SELECT 1", 9);
}

/* Begins a query; it may be busy then. */
static void execute_query(struct postgresql_peer *peer, struct peer_session *session)
{
    int slow_ms = 0;
    const char *query = session->statement + strlen("SELECT ");
    peer->queries += strcmp(query, "1") != 0;
    if (strcmp(query, "error") == 0)
        add_error(session, "ERROR", "22012");
    else if (strcmp(query, "mute") == 0)
        add_message(&session->reply, 'Z', "T", 1);
    else if (text_starts_with(query, "(")) {
        const struct peer_row row = row_of(session->statement);
        if (row.count > 0)
            add_columns(session, &row);
        else
            add_error(session, "ERROR", "42601");
    } else if (strcmp(query, "die") == 0) {
        session->busy_until_ms = clock_now_ms() + DYING_MS;
        session->is_dying = true;
    } else if (strcmp(query, "exit") == 0) {
        session->busy_until_ms = clock_now_ms() + EXITING_MS;
        session->is_exiting = true;
    } else if (strcmp(query, "hang") == 0)
        session->busy_until_ms = CLOCK_NEVER;
    else if (sscanf(query, "slow %d", &slow_ms) == 1) {
        session->is_stopped = slow_ms > session->limit_ms;
        session->busy_until_ms =
            clock_now_ms() + (session->is_stopped ? session->limit_ms : slow_ms);
    } else {
        const char *comment = strstr(query, " --");
        size_t length = comment == NULL ? strlen(query) : (size_t)(comment - query);
        _cleanup_(memory_free) char *value = text_copy_bytes(query, length);
        add_row(session, value);
    }
}

static void complete_begin(struct peer_session *session)
{
    session->is_beginning = false;
    session->in_transaction = true;
    add_message(&session->reply, 'C', "BEGIN", 6);
}

static void end_session(struct peer_session *session)
{
    add_error(session, "FATAL", "57P01");
    flush(session);
    shutdown(session->socket, SHUT_RDWR);
}

static void begin(const struct postgresql_peer *peer, struct peer_session *session)
{
    if (peer->ends_others && session != &peer->table[0])
        end_session(session);
    else if (peer->begin_ms > 0) {
        session->is_beginning = true;
        session->busy_until_ms = clock_now_ms() + peer->begin_ms;
    } else
        complete_begin(session);
}

static void execute(struct postgresql_peer *peer, struct peer_session *session)
{
    const char *statement = session->statement;
    bool is_watch = strstr(statement, "client_connection_check") != NULL;
    peer->watches += is_watch;
    if (text_starts_with(statement, "BEGIN"))
        begin(peer, session);
    else if (text_starts_with(statement, "ROLLBACK")) {
        session->in_transaction = false;
        add_message(&session->reply, 'C', "ROLLBACK", 9);
    } else if (is_watch && peer->refuses_watch)
        add_error(session, "ERROR", "22023");
    else if (strstr(statement, "pg_catalog") != NULL)
        add_row(session, "");
    else
        execute_query(peer, session);
}

/* The first parameter of a Bind message without names and formats is the limit. */
static void bind_limit(struct peer_session *session, const char *body)
{
    if (strstr(session->statement, "statement_timeout") == NULL)
        return;
    size_t length = number_at(body + 6);
    _cleanup_(memory_free) char *limit = text_copy_bytes(body + 10, length);
    session->limit_ms = atoi(limit);
}

/* Of text, each. */
static void describe(struct peer_session *session, size_t columns)
{
    static const char description[] = "n\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0";
    struct text body = {0};
    text_add_bytes(&body, (const char[]){0, (char)columns}, 2);
    for (size_t i = 0; i < columns; i++)
        text_add_bytes(&body, description, sizeof(description) - 1);
    add_message(&session->reply, 'T', body.bytes, body.length);
    text_done(&body);
}

static void take_message(struct postgresql_peer *peer, struct peer_session *session, char type,
                         const char *body)
{
    if (type == 'X')
        shutdown(session->socket, SHUT_RDWR);
    else if (type == 'H')
        flush(session);
    else if (type == 'S') {
        session->has_failed = false;
        add_message(&session->reply, 'Z', session->in_transaction ? "T" : "I", 1);
        flush(session);
    } else if (session->has_failed)
        return;
    else if (type == 'P') {
        free(session->statement);
        session->statement = text_copy(body + strlen(body) + 1);
        add_message(&session->reply, '1', "", 0);
    } else if (type == 'B') {
        bind_limit(session, body);
        add_message(&session->reply, '2', "", 0);
    } else if (type == 'D') {
        const struct peer_row row = row_of(session->statement);
        if (text_starts_with(session->statement, "SELECT") &&
            strcmp(session->statement, "SELECT mute") != 0)
            describe(session, row.count > 0 ? row.count : 1);
        else
            add_message(&session->reply, 'n', "", 0);
    } else if (type == 'E')
        execute(peer, session);
}

static bool is_served(const struct postgresql_peer *peer, struct peer_session *session)
{
    size_t served = 0;
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        served += peer->table[i].is_served;
    if (!session->is_served && (peer->begins == 0 || served < peer->begins))
        session->is_served = true;
    return session->is_served;
}

/* Works on what was received, up to a query that takes its time. */
static void work(struct postgresql_peer *peer, struct peer_session *session)
{
    size_t at = 0;
    for (;;) {
        size_t header = session->is_started ? 5 : 4;
        const char *bytes = session->received.bytes + at;
        size_t left = session->received.length - at;
        if (session->busy_until_ms != 0 || left < header ||
            (peer->serves_first && session != &peer->table[0]) ||
            (session->is_started && !is_served(peer, session)))
            break;
        size_t length = number_at(bytes + header - 4) + header - 4;
        if (left < length)
            break;
        if (session->is_started)
            take_message(peer, session, bytes[0], bytes + header);
        else
            start(peer, session);
        at += length;
    }
    if (at == 0)
        return;
    memmove(session->received.bytes, session->received.bytes + at, session->received.length - at);
    session->received.length -= at;
}

/* Returns when the next one ends. */
static int64_t end_queries(struct postgresql_peer *peer)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        struct peer_session *session = &peer->table[i];
        if (session->busy_until_ms == 0)
            continue;
        if (session->busy_until_ms > clock_now_ms()) {
            if (session->busy_until_ms < next_ms)
                next_ms = session->busy_until_ms;
            continue;
        }
        if (session->is_exiting) {
            peer->has_exited = true;
            return 0;
        }
        if (session->is_logging_in)
            let_in(peer, session);
        else if (session->is_beginning)
            complete_begin(session);
        else if (session->is_dying)
            shutdown(session->socket, SHUT_RDWR);
        else if (session->is_stopped)
            add_error(session, "ERROR", "57014");
        else
            add_row(session, "3");
        session->busy_until_ms = 0;
        work(peer, session);
        i--; /* it may be busy again */
    }
    return next_ms;
}

/* False: nothing has come. */
static bool receive(struct postgresql_peer *peer, struct peer_session *session)
{
    char bytes[65536];
    ssize_t length = recv(session->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return false;
    if (length <= 0) {
        hang_up(peer, session);
        return true;
    }
    text_add_bytes(&session->received, bytes, (size_t)length);
    work(peer, session);
    return true;
}

/* False: nobody has come. */
static bool accept_one(struct postgresql_peer *peer)
{
    int socket = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0)
        return false;
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (peer->table[i].socket == 0) {
            peer->table[i].socket = socket;
            peer->opened++;
            if (++peer->sessions > peer->max_sessions)
                peer->max_sessions = peer->sessions;
            return true;
        }
    abort();
}

static void close_all(struct postgresql_peer *peer)
{
    close(peer->listener);
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (peer->table[i].socket != 0)
            hang_up(peer, &peer->table[i]);
    free(TAKE(peer->table));
}

static int64_t serve(void *opaque)
{
    struct postgresql_peer *peer = opaque;
    if (peer->table == NULL)
        return CLOCK_NEVER;
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        while (peer->table[i].socket != 0 && receive(peer, &peer->table[i]))
            continue;
    while (accept_one(peer))
        continue;
    int64_t next_ms = end_queries(peer);
    if (peer->has_exited) {
        close_all(peer);
        return CLOCK_NEVER;
    }
    bool settled = true;
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        if (peer->table[i].socket != 0)
            settled = socket_is_settled(peer->table[i].socket) && settled;
    return settled ? next_ms : clock_now_ms();
}

void postgresql_peer_start(struct postgresql_peer *peer)
{
    peer->listener = listener_open(MAX_SESSIONS, &peer->port);
    fcntl(peer->listener, F_SETFL, O_NONBLOCK);
    peer->table = memory_array(MAX_SESSIONS, sizeof(*peer->table));
    snprintf(peer->url, sizeof(peer->url), "postgresql://me@127.0.0.1:%d/jobs?sslmode=disable",
             peer->port);
    peer->time = (struct fast_time_peer){.work = serve, .context = peer};
    fast_time_add(&peer->time);
}

void postgresql_peer_stop(struct postgresql_peer *peer)
{
    fast_time_remove(&peer->time);
    if (peer->table != NULL)
        close_all(peer);
}
