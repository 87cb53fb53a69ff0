/*
 * A link: one connection to the server, with the commands that it has not replied to yet. Replies
 * come in the order of the commands, so a command whose tasks have been given up stays in its
 * place, and its reply is ignored.
 *
 * Threads: that of the client. Nothing blocks: the owner waits for redis_link_poll(), and gives
 * what poll() reported to redis_link_step().
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_LINK_H
#define BACKLOG_SCALERS_REDIS_LINK_LINK_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/link/server.h"
#include "redis/link/socket.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_link;
struct redis_command;
struct redis_links;
struct redis_subscriber;

/* Handles a reply, which is freed after it. It ends the command's tasks, or moves them to another
 * command. */
typedef void redis_on_reply(struct redis_link *link, struct redis_command *command,
                            const redisReply *reply);

enum { REDIS_MAX_WORDS = 8 };

/* The words of a command, ending with NULL. */
typedef const char *redis_words[REDIS_MAX_WORDS + 1];

struct redis_request {
    redis_words words;
    redis_on_reply *on_reply;
    /* Instead of `words`, this many commands between MULTI and EXEC; the reply is that to EXEC, or
     * the error of a command that Redis does not queue. */
    redis_words *transaction;
    size_t transaction_count; /* 0: there is none */
    /* A command that is sent just before it, and handled with it; or none. */
    redis_words first_words;
    redis_on_reply *on_first_reply;
};

/* A request that was sent. */
struct redis_command {
    redis_on_reply *on_reply;
    redis_on_reply *on_first_reply; /* NULL once it was called */
    size_t queued_replies;          /* of a transaction: those that come before that to EXEC */
    bool is_for_tasks;              /* else it is for the link itself */
    struct task *tasks;             /* utlist: who waits for the reply */
    bool is_asking;                 /* it follows ASKING: its slot is being moved to this server */
    bool is_optional;    /* where the reply is too large, the tasks are sent again without it */
    int64_t duration_ms; /* since the reply before it, up to its own last one */
    struct redis_command *prev, *next;

    /* The handlers' own. */
    int tries;
    struct reading reading; /* what is known when it is sent */
    int64_t sent_ms;
    int64_t until_ms; /* up to which time of the server it counts */
    void *kept;       /* what is known of the tasks; the command's own */
};

enum redis_link_state {
    REDIS_LINK_OPENING,    /* the socket is not connected yet */
    REDIS_LINK_SETTING_UP, /* what on_connected sent is not replied to yet */
    REDIS_LINK_READY,
};

/* How a link has ended: why redis_link_step() has failed. */
enum redis_link_end {
    REDIS_LINK_NOT_ENDED,
    REDIS_LINK_HUNG_UP,   /* the connection was closed or broke, and nothing else is wrong */
    REDIS_LINK_LATE,      /* so do we, as a reply took longer than the owner's limit */
    REDIS_LINK_TOO_LARGE, /* the reply to the oldest command is, or others use the memory for it */
    REDIS_LINK_BROKEN,    /* it was refused, or the server does not speak Redis's protocol */
};

/* The shortest time in which a Redis Cluster has another master: one that was silent for so long
 * may not know it yet. */
enum { REDIS_LATE_MS = 500 };

/* How long a reply may take: the server may have stood still, and not be the master any more. */
struct redis_reply_limit {
    int64_t max_ms;  /* 0: any */
    int64_t from_ms; /* from then on */
};

/* Whether the server is there. */
struct redis_ping {
    int64_t sent_ms; /* or when the link was opened */
    bool is_pending; /* there was no reply yet */
};

/* Who opens a link, and what it is for. */
struct redis_link_owner {
    void *self;
    struct redis_links *links;           /* which it is one of; NULL: of none */
    struct redis_subscriber *subscriber; /* of what the link reads; NULL: none is */
    /* Sends the commands to set the link up, which is ready once all are replied to. */
    void (*on_connected)(struct redis_link *link);
    /* Handles what a message says; NULL: it is not subscribed. */
    void (*on_message)(struct redis_link *link, const redisReply *content);
    struct redis_reply_limit reply_limit;
    bool measures_round_trips; /* what is sent on it is quick; the owner may change it */
    /* Notes the duration of a command that has tasks, which is known before its handler is called.
     * True: it took long, so that it is that of no round trip. NULL: none does. */
    bool (*note_duration)(struct redis_link *link, const struct redis_command *command);
};

/* All may read it. link.c writes it, but for the fields where another file is named. */
struct redis_link {
    struct redis_link_owner owner;

    /* The connection. */
    struct redis_server *server;
    uint64_t number; /* of the server's links, in the order of opening, from 1 on */
    enum redis_link_state state;
    int64_t deadline_ms; /* until it is ready */
    struct redis_socket socket;
    enum redis_link_end end;
    struct error refusal; /* it cannot be used (any more): redis_link_refuse() */

    /* What is sent. */
    struct redis_command *commands; /* utlist, the oldest first */
    size_t in_flight;               /* how many of them are for tasks */
    size_t window; /* 0, or how many of these there may be: it grows with each reply; the owner's */

    /* When. */
    int64_t progress_ms;    /* since when the oldest command is the oldest */
    int64_t replied_ms;     /* the last reply; 0: none yet */
    bool was_idle;          /* when the oldest command was sent */
    bool has_answered;      /* a command with tasks was replied to */
    struct redis_ping ping; /* of one that is subscribed, whose messages come in no order */

    /* setup.c writes. */
    bool has_role;      /* the server says what it is */
    bool lacks_role;    /* it has no ROLE: INFO replication says it */
    bool is_of_replica; /* whose state is to be checked with what is read */
    int64_t role_ms;    /* ROLE was sent last */

    /* subscriber.c writes. */
    uint64_t tracked_for; /* changes of what is read are reported to that link of it; 0: to none */
    size_t subscriptions; /* subscriptions.c writes: those that end with the link */

    /* measure.c writes, and link.c for a handler: from now on ASKING comes before each request. */
    bool is_asking;
};

/* When a link may be opened again: a server with which none lives long is not connected to all the
 * time. */
struct redis_reopening {
    int64_t opened_ms;  /* the last one was */
    int64_t at_ms;      /* the next one may be, at the earliest */
    size_t short_lives; /* of those in a row that were lost soon */
};

/* The link was lost, or none could be opened. */
void redis_reopening_closed(struct redis_reopening *reopening, int64_t now_ms);

/* Until a link is ready, as a rule: what a task is given by default. */
enum { REDIS_CONNECT_MS = 2000 };

/* Begins to connect: to this address, which another link is connected to, or where it is NULL, to
 * whom the name leads now. NULL: it failed. */
struct redis_link *redis_link_open(struct redis_server *server, const char *address,
                                   int64_t deadline_ms, const struct redis_link_owner *owner,
                                   struct error *error);
/* The tasks must be taken first. */
void redis_link_free(struct redis_link *link);

/* What to wait for. */
struct pollfd redis_link_poll(const struct redis_link *link);

/* Waits until then, or until one of the links at these places is to be stepped. True: one is, with
 * what is in its revents. */
bool redis_link_wait(struct redis_link *const *const *places, struct pollfd *ret_polls,
                     size_t count, int64_t until_ms);

/* Of a link that is not ready: begins with the name's next address where this one does not answer,
 * and lowers *next_ms to when to call it again. False: it failed, or was not ready in time. */
bool redis_link_check(struct redis_link *link, int64_t now_ms, int64_t *next_ms,
                      struct error *error);

/* What a link that is not ready has not got in time, for an error. */
const char *redis_link_awaited(const struct redis_link *link);

/* Writes, reads and handles replies. False: the link is of no further use. */
bool redis_link_step(struct redis_link *link, short revents, struct error *error);

/* For the link itself, or for tasks, which are the command's from here on: `task->data` is it as
 * long. Nothing of the request is needed after it. It is written with the next step, or by
 * redis_link_flush(). */
struct redis_command *redis_link_send(struct redis_link *link, const struct redis_request *request);
struct redis_command *redis_link_send_for(struct redis_link *link,
                                          const struct redis_request *request,
                                          struct task *const *tasks, size_t count);
bool redis_link_flush(struct redis_link *link, struct error *error);

/* Whether more tasks are to be sent on it now. Else its window is full, or much waits for the
 * server to read it, which one that stands still never does: who has more keeps it until then. */
bool redis_link_has_capacity(struct redis_link *link);

/* For handlers of replies: the link cannot be used. The step that calls them fails, with the first
 * reason that is given. */
void redis_link_refuse(struct redis_link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As redis_server_explain() says of the reply. */
void redis_link_refuse_reply(struct redis_link *link, const redisReply *reply);
bool redis_link_is_refused(const struct redis_link *link);

/* Of one that is subscribed: whether it still works. False: it does not, or has not replied since
 * the last time. */
bool redis_link_ping(struct redis_link *link, int64_t now_ms, struct error *error);

/* The task waits for the command no more. */
struct task *redis_command_take_task(struct redis_command *command); /* NULL: no more */
void redis_command_remove_task(struct task *task);

/* The oldest command that somebody waits for: those before it are for the link itself. NULL: there
 * is none. */
struct redis_command *redis_link_oldest_with_tasks(const struct redis_link *link);

/* The oldest command, or another, has tasks. */
bool redis_link_has_tasks(const struct redis_link *link);
bool redis_link_has_tasks_behind(const struct redis_link *link);

#endif
