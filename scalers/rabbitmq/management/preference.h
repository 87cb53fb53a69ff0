/*
 * Which of the two sources of the management API to request (management.h has their costs), from
 * what was learnt about the virtual host.
 *
 * Threads: any; pure. Times are of clock_now_ms().
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PREFERENCE_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PREFERENCE_H

#include "rabbitmq/management/lookup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RABBITMQ_MAX_GETS = 20 }; /* of queues that could be listed as well */

/* Start from {0}. */
struct rabbitmq_preference {
    size_t queues; /* of the virtual host when it was listed last; 0: not known */
    int64_t queues_until_ms;
    int64_t totals_rest_until_ms;
    int64_t totals_counted_ms;     /* the last time that totals had a count */
    int64_t listing_rest_until_ms; /* after it was too large or refused */
    int64_t pages_until_ms;        /* a pattern has more than a page */
    int64_t doubted_until_ms;      /* zeros of statistics are */
    int64_t answered_ms;           /* the last answer of either */
    int64_t up_since_ms;           /* ... the first of those that came one soon after the other */
    bool is_silent;                /* statistics timed out, and nothing was answered since */
    int64_t unreached_since_ms;    /* the first request after the last answer that a proxy reached
                                      no broker with; 0: none */
    int64_t up_behind_ms;          /* the broker's last answer behind such requests; 0: none */
};

/* Whether totals are to be listed for so many queues; else each is to use statistics. */
bool rabbitmq_preference_lists_totals(const struct rabbitmq_preference *preference, size_t queues,
                                      int64_t now_ms);

/* Whether statistics are to be listed for so many queues; else each of them is requested alone. */
bool rabbitmq_preference_lists_statistics(const struct rabbitmq_preference *preference,
                                          size_t queues, int64_t now_ms);

/* Whether a listing may be requested: none was too large or refused lately. */
bool rabbitmq_preference_may_list(const struct rabbitmq_preference *preference, int64_t now_ms);

/* Whether so many patterns are to be listed, with so many queues that are listed without them; else
 * each has a page of its own. `has_pages`: one of them has more than one. */
bool rabbitmq_preference_lists_patterns(const struct rabbitmq_preference *preference,
                                        enum rabbitmq_source source, size_t patterns, size_t queues,
                                        bool has_pages, int64_t now_ms);
void rabbitmq_preference_note_pages(struct rabbitmq_preference *preference, int64_t now_ms);

/* Whether totals are not to be requested at all for now, of patterns neither. */
bool rabbitmq_preference_totals_rest(const struct rabbitmq_preference *preference, int64_t now_ms);

/* A listing had so many queues. */
void rabbitmq_preference_note_size(struct rabbitmq_preference *preference, size_t queues,
                                   int64_t now_ms);

/* A listing was too large. */
void rabbitmq_preference_note_too_large(struct rabbitmq_preference *preference, int64_t now_ms);

/* The source's listing of `sent_ms` was refused: the other may do better, and else GETs. */
void rabbitmq_preference_note_refused(struct rabbitmq_preference *preference,
                                      enum rabbitmq_source source, int64_t sent_ms, int64_t now_ms);

/* Totals had a count, or lacked one that they should have. */
void rabbitmq_preference_note_counted(struct rabbitmq_preference *preference, int64_t now_ms);
void rabbitmq_preference_note_lacking(struct rabbitmq_preference *preference, int64_t now_ms);

/* Statistics lack the counts of a queue: it is new, or they are disabled. Totals may have them, and
 * do not rest for much longer. */
void rabbitmq_preference_note_uncounted(struct rabbitmq_preference *preference, int64_t now_ms);

/*
 * The source answered a request of `sent_ms`. Returns what is not to be believed of the answer.
 *
 * Totals that took a second may have been cut short: where a part of them does not come within one,
 * RabbitMQ ends the list without it, and with status 200. A queue that is not in it may exist then,
 * and a pattern's sum lacks messages. For a while from then on, and from a time-out or a refusal of
 * totals on, a 0 of the statistics is doubted: they are up to 5 s old, and after a start begin with
 * zeros. But not where earlier answers show that the broker has not just started.
 */
enum rabbitmq_doubt rabbitmq_preference_note_answer(struct rabbitmq_preference *preference,
                                                    enum rabbitmq_source source, int64_t sent_ms,
                                                    int64_t now_ms);

/* Nothing may have been answered since `sent_ms`, when the statistics were requested that timed
 * out: the broker may have restarted unnoticed. */
void rabbitmq_preference_note_silence(struct rabbitmq_preference *preference, int64_t sent_ms);

/* A proxy reached no broker with a request of `sent_ms`. If nothing is answered for a second from
 * then on, the broker may have restarted. An answer that comes sooner is of one that was there: the
 * proxy refuses some requests only. */
void rabbitmq_preference_note_unreached(struct rabbitmq_preference *preference, int64_t sent_ms);

/* Whether a broker that answers now may have restarted since it last did, by silences and by what a
 * proxy did not reach. For an answer this comes before rabbitmq_preference_note_answer(). */
bool rabbitmq_preference_may_have_restarted(const struct rabbitmq_preference *preference,
                                            int64_t now_ms);

/* The broker answers, behind requests that a proxy reached none with. False: it has done so within
 * the last minute, too. So the proxy refuses some requests only, and these tell nothing. */
bool rabbitmq_preference_is_back(struct rabbitmq_preference *preference, int64_t now_ms);

/* The broker may have just started, as behind a silence, or where a client was made after failures.
 */
void rabbitmq_preference_note_restart(struct rabbitmq_preference *preference, int64_t now_ms);

/* The source hung with a request of `sent_ms`: the other one may do better. */
void rabbitmq_preference_note_timeout(struct rabbitmq_preference *preference,
                                      enum rabbitmq_source source, int64_t sent_ms, int64_t now_ms);

#endif
