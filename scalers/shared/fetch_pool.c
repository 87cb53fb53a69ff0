#include "shared/fetch_pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/socket.h"
#include "base/text.h"
#include "shared/address.h"
#include "shared/http_address.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

/* GETs that are begun although no idle connection is there for them. Each may look up the server's
 * name, on a thread of libcurl's own, for as long as resolv.conf lets it; once the first two have
 * it, it is in libcurl's cache. */
enum { MAX_STARTING = 2 };

enum {
    RETRY_MS = 100, /* where it waits for memory */

    /* While one connects: up to 8.3 libcurl goes from an address that is silent to the next only
     * when it is called again, and wakes nobody for that (curl's issue 11920). */
    CONNECTING_MS = 100,
};

/* Of a link: the handle, a TLS session, and what the kernel keeps of a peer that talks although
 * nobody asks (base/system/socket.h). */
enum { LINK_BYTES = 160 << 10 };

/* A GET that has not begun. */
struct get {
    TAILQ_ENTRY(get) waiting;
    void *owner;
    char *url; /* NULL: not made yet */
    fetch_pool_make_url *make_url;
    const void *context;
    int64_t deadline_ms;
};

enum slot_state {
    SLOT_IDLE,       /* the others are in flight */
    SLOT_REFUSED,    /* libcurl has it not: it ends with `refusal` */
    SLOT_STARTING,   /* without a socket: it may be looking up the name */
    SLOT_CONNECTING, /* with a socket, over which no request has left */
    SLOT_CONNECTED,
    SLOT_ADDED, /* of an added fetcher, whose socket is not counted */
    SLOT_STATES,
};

/* Of one that has, or did. */
struct slot {
    struct fetch_pool *pool;
    struct fetcher *fetcher;
    void *owner;
    enum slot_state state;
    bool is_added; /* the fetcher is borrowed; the slot goes with the transfer */
    CURLcode refusal;
};

struct fetch_pool {
    struct fetch_source source;
    struct fetch_budget budget;
    struct source_memory links; /* but the first */
    CURLM *multi;
    char *bearer; /* or NULL */
    struct slot **slots;
    size_t slots_count;
    size_t slots_capacity;
    size_t size;
    size_t in_flight; /* those that wait, too */
    size_t added;     /* of them */
    size_t in_state[SLOT_STATES];
    TAILQ_HEAD(, get) waiting; /* the oldest first */
    bool lacks_memory;         /* for the first of them; nobody says when others give some back */
    size_t sockets;            /* of all but added ones; those of idle connections, too */
    bool has_connected;
    bool is_local; /* the first connection */
};

struct fetch_pool *fetch_pool_new(const struct fetch_source *source, size_t size)
{
    struct fetch_pool *pool = memory_new(sizeof(*pool));
    pool->source = *source;
    pool->budget.max = source->max_bodies_bytes;
    pool->multi = curl_multi_init();
    TAILQ_INIT(&pool->waiting);
    fetch_pool_resize(pool, size);
    return pool;
}

void fetch_pool_free(struct fetch_pool *pool)
{
    if (pool == NULL)
        return;
    fetch_pool_stop(pool);
    for (size_t i = 0; i < pool->slots_count; i++) {
        fetch_free(pool->slots[i]->fetcher);
        free(pool->slots[i]);
    }
    free(pool->slots);
    curl_multi_cleanup(pool->multi);
    source_memory_set(&pool->links, 0);
    free(TAKE(pool->bearer));
    free(pool);
}

void fetch_pool_resize(struct fetch_pool *pool, size_t size)
{
    pool->size = size;
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)size);
}

void fetch_pool_set_bearer(struct fetch_pool *pool, const char *token)
{
    free(TAKE(pool->bearer));
    pool->bearer = text_copy(token);
    for (size_t i = 0; i < pool->slots_count; i++)
        if (!pool->slots[i]->is_added)
            fetch_set_bearer(pool->slots[i]->fetcher, token);
}

size_t fetch_pool_in_flight(const struct fetch_pool *pool)
{
    return pool->in_flight;
}

bool fetch_pool_has_capacity(const struct fetch_pool *pool)
{
    return pool->in_flight - pool->added < pool->size;
}

static struct slot *add_slot(struct fetch_pool *pool, struct fetcher *fetcher)
{
    struct slot *slot = memory_new(sizeof(*slot));
    slot->pool = pool;
    slot->fetcher = fetcher;
    curl_easy_setopt(fetch_handle(fetcher), CURLOPT_PRIVATE, slot);
    pool->slots = memory_grow(pool->slots, &pool->slots_capacity, pool->slots_count + 1,
                              sizeof(*pool->slots));
    pool->slots[pool->slots_count++] = slot;
    pool->in_state[SLOT_IDLE]++;
    return slot;
}

static void set_state(struct slot *slot, enum slot_state state)
{
    slot->pool->in_state[slot->state]--;
    slot->pool->in_state[state]++;
    slot->state = state;
}

static size_t with_socket(const struct fetch_pool *pool)
{
    return pool->in_state[SLOT_CONNECTING] + pool->in_state[SLOT_CONNECTED];
}

/* Connections that are used, or are about to be. */
static size_t taken_links(const struct fetch_pool *pool)
{
    return pool->in_state[SLOT_STARTING] + with_socket(pool);
}

/* Idle connections that nobody is about to take. */
static size_t idle_links(const struct fetch_pool *pool)
{
    size_t taken = taken_links(pool);
    return pool->sockets > taken ? pool->sockets - taken : 0;
}

/* Those that are there or to be opened, and so many more. */
static bool count_links(struct fetch_pool *pool, size_t more)
{
    size_t taken = taken_links(pool);
    size_t links = (pool->sockets > taken ? pool->sockets : taken) + more;
    return source_memory_set(&pool->links, links <= 1 ? 0 : (links - 1) * LINK_BYTES);
}

static int socket_opened(void *context, curl_socket_t fd, curlsocktype purpose)
{
    (void)purpose;
    struct slot *slot = context;
    socket_bound_buffers(fd, SOCKET_SOURCE_BYTES);
    slot->pool->sockets++;
    set_state(slot, SLOT_CONNECTING);
    return CURL_SOCKOPT_OK;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct fetch_pool *pool = ((const struct slot *)context)->pool;
    bool is_local = address_is_local(&address->addr);
    if (!pool->has_connected) {
        pool->has_connected = true;
        pool->is_local = is_local;
    }
    return is_local && !pool->is_local
               ? CURL_SOCKET_BAD
               : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A connection may outlive the slot that opened it, and not the pool. */
static int socket_closes(void *context, curl_socket_t fd)
{
    struct fetch_pool *pool = context;
    pool->sockets--;
    count_links(pool, 0);
    return close(fd);
}

/* Also over a connection that was idle. */
static int request_leaves(void *context, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    set_state(context, SLOT_CONNECTED);
    return CURL_PREREQFUNC_OK;
}

static void watch_sockets(struct slot *slot)
{
    CURL *curl = fetch_handle(slot->fetcher);
    if (slot->pool->source.follows) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, slot);
    }
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, socket_opened);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, slot);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, socket_closes);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, slot->pool);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, request_leaves);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, slot);
}

static struct slot *idle_slot(struct fetch_pool *pool)
{
    for (size_t i = 0; i < pool->slots_count; i++)
        if (pool->slots[i]->state == SLOT_IDLE)
            return pool->slots[i];

    struct slot *slot = add_slot(pool, fetch_new(&pool->source, &pool->budget));
    watch_sockets(slot);
    if (pool->bearer != NULL)
        fetch_set_bearer(slot->fetcher, pool->bearer);
    return slot;
}

static void begin(struct fetch_pool *pool, struct slot *slot, const char *url, void *owner,
                  int64_t deadline_ms)
{
    slot->owner = owner;
    slot->refusal = CURLE_OK;
    pool->in_flight++;
    if (!fetch_begin(slot->fetcher, url, deadline_ms))
        slot->refusal = CURLE_OPERATION_TIMEDOUT;
    else if (curl_multi_add_handle(pool->multi, fetch_handle(slot->fetcher)) != CURLM_OK)
        slot->refusal = CURLE_FAILED_INIT;
    if (slot->refusal != CURLE_OK)
        set_state(slot, SLOT_REFUSED);
    else
        set_state(slot, slot->is_added ? SLOT_ADDED : SLOT_STARTING);
}

static void end_waiting(struct fetch_pool *pool, struct get *get)
{
    TAILQ_REMOVE(&pool->waiting, get, waiting);
    pool->in_flight--;
    free(get->url);
    free(get);
}

/* Over an idle connection, or with a lookup of the name more. */
static bool may_begin(const struct fetch_pool *pool)
{
    size_t used = with_socket(pool);
    size_t idle = pool->sockets > used ? pool->sockets - used : 0;
    return pool->in_state[SLOT_STARTING] < MAX_STARTING + idle;
}

/* The first of a connection always may. */
static bool has_memory(struct fetch_pool *pool, struct slot *slot, const char *url)
{
    if (count_links(pool, idle_links(pool) > 0 ? 0 : 1) && fetch_reserve(slot->fetcher, url))
        return true;
    count_links(pool, 0);
    return taken_links(pool) == 0;
}

/* False: there is no memory for it yet. */
static bool begin_get(struct fetch_pool *pool, struct get *get)
{
    struct slot *slot = idle_slot(pool);
    if (get->url == NULL)
        get->url = get->make_url(get->context, get->owner);
    pool->lacks_memory = !has_memory(pool, slot, get->url);
    if (pool->lacks_memory)
        return false;
    begin(pool, slot, get->url, get->owner, get->deadline_ms);
    end_waiting(pool, get);
    return true;
}

static void begin_waiting(struct fetch_pool *pool)
{
    while (!TAILQ_EMPTY(&pool->waiting) && may_begin(pool) &&
           begin_get(pool, TAILQ_FIRST(&pool->waiting)))
        continue;
}

/* How long to wait at most; it is later than the deadline of none that waits. */
static int left_ms(const struct fetch_pool *pool, int max_ms)
{
    const struct get *get;
    int least_ms = pool->in_state[SLOT_REFUSED] > 0 ? 0 : max_ms;
    if (!TAILQ_EMPTY(&pool->waiting) && pool->lacks_memory && least_ms > RETRY_MS)
        least_ms = RETRY_MS;
    if (pool->in_state[SLOT_CONNECTING] + pool->added > 0 && least_ms > CONNECTING_MS)
        least_ms = CONNECTING_MS;
    TAILQ_FOREACH(get, &pool->waiting, waiting)
        least_ms = clock_left_ms(get->deadline_ms, least_ms);
    return least_ms;
}

static struct get *add_get(struct fetch_pool *pool, void *owner, int64_t deadline_ms)
{
    struct get *get = memory_new(sizeof(*get));
    get->owner = owner;
    get->deadline_ms = deadline_ms;
    TAILQ_INSERT_TAIL(&pool->waiting, get, waiting);
    pool->in_flight++;
    return get;
}

void fetch_pool_get(struct fetch_pool *pool, const char *url, void *owner, int64_t deadline_ms)
{
    add_get(pool, owner, deadline_ms)->url = text_copy(url);
    begin_waiting(pool);
}

void fetch_pool_get_made(struct fetch_pool *pool, fetch_pool_make_url *make_url,
                         const void *context, void *owner, int64_t deadline_ms)
{
    struct get *get = add_get(pool, owner, deadline_ms);
    get->make_url = make_url;
    get->context = context;
    begin_waiting(pool);
}

void fetch_pool_add(struct fetch_pool *pool, struct fetcher *fetcher, const char *url, void *owner,
                    int64_t deadline_ms)
{
    struct slot *slot = add_slot(pool, fetcher);
    slot->is_added = true;
    pool->added++;
    begin(pool, slot, url, owner, deadline_ms);
}

/* The last takes its place. */
static void remove_slot(struct fetch_pool *pool, struct slot *slot)
{
    size_t i = 0;
    while (pool->slots[i] != slot)
        i++;
    pool->slots[i] = pool->slots[--pool->slots_count];
    pool->in_state[SLOT_IDLE]--;
    if (slot->is_added)
        pool->added--;
    else
        fetch_free(slot->fetcher);
    free(slot);
}

/* libcurl waits for its thread that looks up the name. */
static void remove_handle(struct fetch_pool *pool, const struct slot *slot)
{
    curl_multi_remove_handle(pool->multi, fetch_handle(slot->fetcher));
}

/* Handles of more than a connection are there for the next burst, which may never come. */
static bool is_needed(const struct fetch_pool *pool, const struct slot *slot)
{
    return !slot->is_added && !fetch_is_worn(slot->fetcher) &&
           pool->slots_count <= pool->sockets + pool->added + MAX_STARTING;
}

static void release(struct fetch_pool *pool, struct slot *slot)
{
    if (slot->state != SLOT_REFUSED)
        remove_handle(pool, slot);
    fetch_drop(slot->fetcher);
    set_state(slot, SLOT_IDLE);
    pool->in_flight--;
    count_links(pool, 0);
    if (!is_needed(pool, slot))
        remove_slot(pool, slot);
}

static bool cancel_waiting(struct fetch_pool *pool, const void *owner)
{
    struct get *get;
    TAILQ_FOREACH(get, &pool->waiting, waiting)
        if (get->owner == owner) {
            end_waiting(pool, get);
            return true;
        }
    return false;
}

bool fetch_pool_cancel(struct fetch_pool *pool, const void *owner)
{
    for (size_t i = 0; i < pool->slots_count; i++) {
        struct slot *slot = pool->slots[i];
        if (slot->state != SLOT_IDLE && slot->owner == owner) {
            release(pool, slot);
            return true;
        }
    }
    return cancel_waiting(pool, owner);
}

void fetch_pool_stop(struct fetch_pool *pool)
{
    struct get *next;
    for (struct get *get = TAILQ_FIRST(&pool->waiting); get != NULL; get = next) {
        next = TAILQ_NEXT(get, waiting);
        end_waiting(pool, get);
    }
    for (size_t i = pool->slots_count; i-- > 0;)
        if (pool->slots[i]->state != SLOT_IDLE)
            release(pool, pool->slots[i]);
}

static void conclude(struct fetch_pool *pool, struct slot *slot, CURLcode code,
                     struct fetch_ended *ret_ended)
{
    *ret_ended = (struct fetch_ended){.owner = slot->owner};
    ret_ended->outcome = fetch_end(slot->fetcher, code, &ret_ended->answer, &ret_ended->error);
    release(pool, slot);
}

static bool take_refused(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    for (size_t i = 0; i < pool->slots_count && pool->in_state[SLOT_REFUSED] > 0; i++) {
        struct slot *slot = pool->slots[i];
        if (slot->state == SLOT_REFUSED) {
            conclude(pool, slot, slot->refusal, ret_ended);
            return true;
        }
    }
    return false;
}

static bool take_late(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    struct get *get;
    int64_t now_ms = TAILQ_EMPTY(&pool->waiting) ? 0 : clock_now_ms();
    TAILQ_FOREACH(get, &pool->waiting, waiting) {
        if (get->deadline_ms > now_ms)
            continue;
        _cleanup_(memory_free) char *server = pool->source.follows && get->url != NULL
                                                  ? http_server_name(pool->source.name, get->url)
                                                  : NULL;
        *ret_ended = (struct fetch_ended){.owner = get->owner, .outcome = FETCH_TIMED_OUT};
        error_unavailable(&ret_ended->error, "request to %s failed: no connection was free in time",
                          server == NULL ? pool->source.name : server);
        end_waiting(pool, get);
        return true;
    }
    return false;
}

static bool take_done(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(pool->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message goes with the handle */
        void *slot = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
        conclude(pool, slot, code, ret_ended);
        return true;
    }
    return false;
}

bool fetch_pool_take(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    begin_waiting(pool);
    if (take_refused(pool, ret_ended) || take_late(pool, ret_ended) || take_done(pool, ret_ended))
        return true;
    if (pool->in_flight == 0)
        return false;
    int running = 0;
    curl_multi_perform(pool->multi, &running);
    begin_waiting(pool);
    return take_done(pool, ret_ended);
}

/* What has just begun has a timer of libcurl's that is due at once, and each GET one for its
 * deadline. */
static void wait_at_most(struct fetch_pool *pool, struct curl_waitfd *extra, int most_ms)
{
    int wait_ms = left_ms(pool, most_ms);
    curl_multi_poll(pool->multi, extra, extra == NULL ? 0 : 1, wait_ms, NULL);
}

void fetch_pool_wait(struct fetch_pool *pool, struct feed *feed, int64_t deadline_ms)
{
    begin_waiting(pool);
    struct curl_waitfd extra = {.fd = feed_descriptor(feed), .events = CURL_WAIT_POLLIN};
    wait_at_most(pool, &extra, feed_wait_ms(feed, deadline_ms));
}

bool fetch_pool_wait_one(struct fetch_pool *pool, struct fetch_ended *ret_ended)
{
    while (!fetch_pool_take(pool, ret_ended)) {
        if (pool->in_flight == 0)
            return false;
        wait_at_most(pool, NULL, INT_MAX);
    }
    return true;
}

void fetch_ended_done(struct fetch_ended *ended)
{
    fetch_answer_done(&ended->answer);
    error_done(&ended->error);
}
