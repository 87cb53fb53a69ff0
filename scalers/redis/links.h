/*
 * The links that measure at one node, and the tasks that wait for them. There is the shared link,
 * on which tasks are sent; the isolated one, for tasks that were slow or timed out last; and the
 * standby. The last two are opened when they are needed, to the address that the shared link is
 * connected to, and closed once that is another one: a name may lead to another server by then.
 * What was read on the shared or the isolated link may be subscribed to, which ends with the link.
 *
 * Redis has no request numbers: a late reply holds up all that was sent behind it on the same
 * connection. The shared link stalls where its oldest command has been without a reply for longer
 * than usual, while another link, the standby, gets replies to what it sent later: the server
 * works, so it is this command. Its tasks are isolated; what is behind is sent again on the
 * standby, which takes the place of the shared link. The one that stalled stays open where there
 * are subscriptions to what was read on it, until the next stall, unless there is no reply even
 * late. A server that replies to nobody is not a stall: all wait, until the deadline of the oldest
 * command says that the connection is lost.
 *
 * Where the server has not replied to the set-up of the isolated link, a shared link that is idle
 * is closed, too, since nobody else would notice that it is gone: the next link goes to whom the
 * name leads by then. Where there is no shared link, the client has failed.
 *
 * Where many stall it, or break it, each time all that is behind would be sent again. So first only
 * one command is, and with each reply one more may be in flight: no more is sent again than was
 * replied to. What is sent for the link itself (ROLE, CLIENT TRACKING) does not count: as long as
 * tasks wait for a link that is ready, one of them is in flight, whose deadline counts for all.
 *
 * When it is connected again:
 *
 *   a link that the server closed    at once, or if it lived for less than 10 s, 250 to 2,000 ms
 *   a node or master that failed,    after it was opened (struct redis_reopening, link.h)
 *     and may be named by others
 *   the subscriber's, refused        after 10 s (retry_ms, subscriber.c)
 *   a Sentinel's                     1 s after it was opened (retry_ms, sentinel.c)
 *   any other client that failed     by the engine, as a connection of any source
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
    bool is_resending; /* the shared link was lost, perhaps by what is in `waiting` */
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

/* After poll(), as redis_link_step(): a link of no further use is closed. What the shared one had
 * in flight is sent again, a few times; what it was lost by, as the reply is too large, fails.
 * False: the client is of no further use, too, and the link is still there. */
bool redis_links_step(struct redis_links *links, struct redis_link *link, short revents,
                      struct error *error);

/* Times tasks out, finds stalls, and opens and closes the standby and the isolated link. Lowers
 * *next_ms to when to check again: at once where tasks have ended, since the feed may have others
 * then. False: the client is of no further use. */
bool redis_links_check(struct redis_links *links, int64_t now_ms, int64_t *next_ms,
                       struct error *error);

/* What they had in flight waits, to be sent again somewhere else. */
void redis_links_close_all(struct redis_links *links);

/* The same, as the server is another from now on: its links may be opened at once. */
void redis_links_reset(struct redis_links *links);

/* The task waits, for the link that it is to be sent on. */
void redis_links_add(struct redis_links *links, struct task *task);

/* What waits, or is in flight. */
bool redis_links_have_waiting_for_shared(const struct redis_links *links);
bool redis_links_have_waiting(const struct redis_links *links);
bool redis_links_have_tasks(const struct redis_links *links);

/* Those that wait end. */
void redis_links_fail_waiting(struct redis_links *links, const struct error *error);
void redis_links_return_waiting(struct redis_links *links);

/* Nothing is measured any more: whatever is left is the feed's again. */
void redis_links_abandon_tasks(struct redis_links *links);

#endif
