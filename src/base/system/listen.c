#include "base/system/listen.h"

#include "base/memory.h"
#include "base/system/host_port.h"
#include "base/system/socket.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* getaddrinfo() takes 70000 for 4464 without an error. */
static bool is_port(const char *text)
{
    enum { MAX_DIGITS = 5, MAX_PORT = 65535 };
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= MAX_DIGITS && text[digits] == '\0' && atoi(text) <= MAX_PORT;
}

bool listen_is_address(const char *address)
{
    const char *port = NULL;
    _cleanup_(memory_free) char *host = NULL;
    _cleanup_(memory_free) char *whole = listen_whole(address);
    return host_port_split(whole, &host, &port) && is_port(port);
}

char *listen_whole(const char *address)
{
    return text_format("%s%s", address[0] == ':' && is_port(address + 1) ? "[::]" : "", address);
}

static int listen_on(const struct addrinfo *where)
{
    int on = 1;
    int off = 0;
    int fd = socket(where->ai_family, where->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socket_bound_buffers(fd, SOCKET_CLIENT_BYTES);
    if (where->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, where->ai_addr, where->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

int listen_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static void free_addresses(struct addrinfo **addresses)
{
    if (*addresses != NULL)
        freeaddrinfo(*addresses);
}

/* On the first that the machine has: localhost may have one of IPv6 where that is off. One whose
 * port is in use is no reason to take the next. */
static int listen_on_any(const struct addrinfo *addresses)
{
    int fd = -1;
    for (const struct addrinfo *each = addresses; each != NULL; each = each->ai_next) {
        fd = listen_on(each);
        if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
            break;
    }
    return fd;
}

/* -1, and why in `ret_reason`. */
static int open_address(const char *host, const char *port, const char **ret_reason)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    _cleanup_(free_addresses) struct addrinfo *addresses = NULL;
    int failure = getaddrinfo(host, port, &hints, &addresses);
    if (failure != 0) {
        *ret_reason = gai_strerror(failure);
        return -1;
    }
    int fd = listen_on_any(addresses);
    if (fd < 0 && errno == EAFNOSUPPORT && text_equal(host, "::"))
        return open_address("0.0.0.0", port, ret_reason); /* a machine without IPv6 */
    if (fd < 0)
        *ret_reason = strerror(errno);
    return fd;
}

int listen_open(const char *address, struct error *error)
{
    const char *port = NULL;
    const char *reason = "it must be host:port, the port at most 65535";
    int fd = -1;
    _cleanup_(memory_free) char *host = NULL;
    _cleanup_(memory_free) char *whole = listen_whole(address);
    if (host_port_split(whole, &host, &port) && is_port(port))
        fd = open_address(host, port, &reason);
    if (fd < 0)
        error_invalid(error, "cannot listen on \"%s\": %s", address, reason);
    return fd;
}

/* The kernel takes no port for a connection of ours to elsewhere while somebody listens on it. */
static bool is_client(int fd, int port)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof(peer);
    return listen_port(fd) == port && getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

bool listen_clients(int port, size_t *ret_count)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.' && is_client(atoi(entry->d_name), port);
    closedir(folder);
    *ret_count = count;
    return true;
}
