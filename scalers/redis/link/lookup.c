#include "redis/link/lookup.h"

#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum { MAX_ADDRESSES = 8, ADDRESS_LENGTH = 64 }; /* with the name of an interface */

struct redis_lookup {
    char *host;
    int event_fd;
    char addresses[MAX_ADDRESSES][ADDRESS_LENGTH];
    size_t count;
    const char *failure;

    /* Under the lock. */
    size_t users; /* callers, and the thread */
    bool is_done;
    struct redis_lookup *prev, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct redis_lookup *running; /* utlist, under the lock */

bool redis_lookup_is_needed(const char *host)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    bool is_address = getaddrinfo(host, NULL, &hints, &found) == 0;
    if (found != NULL)
        freeaddrinfo(found);
    return !is_address;
}

static void lookup_free(struct redis_lookup *lookup)
{
    close(lookup->event_fd);
    free(lookup->host);
    free(lookup);
}

void redis_lookup_release(struct redis_lookup *lookup)
{
    if (lookup == NULL)
        return;
    pthread_mutex_lock(&lock);
    bool is_last = --lookup->users == 0;
    pthread_mutex_unlock(&lock);
    if (is_last)
        lookup_free(lookup);
}

/* As hiredis does: IPv6 where there is no IPv4. */
static void resolve(struct redis_lookup *lookup)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (failure != 0) {
        hints.ai_family = AF_INET6;
        failure = getaddrinfo(lookup->host, NULL, &hints, &found);
    }
    if (failure != 0) {
        lookup->failure = gai_strerror(failure);
        return;
    }
    for (const struct addrinfo *one = found; one != NULL && lookup->count < MAX_ADDRESSES;
         one = one->ai_next)
        lookup->count +=
            getnameinfo(one->ai_addr, one->ai_addrlen, lookup->addresses[lookup->count],
                        ADDRESS_LENGTH, NULL, 0, NI_NUMERICHOST) == 0;
    freeaddrinfo(found);
    lookup->failure = "its name has no address";
}

static void *lookup_thread(void *argument)
{
    struct redis_lookup *lookup = argument;
    resolve(lookup);
    pthread_mutex_lock(&lock);
    DL_DELETE(running, lookup);
    lookup->is_done = true;
    eventfd_write(lookup->event_fd, 1);
    pthread_mutex_unlock(&lock);
    redis_lookup_release(lookup);
    return NULL;
}

/* Returns an errno, or 0. */
static int thread_start(struct redis_lookup *lookup)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int failure = pthread_create(&thread, &attributes, lookup_thread, lookup);
    pthread_attr_destroy(&attributes);
    return failure;
}

/* Under the lock. */
static struct redis_lookup *start(const char *host, struct error *error)
{
    size_t count = 0;
    struct redis_lookup *other;
    DL_COUNT(running, other, count);
    if (count >= REDIS_MAX_LOOKUPS) {
        error_unavailable(error, "its name cannot be looked up: too many others still are");
        return NULL;
    }
    struct redis_lookup *lookup = memory_new(sizeof(*lookup));
    lookup->host = text_copy(host);
    lookup->users = 1; /* the thread */
    lookup->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = lookup->event_fd < 0 ? errno : thread_start(lookup);
    if (failure != 0) {
        error_unavailable(error, "its name cannot be looked up: %s", strerror(failure));
        lookup_free(lookup);
        return NULL;
    }
    DL_APPEND(running, lookup);
    return lookup;
}

struct redis_lookup *redis_lookup_start(const char *host, struct error *error)
{
    pthread_mutex_lock(&lock);
    struct redis_lookup *lookup = running;
    while (lookup != NULL && !text_equal(lookup->host, host))
        lookup = lookup->next;
    if (lookup == NULL)
        lookup = start(host, error);
    if (lookup != NULL)
        lookup->users++;
    pthread_mutex_unlock(&lock);
    return lookup;
}

int redis_lookup_descriptor(const struct redis_lookup *lookup)
{
    return lookup->event_fd;
}

bool redis_lookup_is_done(const struct redis_lookup *lookup)
{
    pthread_mutex_lock(&lock);
    bool is_done = lookup->is_done;
    pthread_mutex_unlock(&lock);
    return is_done;
}

size_t redis_lookup_count(const struct redis_lookup *lookup)
{
    return lookup->count;
}

const char *redis_lookup_address(const struct redis_lookup *lookup, size_t number)
{
    return lookup->addresses[number];
}

const char *redis_lookup_failure(const struct redis_lookup *lookup)
{
    return lookup->failure;
}
