/*
 * What a Redis server replies, from the first command to the notifications. The first byte says to
 * which scaler; the rest is what is replied after each write, and while all wait, with bytes of 255
 * between, and over all connections of the client. Between two bytes of 255 is silence: time
 * passes.
 */
#include "redis/client.h"
#include "require.h"
#include "source.h"
#include "time.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, SEPARATOR = 0xff, CHOICES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;
extern const struct scaler scaler_redis_cluster;
extern const struct scaler scaler_redis_cluster_streams;

#define SERVER                                                                                     \
    {"address", "127.0.0.1:6379"}, {"username", "u"}, {"password", "p"}, {"databaseIndex", "1"}

static const struct source lists = {
    &scaler_redis, {{SERVER, {"listName", "jobs"}}, {SERVER, {"listName", "set"}}}};
static const struct source queues = {
    &scaler_redis,
    {{SERVER, {"keys", "a,b"}}, {SERVER, {"library", "bullmq"}, {"queueName", "jobs"}}}};
static const struct source streams = {
    &scaler_redis_streams,
    {{SERVER, {"stream", "all"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "workers"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "workers"}, {"lagCount", "5"}},
     {SERVER, {"stream", "jobs"}, {"consumerGroup", "others"}, {"lagCount", "5"}}},
};

#define NODE {"address", "127.0.0.1:6379"}, {"username", "u"}, {"password", "p"}

static const struct source cluster_lists = {
    &scaler_redis_cluster,
    {{NODE, {"listName", "jobs"}}, {NODE, {"listName", "set"}}, {NODE, {"listName", "{jobs}:2"}}}};
static const struct source cluster_streams = {
    &scaler_redis_cluster_streams,
    {{NODE, {"stream", "all"}},
     {NODE, {"stream", "jobs"}, {"consumerGroup", "workers"}},
     {NODE, {"stream", "jobs"}, {"consumerGroup", "workers"}, {"lagCount", "5"}}},
};

static const uint8_t *next;
static const uint8_t *end;
static int peers[DESCRIPTORS]; /* the server's end, by the client's; 0: none */
static size_t waits;

/* The linker puts these before the real ones (--wrap): no host is looked up, also not in a thread
 * that outlives the input, and no write waits for one. */
bool __wrap_redis_lookup_is_needed(const char *host);
redisContext *__wrap_redisConnectNonBlock(const char *host, int port);
bool __wrap_redis_socket_write(struct redis_socket *socket, const char **ret_reason);
bool __real_redis_socket_write(struct redis_socket *socket, const char **ret_reason);

bool __wrap_redis_lookup_is_needed(const char *host)
{
    (void)host;
    return false;
}

redisContext *__wrap_redisConnectNonBlock(const char *host, int port)
{
    int ends[2];
    (void)host;
    (void)port;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    require(ends[0] < DESCRIPTORS);
    if (peers[ends[0]] != 0)
        close(peers[ends[0]]);
    peers[ends[0]] = ends[1];
    redisContext *context = redisConnectFd(ends[0]);
    context->flags &= ~REDIS_BLOCK;
    return context;
}

/* What comes next, and after the last of it the end of the connection. */
static void answer(int peer)
{
    if (next == end) {
        shutdown(peer, SHUT_WR);
        return;
    }
    const uint8_t *separator = memchr(next, SEPARATOR, (size_t)(end - next));
    const uint8_t *stop = separator == NULL ? end : separator;
    ssize_t sent = send(peer, next, (size_t)(stop - next), MSG_NOSIGNAL);
    (void)sent; /* the client may have hung up */
    next = stop;
}

/* A first byte of less than CHOICES says on which of the connections; else it is each of them in
 * turn. */
static void on_wait(const struct pollfd *descriptors, size_t count)
{
    if (next < end && *next == SEPARATOR)
        next++;
    if (next < end && *next < CHOICES)
        waits = *next++;
    for (size_t i = 0; i < count; i++) {
        int fd = descriptors[(waits + i) % count].fd;
        if (fd < 0 || peers[fd] == 0)
            continue;
        answer(peers[fd]);
        break;
    }
    waits++;
}

bool __wrap_redis_socket_write(struct redis_socket *socket, const char **ret_reason)
{
    char sent[4096];
    int peer = peers[socket->context->fd];
    bool is_empty = socket->start == socket->end;
    bool good = __real_redis_socket_write(socket, ret_reason);
    while (recv(peer, sent, sizeof(sent), 0) > 0)
        ;
    if (!is_empty && next < end && *next == SEPARATOR)
        next++;
    if (!is_empty)
        answer(peer);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    next = data + 1;
    end = data + size;
    waits = 0;
    fuzz_time_begin(on_wait);
    source_measure(data[0] == 's'   ? &streams
                   : data[0] == 'q' ? &queues
                   : data[0] == 'c' ? &cluster_lists
                   : data[0] == 'd' ? &cluster_streams
                                    : &lists);
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (peers[i] != 0)
            close(peers[i]);
        peers[i] = 0;
    }
    return 0;
}
