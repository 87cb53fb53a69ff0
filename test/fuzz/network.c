#include "network.h"

#include "require.h"
#include "time.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DESCRIPTORS = 1024, MAX_THREADS = 64, DISCARD_PORT = 9 };

/* Of documentation (RFC 5737, RFC 3849). All that libcurl fetches is at the port. */
#define NAMED_V4 "192.0.2.7"
#define NAMED_V6 "2001:db8::7"
static char fetched[] = "::192.0.2.80:9";

struct link {
    int peer; /* the source's end; 0: none */
    struct sockaddr_storage address;
    socklen_t length;
    bool is_fetched;
};

struct thread {
    void *(*run)(void *);
    void *argument;
};

static bool is_on;
static const uint8_t *next;
static const uint8_t *end;
static struct link links[DESCRIPTORS]; /* by the client's descriptor */
static struct thread threads[MAX_THREADS];
static size_t threads_count;

/* ---- threads ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __wrap_pthread_join(pthread_t thread, void **ret_result);
int __real_pthread_join(pthread_t thread, void **ret_result);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    if (!is_on) /* libFuzzer's */
        return __real_pthread_create(thread, attributes, run, argument);
    require(threads_count < MAX_THREADS);
    threads[threads_count++] = (struct thread){run, argument};
    *thread = pthread_self();
    return 0;
}

static bool run_threads(void)
{
    bool any = threads_count > 0;
    while (threads_count > 0) {
        struct thread thread = threads[--threads_count];
        thread.run(thread.argument);
    }
    return any;
}

int __wrap_pthread_join(pthread_t thread, void **ret_result)
{
    if (!is_on)
        return __real_pthread_join(thread, ret_result);
    require(ret_result == NULL);
    run_threads();
    return 0;
}

/* ---- names ---- */

static bool is_invalid(const char *host)
{
    static const char invalid[] = ".invalid";
    size_t length = strlen(host);
    return length >= strlen(invalid) && strcasecmp(host + length - strlen(invalid), invalid) == 0;
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo numeric = hints == NULL ? (struct addrinfo){0} : *hints;
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    numeric.ai_flags |= AI_NUMERICHOST;
    int failure = real(host, port, &numeric, ret_found);
    bool is_name = failure == EAI_NONAME && host != NULL && (numeric.ai_flags & AI_PASSIVE) == 0 &&
                   (hints == NULL || (hints->ai_flags & AI_NUMERICHOST) == 0);
    if (!is_name || is_invalid(host))
        return failure;
    return real(numeric.ai_family == AF_INET6 ? NAMED_V6 : NAMED_V4, port, &numeric, ret_found);
}

/* ---- connections ---- */

/* A descriptor that was closed may be another's by now. */
static struct link *find(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (fd < 0 || fd >= DESCRIPTORS || links[fd].peer == 0)
        return NULL;
    bool is_linked = syscall(SYS_getpeername, fd, &address, &size) == 0;
    return is_linked && address.ss_family == AF_UNIX ? &links[fd] : NULL;
}

static void unlink_descriptor(int fd)
{
    if (links[fd].peer != 0)
        close(links[fd].peer);
    links[fd] = (struct link){0};
}

/* The client's end takes the place of its socket. */
static void connect_pair(int fd)
{
    int ends[2];
    int flags = fcntl(fd, F_GETFL);
    int descriptor_flags = fcntl(fd, F_GETFD);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    require(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[0], F_SETFL, flags) == 0);
    require(dup2(ends[0], fd) == fd && fcntl(fd, F_SETFD, descriptor_flags) == 0);
    close(ends[0]);
    links[fd].peer = ends[1];
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (find(fd) != NULL) /* hiredis asks so whether it is connected */
        return 0;
    require(fd >= 0 && fd < DESCRIPTORS && length <= sizeof(links[fd].address));
    unlink_descriptor(fd);
    if (next == end) {
        errno = ECONNREFUSED;
        return -1;
    }
    connect_pair(fd);
    memcpy(&links[fd].address, address, length);
    links[fd].length = length;
    struct sockaddr_in ipv4 = {0};
    if (address->sa_family == AF_INET && length >= sizeof(ipv4))
        memcpy(&ipv4, address, sizeof(ipv4));
    links[fd].is_fetched = ipv4.sin_port == htons(DISCARD_PORT);
    return 0;
}

int getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
    const struct link *link = find(fd);
    if (link == NULL)
        return (int)syscall(SYS_getpeername, fd, address, size);
    memcpy(address, &link->address, *size < link->length ? *size : link->length);
    *size = link->length;
    return 0;
}

/* A pair has no options of TCP; to hiredis that is a failure. */
int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    return level == IPPROTO_TCP ? 0 : (int)syscall(SYS_setsockopt, fd, level, option, value, size);
}

int __wrap_ioctl(int fd, unsigned long request, int *value);

/* What TCP has not sent yet, the scaler of RabbitMQ asks. */
int __wrap_ioctl(int fd, unsigned long request, int *value)
{
    if (request != SIOCOUTQNSD)
        return (int)syscall(SYS_ioctl, fd, request, value);
    *value = 0;
    return 0;
}

static void reply(const struct link *link)
{
    char sent[4096];
    while (recv(link->peer, sent, sizeof(sent), 0) > 0)
        continue;
    if (next < end) {
        const uint8_t *separator = memchr(next, NETWORK_SEPARATOR, (size_t)(end - next));
        const uint8_t *stop = separator == NULL ? end : separator;
        syscall(SYS_sendto, link->peer, next, (size_t)(stop - next), MSG_NOSIGNAL, NULL, 0);
        next = separator == NULL ? end : separator + 1;
        if (!link->is_fetched)
            return;
    }
    shutdown(link->peer, SHUT_WR);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    ssize_t sent = syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
    const struct link *link = find(fd);
    if (sent > 0 && link != NULL)
        reply(link);
    return sent;
}

static void on_wait(const struct pollfd *descriptors, size_t count)
{
    if (run_threads())
        return;
    for (size_t i = 0; i < count; i++) {
        const struct link *link = find(descriptors[i].fd);
        if (link == NULL)
            continue;
        reply(link);
        break;
    }
}

/* ---- HTTP ---- */

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *handle);
CURLMcode __real_curl_multi_add_handle(CURLM *multi, CURL *handle);

/* libcurl has its own threads for names: it needs none. */
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *handle)
{
    static struct curl_slist place = {fetched, NULL};
    curl_easy_setopt(handle, CURLOPT_CONNECT_TO, &place);
    return __real_curl_multi_add_handle(multi, handle);
}

void network_begin(const uint8_t *replies, size_t size)
{
    is_on = true;
    next = replies;
    end = size == 0 ? replies : replies + size;
    fuzz_time_begin(on_wait);
}

void network_end(void)
{
    run_threads();
    is_on = false;
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        unlink_descriptor(fd);
}
