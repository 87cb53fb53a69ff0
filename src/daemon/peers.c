#include "daemon/peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/system/host_port.h"
#include "base/system/listen.h"
#include "base/text.h"
#include "client/grpc_client.h"
#include "peers.pb-c.h"
#include "serve/services/peers_service.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    REQUEST_MS = 500, /* one address */
    START_MS = 1000,
    AGAIN_MS = 1000,
    END_MS = 1000,
    GIVE_UP_MS = 10 * 1000,
    MAX_PEERS = 16,
    MAX_PAGES = 10 * 1000,    /* in one round: a hundred thousand triggers have fewer */
    MAX_PAGE_BYTES = 2 << 20, /* decoded; a page of an older version has 512 KiB at most */
};

/* A replica that was asked, or could not be. */
struct peer {
    char *address;  /* 10.0.0.7:9090 */
    char *name;     /* that its certificate must have */
    uint64_t after; /* the next page; 0: the first one, or all were read */
    bool has_answered;
};

struct peers {
    const struct option_list *names;
    struct grpc_socket_tls tls;
    struct peer_values *values;
    struct peer items[MAX_PEERS];
    size_t count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_first_over; /* the first round is over; guarded, as the next */
    bool is_stopping;
    bool has_ended;
};

/* ---- one peer ---- */

static size_t take_peaks(Backlog__Peers__Peak *const *messages, size_t count, size_t max,
                         int64_t now_ms, struct peak *ret_peaks)
{
    for (size_t i = 0; i < MIN(count, max); i++)
        ret_peaks[i] =
            (struct peak){messages[i]->value, peer_values_time_ms(messages[i]->age_ms, now_ms)};
    return MIN(count, max);
}

static void take(struct peer_values *values, const Backlog__Peers__HeldValue *message,
                 int64_t now_ms)
{
    struct peer_value value = {.held = {.value = message->value}};
    struct held *held = &value.held;
    if (message->trigger.len != PEER_DIGEST_BYTES)
        return;
    memcpy(value.digest, message->trigger.data, PEER_DIGEST_BYTES);
    held->since_ms = peer_values_time_ms(message->age_ms, now_ms);
    held->peaks_count =
        take_peaks(message->earlier, message->n_earlier, PEAKS_MAX, now_ms, held->peaks);
    value.policy_peaks.count = take_peaks(message->wanted, message->n_wanted, POLICY_MAX_PEAKS,
                                          now_ms, value.policy_peaks.items);
    peer_values_add(values, &value, now_ms);
}

/* What decoding a page may still allocate: two bytes of an empty value become a hundred. */
static void *allocate(void *left, size_t size)
{
    size_t *bytes = left;
    if (memory_heap_bytes(size) > *bytes)
        return NULL;
    *bytes -= memory_heap_bytes(size);
    return malloc(size);
}

static void release(void *left, void *pointer)
{
    (void)left;
    free(pointer);
}

/* One page. False with the error. */
static bool read_page(struct grpc_client *client, struct peer_values *values, uint64_t *after,
                      int64_t deadline_ms, size_t *count, struct error *error)
{
    Backlog__Peers__HeldRequest request = BACKLOG__PEERS__HELD_REQUEST__INIT;
    uint8_t bytes[16];
    uint8_t *reply = NULL;
    size_t length = 0;
    size_t left = MAX_PAGE_BYTES;
    ProtobufCAllocator allocator = {allocate, release, &left};
    request.after = *after;
    struct grpc_client_call *call =
        grpc_client_call_start(client, PEERS_HELD_PATH, bytes,
                               backlog__peers__held_request__pack(&request, bytes), deadline_ms);
    while (!grpc_client_call_is_done(call) && grpc_client_wait(client, deadline_ms))
        continue;
    bool has_reply = grpc_client_call_take(call, &reply, &length);
    Backlog__Peers__HeldReply *page =
        has_reply ? backlog__peers__held_reply__unpack(&allocator, length, reply) : NULL;
    free(reply);
    if (page == NULL) {
        const char *text = grpc_client_call_text(call);
        error_unavailable(error, "%s", text[0] == '\0' ? "unexpected reply" : text);
        grpc_client_call_free(call);
        return false;
    }
    for (size_t i = 0; i < page->n_values; i++)
        take(values, page->values[i], clock_now_ms());
    *count += page->n_values;
    *after = page->next;
    backlog__peers__held_reply__free_unpacked(page, &allocator);
    grpc_client_call_free(call);
    return true;
}

/* Goes on where the time was over before. */
static bool request(const struct peers *peers, struct peer *peer, struct error *error)
{
    struct grpc_socket_tls tls = peers->tls;
    int64_t deadline_ms = clock_now_ms() + REQUEST_MS;
    struct grpc_client *client = NULL;
    tls.server_name = peer->name;
    size_t count = 0;
    bool good = grpc_client_connect(peer->address, &tls, deadline_ms, &client, error);
    if (!good) /* it may be another process by then */
        peer->after = 0;
    for (int i = 0; good && i < MAX_PAGES && (i == 0 || peer->after > 0); i++)
        good = read_page(client, peers->values, &peer->after, deadline_ms, &count, error);
    grpc_client_free(client);
    if (good)
        log_info("peer %s: %zu values that it would hold", peer->address, count);
    return good;
}

/* ---- all of them ---- */

static void add_peer(struct peers *peers, const char *name, const struct addrinfo *place)
{
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (getnameinfo(place->ai_addr, place->ai_addrlen, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    bool is_v6 = strchr(host, ':') != NULL;
    char *address = text_format("%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
    bool is_known = peers->count == MAX_PEERS;
    for (size_t i = 0; i < peers->count; i++)
        is_known = is_known || text_equal(peers->items[i].address, address);
    if (is_known)
        free(address);
    else
        peers->items[peers->count++] = (struct peer){address, text_copy(name), 0, false};
}

static bool look_up(struct peers *peers, const char *name, struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    const char *port = NULL;
    _cleanup_(memory_free) char *host = NULL;
    struct addrinfo *places = NULL;
    if (!host_port_split(name, &host, &port)) /* the flag was checked */
        abort();
    int code = getaddrinfo(host, port, &hints, &places);
    if (code != 0)
        return error_unavailable(error, "%s: name lookup failed: %s", name, gai_strerror(code));
    for (const struct addrinfo *place = places; place != NULL; place = place->ai_next)
        add_peer(peers, host, place);
    freeaddrinfo(places);
    return true;
}

/* Until the time, or the end. True: it is the end. */
static bool wait_until(struct peers *peers, const bool *is_so, int64_t wait_ms)
{
    struct timespec until = clock_monotonic_after(wait_ms);
    pthread_mutex_lock(&peers->lock);
    while (!*is_so && pthread_cond_timedwait(&peers->changed, &peers->lock, &until) == 0)
        continue;
    bool found = *is_so;
    pthread_mutex_unlock(&peers->lock);
    return found;
}

static void set(struct peers *peers, bool *what)
{
    pthread_mutex_lock(&peers->lock);
    *what = true;
    pthread_cond_broadcast(&peers->changed);
    pthread_mutex_unlock(&peers->lock);
}

/* True: all that are there have answered. */
static bool request_all(struct peers *peers, struct error *error)
{
    bool have_all = true;
    for (size_t i = 0; i < peers->names->count; i++)
        have_all = look_up(peers, peers->names->items[i], error) && have_all;
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        if (!peer->has_answered && !wait_until(peers, &peers->is_stopping, 0))
            peer->has_answered = request(peers, peer, error);
        have_all = have_all && peer->has_answered;
    }
    return have_all && peers->count > 0;
}

static void *peers_thread(void *argument)
{
    struct peers *peers = argument;
    int64_t end_ms = clock_now_ms() + GIVE_UP_MS;
    _cleanup_(error_done) struct error error = {0};
    bool is_done = false;
    do {
        is_done = request_all(peers, &error);
        set(peers, &peers->is_first_over);
    } while (!is_done && clock_now_ms() < end_ms &&
             !wait_until(peers, &peers->is_stopping, AGAIN_MS));
    if (!is_done && error_is_set(&error))
        log_info("not all --peers have answered: %s", error_text(&error));
    set(peers, &peers->has_ended);
    return NULL;
}

struct peers *peers_begin(const struct option_list *names, const struct grpc_socket_tls *tls,
                          struct peer_values *values)
{
    struct peers *peers = memory_new(sizeof(*peers));
    pthread_condattr_t attributes;
    peers->names = names;
    peers->tls = *tls;
    peers->values = values;
    pthread_mutex_init(&peers->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&peers->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&peers->thread, NULL, peers_thread, peers) != 0)
        abort();
    wait_until(peers, &peers->is_first_over, START_MS);
    return peers;
}

bool peers_end(struct peers *peers)
{
    if (peers == NULL)
        return true;
    set(peers, &peers->is_stopping);
    if (!wait_until(peers, &peers->has_ended, END_MS))
        return false;
    pthread_join(peers->thread, NULL);
    pthread_cond_destroy(&peers->changed);
    pthread_mutex_destroy(&peers->lock);
    for (size_t i = 0; i < peers->count; i++) {
        free(peers->items[i].address);
        free(peers->items[i].name);
    }
    free(peers);
    return true;
}

bool peers_check(const struct option_list *names, struct error *error)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        bool has_host = name[0] != ':' && strchr(name, ':') != NULL;
        if (!has_host || !listen_is_address(name))
            return error_invalid(
                error, "--peers \"%s\" must be HOST:PORT, such as backlog.keda.svc:9090", name);
    }
    return true;
}
