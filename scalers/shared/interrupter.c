#include "shared/interrupter.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    AGAIN_MS = 10,
    BYTES_AGAIN_MS = 1,

    /* Of the kernel's: one segment, whatever is set; and all that it may be on most systems. */
    SMALL_BUFFER = 4096,
    USUAL_BUFFER = 212992,
};

/* glibc before 2.40 has the field, but not POSIX' future name for it. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* A signal may arrive after its timer was deleted, so it leads to the interrupter by no other way. */
static _Thread_local struct interrupter *volatile active;

static uint64_t received_bytes(int socket)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received
                                                                        : 0;
}

/* A socket that is shut down could still be read for megabytes. */
static void check_bytes(const struct interrupter *interrupter)
{
    if (received_bytes(interrupter->socket) > interrupter->max_bytes)
        dup2(interrupter->closed, interrupter->socket);
}

static void on_signal(int number)
{
    int before = errno;
    const struct interrupter *interrupter = active;
    (void)number;
    if (interrupter != NULL && interrupter->socket >= 0)
        check_bytes(interrupter);
    errno = before;
}

static void install_handler(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: that is the point */
    sigemptyset(&action.sa_mask);
    sigaction(SIGURG, &action, NULL);
}

static struct timespec timespec_of_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static bool start(struct interrupter *interrupter, int64_t first_ms, int64_t again_ms,
                  struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_handler);

    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_BOOTTIME, &event, &interrupter->timer) != 0)
        return error_set(error, ERROR_INTERNAL, "cannot create a timer: %s", strerror(errno));

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGURG);
    active = interrupter;
    pthread_sigmask(SIG_UNBLOCK, &signals, &interrupter->mask_before);

    struct itimerspec times = {
        .it_value = timespec_of_ms(first_ms),
        .it_interval = timespec_of_ms(again_ms),
    };
    timer_settime(interrupter->timer, 0, &times, NULL);
    return true;
}

bool interrupter_start(struct interrupter *interrupter, int64_t deadline_ms, struct error *error)
{
    /* A first time of 0 would disarm the timer. */
    *interrupter = (struct interrupter){.socket = -1};
    return start(interrupter, clock_left_ms(deadline_ms, INT_MAX - 1) + 1, AGAIN_MS, error);
}

static void set_buffer(int socket, int bytes)
{
    setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

bool interrupter_start_bytes(struct interrupter *interrupter, int socket, uint64_t max_bytes,
                             struct error *error)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_set(error, ERROR_INTERNAL, "cannot create a socket: %s", strerror(errno));
    close(pair[1]);
    *interrupter = (struct interrupter){
        .socket = socket, .closed = pair[0], .max_bytes = received_bytes(socket) + max_bytes};
    set_buffer(socket, SMALL_BUFFER);
    if (start(interrupter, BYTES_AGAIN_MS, BYTES_AGAIN_MS, error))
        return true;
    close(pair[0]);
    return false;
}

void interrupter_stop(struct interrupter *interrupter)
{
    timer_delete(interrupter->timer);
    pthread_sigmask(SIG_SETMASK, &interrupter->mask_before, NULL);
    active = NULL;
    if (interrupter->socket < 0)
        return;
    set_buffer(interrupter->socket, USUAL_BUFFER);
    close(interrupter->closed);
}
