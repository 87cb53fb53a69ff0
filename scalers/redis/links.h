/*
 * The links that measure at one node, and the tasks that wait for them:
 *
 *   shared     tasks are sent on it, many at a time
 *   isolated   for tasks that were slow or timed out last: they hold up no others
 *   standby    opened where the shared link does not reply, to find out whether the server does
 *   stalled    the shared link until it stalled: kept for subscriptions to what was read on it,
 *              which end with the link
 *
 * The isolated link and the standby go to the address that the shared link is connected to. Once
 * that is another address (a name may lead to another server by then), the former ones are closed.
 *
 * A stall. Redis has no request numbers: a late reply holds up those to all commands behind it.
 *
 *   1. The shared link's oldest command has no reply for 250 ms (or four round trips, if they take
 *      longer), and tasks wait behind it: a standby is opened, and pinged. Where no task waits
 *      behind it, the command has its whole time.
 *   2. The standby gets a reply: the server works, so this command hangs. Its tasks are isolated.
 *      The standby becomes the shared link, and has the tasks behind sent again.
 *   3. The standby gets no reply: the server replies to nobody. All wait until the time of the
 *      oldest command is over. Then the client has failed.
 *
 * For 5 s after a stall 50 ms (or four round trips) are enough, and a standby is kept open.
 *
 * A window. Where many commands stall the shared link, or break it, what is behind would be sent
 * again each time. So after a stall, a second loss or a reply that is too large one command is in
 * flight at first, and one more with each reply: no more commands are sent again than were replied
 * to. What is sent for the link itself (ROLE, CLIENT TRACKING) does not count. So while tasks wait
 * for a link that is ready, a task is in flight, whose deadline counts for all.
 *
 * A server that is gone. A link in use has a deadline, and one with subscriptions is pinged. An
 * idle shared link is closed where the isolated link gets no reply to its set-up: the next one goes
 * to whom the name leads by then. Where there is no shared link, the client has failed.
 *
 * When a link is connected again:
 *
 *   a link that the server closed    at once, or if it lived for less than 10 s, 250 to 2,000 ms
 *   a node or master that failed,    after it was opened (struct redis_reopening, link.h)
 *     and may be named by others
 *   the subscriber's, refused        after 10 s (retry_ms, subscriber.c)
 *   a Sentinel's                     1 s after it was opened (retry_ms, sentinel.c)
 *   any other client that failed,    by the engine, as a connection of any source
 *     a master's after a minute
 *
 * How links end, and what becomes of their tasks:
 *
 *   a link is lost (_step, _check)   The tasks in flight on it wait again, but for those that it
 *                                    was lost by: these fail, or are isolated.
 *   redis_links_close_all()          All links. The tasks in flight wait again. Losses, the stall
 *                                    and the window are forgotten, and the subscriber is reset.
 *                                    When links may be opened again stays.
 *   redis_links_reset()              The same for another server: all may be opened at once.
 *   redis_client_fail()              As redis_links_close_all(), and all tasks fail.
 *   retire() in cluster.c            As redis_links_close_all(), and all tasks are the feed's again
 *                                    (redis_links_return_waiting()).
 *   redis_links_abandon_tasks()      No link: nothing is measured any more, and all tasks are the
 *                                    feed's again. Replies that still come are ignored.
 *
 * Threads: that of the client. Owner: the client. Others send on the links, and read what is here;
 * only these functions open, close or replace a link.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINKS_H
#define BACKLOG_SCALERS_REDIS_LINKS_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/link/link.h"
#include "redis/link/server.h"
#include "redis/requests/requests.h"
#include "redis/slow_requests.h"
#include "redis/subscriber.h"
#include "redis/waiting.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_links {
    /* Set by the client, once. */
    struct redis_client *client; /* of each link the owner */
    struct redis_server *server;
    struct redis_subscriber *subscriber;
    bool limits_replies; /* a late reply is not believed: another node may be the master by then */
    const struct redis_requests *requests; /* set when it measures */

    struct redis_link *shared;   /* NULL: none, it is opened again */
    struct redis_link *standby;  /* NULL: none */
    struct redis_link *isolated; /* NULL: none */
    struct redis_link *stalled;  /* was shared until it did; NULL: none */
    struct redis_reopening shared_reopening, standby_reopening, isolated_reopening;
    int64_t stalled_ms; /* when the shared link did last; 0: never */
    size_t losses;      /* of shared links in a row that replied to no task */
    uint64_t lost_by;   /* the hash of the oldest request when the last one was lost; 0: none, or it
                         * was replied to since then */
    int64_t late_ms;    /* when a reply was too late to be believed; 0: never */

    struct redis_waiting waiting;          /* for the shared link to be ready */
    struct redis_waiting waiting_isolated; /* for the isolated one */
    struct redis_waiting waiting_imports;  /* for the shared one: ASK redirected them here */
    bool is_resending;   /* the shared link was lost, perhaps by what is in `waiting` */
    bool skips_optional; /* the reply to such a command was too large: no more are sent */
    struct redis_slow_requests slow_requests;
};

void redis_links_init(struct redis_links *links, struct redis_client *client,
                      struct redis_server *server, struct redis_subscriber *subscriber);
void redis_links_done(struct redis_links *links); /* their tasks have been taken */

/* Before it measures again: nobody was here to read what has been received meanwhile. */
void redis_links_resume(struct redis_links *links, int64_t now_ms);

/* Opens the shared link. */
bool redis_links_open_shared(struct redis_links *links, int64_t deadline_ms, struct error *error);

/* Links that do not live long are opened again after a while only. Where this is false,
 * redis_links_check() returns when. */
bool redis_links_may_open_shared(const struct redis_links *links, int64_t now_ms);

/* After poll(), as redis_link_step(): a link of no further use is closed. What the shared link had
 * in flight is sent again, a few times; a task whose reply is too large fails. False: the client is
 * of no further use, too, and the link is still there. */
bool redis_links_step(struct redis_links *links, struct redis_link *link, short revents,
                      struct error *error);

/* Times tasks out, finds stalls, and opens and closes the standby and the isolated link. Lowers
 * *next_ms to when to check again: at once where tasks have ended, since the feed may have others
 * then. False: the client is of no further use. */
bool redis_links_check(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                       struct error *error);

void redis_links_close_all(struct redis_links *links);
void redis_links_reset(struct redis_links *links);

/* The task waits, for the link that it is to be sent on. */
void redis_links_add(struct redis_links *links, struct task *task);

/* Tasks that wait, or are in flight. */
bool redis_links_have_waiting_for_shared(const struct redis_links *links);
bool redis_links_have_waiting(const struct redis_links *links);
bool redis_links_have_tasks(const struct redis_links *links);

/* The tasks that wait end. */
void redis_links_fail_waiting(struct redis_links *links, const struct error *error);
void redis_links_return_waiting(struct redis_links *links);

void redis_links_abandon_tasks(struct redis_links *links);

#endif
