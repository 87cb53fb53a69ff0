#include "scalers/kafka/peer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 16, UNKNOWN_TOPIC = 3, DENIED = 29, REFUSED = 58 };
enum { SASL_HANDSHAKE = 17, API_VERSIONS = 18, SASL_AUTHENTICATE = 36 };

static void put(struct text *reply, int64_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;)
        text_add_bytes(reply, &(char){(char)(number >> (8 * i))}, 1);
}

static void put_string(struct text *reply, const char *string)
{
    put(reply, (int64_t)strlen(string), 2);
    text_add(reply, string);
}

static void put_versions(struct text *reply)
{
    static const int16_t apis[][2] = {{KAFKA_PEER_LIST_OFFSETS, 1},
                                      {KAFKA_PEER_METADATA, 2},
                                      {KAFKA_PEER_OFFSET_FETCH, 1},
                                      {KAFKA_PEER_FIND_COORDINATOR, 0},
                                      {KAFKA_PEER_DESCRIBE_GROUPS, 0},
                                      {SASL_HANDSHAKE, 1},
                                      {API_VERSIONS, 3},
                                      {SASL_AUTHENTICATE, 0}};
    put(reply, 0, 2);
    put(reply, ARRAY_LENGTH(apis) + 1, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(apis); i++) {
        put(reply, apis[i][0], 2);
        put(reply, 0, 2);
        put(reply, apis[i][1], 2);
        put(reply, 0, 1);
    }
    put(reply, 0, 4 + 1);
}

static void put_mechanisms(struct text *reply)
{
    put(reply, 0, 2);
    put(reply, 1, 4);
    put_string(reply, "PLAIN");
}

static void put_login(struct text *reply, bool is_refused)
{
    put(reply, is_refused ? REFUSED : 0, 2);
    put_string(reply, is_refused ? "no such user" : "");
    put(reply, 0, 4);
}

/* With one partition, led by broker 1, without replicas. */
static void put_topic(struct text *reply, const char *name, bool exists)
{
    put(reply, exists ? 0 : UNKNOWN_TOPIC, 2);
    put_string(reply, name);
    put(reply, 0, 1);
    put(reply, exists, 4);
    if (!exists)
        return;
    put(reply, 0, 2 + 4);
    put(reply, 1, 4);
    put(reply, 0, 4 + 4);
}

static int64_t get(const unsigned char **bytes, size_t count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | *(*bytes)++;
    return (int64_t)number;
}

/* The caller frees it. */
static char *get_string(const unsigned char **bytes)
{
    int64_t length = get(bytes, 2);
    char *string = text_format("%.*s", (int)length, (const char *)*bytes);
    *bytes += length;
    return string;
}

/* The request is one of librdkafka, and as such taken for well-formed. This is what it has behind
 * its number and the name of the client. */
static const unsigned char *body_of(const unsigned char *request)
{
    const unsigned char *at = request + 8;
    _cleanup_(memory_free) char *client = get_string(&at);
    return at;
}

static void put_topics(struct text *reply, const unsigned char *request)
{
    static const char *const listed[] = {"a", "b", "a"};
    const unsigned char *at = body_of(request);
    int32_t count = (int32_t)get(&at, 4); /* -1: of all topics */
    put(reply, count > 0 ? count : (int32_t)ARRAY_LENGTH(listed), 4);
    for (int32_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *name = get_string(&at);
        put_topic(reply, name, text_equal(name, "a") || text_equal(name, "b"));
    }
    for (size_t i = 0; count <= 0 && i < ARRAY_LENGTH(listed); i++)
        put_topic(reply, listed[i], true);
}

/* The name of the cluster is long, as librdkafka 2.8 gives an answer four times
 * its length of memory, which is too little for topics as short as these; so is that of the rack,
 * where the cluster has no name. */
static void put_metadata(struct text *reply, const struct kafka_peer *peer,
                         const unsigned char *request)
{
    char name[256] = "";
    memset(name, 'c', sizeof(name) - 1);
    put(reply, 1, 4);
    put(reply, 1, 4);
    put_string(reply, "127.0.0.1");
    put(reply, peer->port, 4);
    put_string(reply, name);
    if (peer->has_no_id)
        put(reply, -1, 2);
    else
        put_string(reply, name);
    put(reply, 1, 4);
    put_topics(reply, request);
}

static void put_coordinator(struct text *reply, const struct kafka_peer *peer)
{
    put(reply, 0, 2);
    put(reply, 1, 4);
    put_string(reply, "127.0.0.1");
    put(reply, peer->port, 4);
}

static void put_commit(struct text *reply)
{
    put(reply, 0, 8);
    put_string(reply, "");
    put(reply, 0, 2);
}

/* Of partition 0 of each topic. */
static void put_all_commits(struct text *reply, int topics)
{
    put(reply, topics, 4);
    for (int i = 0; i < topics; i++) {
        _cleanup_(memory_free) char *topic = text_format("topic-%d", i);
        put_string(reply, topic);
        put(reply, 1, 4);
        put(reply, 0, 4);
        put_commit(reply);
    }
}

/* Of partition 0 of a. */
static void put_denied_commit(struct text *reply)
{
    put(reply, 1, 4);
    put_string(reply, "a");
    put(reply, 1, 4);
    put(reply, 0, 4);
    put(reply, -1, 8);
    put_string(reply, "");
    put(reply, DENIED, 2);
}

/* All partitions that the request is for: their last or first offsets, or commits. */
static void put_partitions(struct text *reply, const unsigned char *at, bool is_commit)
{
    int64_t topics = get(&at, 4);
    for (put(reply, topics, 4); topics-- > 0;) {
        _cleanup_(memory_free) char *topic = get_string(&at);
        put_string(reply, topic);
        int64_t partitions = get(&at, 4);
        for (put(reply, partitions, 4); partitions-- > 0;) {
            put(reply, get(&at, 4), 4);
            if (is_commit) {
                put_commit(reply);
                continue;
            }
            bool is_first = (int64_t)get(&at, 8) == RD_KAFKA_OFFSET_BEGINNING;
            put(reply, 0, 2);
            put(reply, -1, 8);
            put(reply, is_first ? 0 : KAFKA_PEER_MESSAGES, 8);
        }
    }
}

/* NULL: it has no partition. */
static void put_member(struct text *reply, const char *topic)
{
    _cleanup_(text_done) struct text assignment = {0};
    put(&assignment, 0, 2);
    put(&assignment, topic != NULL, 4);
    if (topic != NULL) {
        put_string(&assignment, topic);
        put(&assignment, 1, 4);
        put(&assignment, 0, 4);
    }
    put(&assignment, 0, 4);
    for (int i = 0; i < 3; i++)
        put_string(reply, "member");
    put(reply, 0, 4);
    put(reply, (int64_t)assignment.length, 4);
    text_add_bytes(reply, assignment.bytes, assignment.length);
}

static void put_members(struct text *reply, const char *group, int more)
{
    static const char *const topics[] = {"a", "b", NULL};
    put(reply, 1, 4);
    put(reply, 0, 2);
    put_string(reply, group);
    put_string(reply, "Stable");
    put_string(reply, "consumer");
    put_string(reply, "range");
    put(reply, (int64_t)ARRAY_LENGTH(topics) + more, 4);
    for (size_t i = 0; i < ARRAY_LENGTH(topics); i++)
        put_member(reply, topics[i]);
    for (int i = 0; i < more; i++)
        put_member(reply, "a");
}

/* Whether the list has this name; NULL: no name at all. */
static bool names(const char *list, const char *name)
{
    _cleanup_(memory_free) char *all = text_format(",%s,", list == NULL ? "" : list);
    _cleanup_(memory_free) char *one = text_format(",%s,", name);
    return strstr(all, one) != NULL;
}

/* False: the reply is too long. */
static bool put_group(struct text *reply, struct kafka_peer *peer, const unsigned char *request)
{
    const unsigned char *at = body_of(request);
    bool is_for_members = request[1] == KAFKA_PEER_DESCRIBE_GROUPS;
    if (is_for_members)
        get(&at, 4); /* of one */
    _cleanup_(memory_free) char *group = get_string(&at);
    if (names(is_for_members ? peer->too_long_members : peer->too_long_commits, group))
        return false;
    if (is_for_members)
        put_members(reply, group, peer->more_members);
    else if (at[0] != UINT8_MAX && memcmp(at, "\0\0\0\0", 4) != 0) /* topics are named */
        put_partitions(reply, at, true);
    else if (peer->denies_commits)
        put_denied_commit(reply);
    else
        put_all_commits(reply, peer->committed_topics);
    return true;
}

static bool takes_one(atomic_int *left)
{
    bool takes = *left > 0;
    *left -= takes;
    return takes;
}

/* False: the connection has ended. */
static bool answer(struct kafka_peer *peer, int connection)
{
    unsigned char request[64 << 10];
    uint32_t length;
    if (recv(connection, &length, sizeof(length), MSG_WAITALL) != sizeof(length))
        return false;
    length = ntohl(length);
    if (length < 8 || length > sizeof(request) ||
        recv(connection, request, length, MSG_WAITALL) != (ssize_t)length)
        return false;
    usleep((useconds_t)peer->delay_ms * 1000);
    bool is_counted = request[1] < KAFKA_PEER_KINDS;
    bool is_short = !is_counted || !takes_one(&peer->too_long_left[request[1]]);
    if (is_counted)
        peer->requests[request[1]]++;
    if (is_counted && takes_one(&peer->closed_left[request[1]]))
        return false;
    if (is_counted && is_short && takes_one(&peer->silent_left[request[1]]))
        return true;
    _cleanup_(text_done) struct text reply = {0};
    text_add_bytes(&reply, (const char *)request + 4, 4); /* its number */
    switch (request[1]) {
    case API_VERSIONS:
        put_versions(&reply);
        break;
    case SASL_HANDSHAKE:
        put_mechanisms(&reply);
        break;
    case SASL_AUTHENTICATE:
        put_login(&reply, peer->refuses);
        break;
    case KAFKA_PEER_FIND_COORDINATOR:
        put_coordinator(&reply, peer);
        break;
    case KAFKA_PEER_LIST_OFFSETS:
        put_partitions(&reply, body_of(request) + 4, false);
        break;
    case KAFKA_PEER_OFFSET_FETCH:
    case KAFKA_PEER_DESCRIBE_GROUPS:
        is_short = put_group(&reply, peer, request) && is_short;
        break;
    default:
        put_metadata(&reply, peer, request);
    }
    _cleanup_(text_done) struct text frame = {0};
    peer->too_long_count += !is_short;
    put(&frame, is_short ? (int64_t)reply.length : INT32_MAX, 4);
    text_add_bytes(&frame, reply.bytes, reply.length);
    return send(connection, frame.bytes, frame.length, MSG_NOSIGNAL) == (ssize_t)frame.length;
}

static void *run(void *opaque)
{
    struct kafka_peer *peer = opaque;
    struct pollfd fds[2 + CONNECTIONS] = {{.fd = peer->stop_fd, .events = POLLIN},
                                          {.fd = peer->listener, .events = POLLIN}};
    for (nfds_t i = 2; i < ARRAY_LENGTH(fds); i++)
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    while (poll(fds, ARRAY_LENGTH(fds), -1) > 0 && fds[0].revents == 0)
        for (nfds_t i = 2; i < ARRAY_LENGTH(fds); i++)
            if (fds[i].fd < 0 && fds[1].revents != 0) {
                fds[i].fd = accept(peer->listener, NULL, NULL);
                fds[1].revents = fds[i].revents = 0;
            } else if (fds[i].fd >= 0 && fds[i].revents != 0 && !answer(peer, fds[i].fd)) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
    for (nfds_t i = 2; i < ARRAY_LENGTH(fds); i++)
        if (fds[i].fd >= 0)
            close(fds[i].fd);
    return NULL;
}

void kafka_peer_start(struct kafka_peer *peer)
{
    enum { BACKLOG = 16 };
    peer->stop_fd = eventfd(0, EFD_CLOEXEC);
    peer->listener = listener_open(BACKLOG, &peer->port);
    peer->brokers = text_format("127.0.0.1:%d", peer->port);
    peer->options = (struct kafka_connection_options){.bootstrap_servers = peer->brokers};
    pthread_create(&peer->thread, NULL, run, peer);
}

void kafka_peer_stop(struct kafka_peer *peer)
{
    eventfd_write(peer->stop_fd, 1);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->stop_fd);
    free(peer->brokers);
}

struct kafka_session *kafka_peer_connect(const struct kafka_peer *peer)
{
    enum { WITHIN_MS = 15000 };
    _cleanup_(error_done) struct error error = {0};
    void *client = NULL;
    if (!kafka_session_connect(&peer->options, clock_now_ms() + WITHIN_MS, &client, &error))
        fprintf(stderr, "%s\n", error_text(&error));
    struct kafka_session *session = client;
    if (session != NULL) /* the peer lists no groups */
        kafka_group_types_suspend(session->group_types, clock_now_ms());
    return session;
}
