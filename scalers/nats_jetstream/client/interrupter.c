#include "nats_jetstream/client/interrupter.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MS = 10 };

/* glibc before 2.40 has the field, but not POSIX' future name for it. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void do_nothing(int number)
{
    (void)number;
}

static void install_handler(void)
{
    struct sigaction action = {.sa_handler =
                                   do_nothing}; /* without SA_RESTART: that is the point */
    sigemptyset(&action.sa_mask);
    sigaction(SIGURG, &action, NULL);
}

static struct timespec timespec_of_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

bool nats_interrupter_start(struct nats_interrupter *interrupter, int64_t deadline_ms,
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
    pthread_sigmask(SIG_UNBLOCK, &signals, &interrupter->mask_before);

    /* A first time of 0 would disarm the timer. */
    struct itimerspec times = {
        .it_value = timespec_of_ms(clock_left_ms(deadline_ms, INT_MAX - 1) + 1),
        .it_interval = timespec_of_ms(AGAIN_MS),
    };
    timer_settime(interrupter->timer, 0, &times, NULL);
    return true;
}

void nats_interrupter_stop(struct nats_interrupter *interrupter)
{
    timer_delete(interrupter->timer);
    pthread_sigmask(SIG_SETMASK, &interrupter->mask_before, NULL);
}
