#include "rabbitmq/management/preference.h"

enum {
    /* Totals of a vhost of this many queues are cheap; beyond, twenty queues cost as much as a GET.
     */
    CHEAP_QUEUES = 1000,
    QUEUES_PER_GET = 20,
    QUEUES_PER_PAGE = 100,        /* a page of statistics costs as much as a GET per 100 queues */
    REST_MS = 60 * 1000,          /* after totals hung, were refused or lacked the counts */
    UNCOUNTED_REST_MS = 5 * 1000, /* where statistics lack them, too: those of a new queue come */
    SIZE_MS = 5 * 60 * 1000,      /* how long the size of the vhost is believed */
    CUT_MS = 1000,                /* what the broker waits for the next queue of the totals */
    DOUBT_MS = 6 * 1000,          /* a queue reports its statistics every 5 s */
    RESTART_MS = 10 * 1000, /* one that is down and up again in less is noticed, as requests fail */
    UNREACHED_MS = 1000,    /* a restart takes longer */
    USUAL_MS = 60 * 1000,   /* what is refused so often is refused of a broker that is up, too */
};

bool rabbitmq_preference_may_list(const struct rabbitmq_preference *preference, int64_t now_ms)
{
    return now_ms >= preference->listing_rest_until_ms;
}

bool rabbitmq_preference_lists_totals(const struct rabbitmq_preference *preference, size_t queues,
                                      int64_t now_ms)
{
    if (!rabbitmq_preference_may_list(preference, now_ms) ||
        rabbitmq_preference_totals_rest(preference, now_ms))
        return false;
    return queues > RABBITMQ_MAX_GETS || now_ms >= preference->queues_until_ms ||
           preference->queues <= CHEAP_QUEUES + QUEUES_PER_GET * queues;
}

bool rabbitmq_preference_lists_statistics(const struct rabbitmq_preference *preference,
                                          size_t queues, int64_t now_ms)
{
    return queues > RABBITMQ_MAX_GETS + preference->queues / QUEUES_PER_GET &&
           rabbitmq_preference_may_list(preference, now_ms);
}

/* A listing of totals costs less than two pages of them: each counts all queues, too. */
bool rabbitmq_preference_lists_patterns(const struct rabbitmq_preference *preference,
                                        enum rabbitmq_source source, size_t patterns, size_t queues,
                                        bool has_pages, int64_t now_ms)
{
    if (!rabbitmq_preference_may_list(preference, now_ms))
        return false;
    if (has_pages)
        return true;
    if (source == RABBITMQ_SOURCE_TOTALS)
        return patterns > 1 || queues > 0 || now_ms < preference->pages_until_ms;
    size_t gets = queues + patterns * (1 + preference->queues / QUEUES_PER_PAGE);
    return rabbitmq_preference_lists_statistics(preference, gets, now_ms);
}

void rabbitmq_preference_note_pages(struct rabbitmq_preference *preference, int64_t now_ms)
{
    preference->pages_until_ms = now_ms + SIZE_MS;
}

bool rabbitmq_preference_totals_rest(const struct rabbitmq_preference *preference, int64_t now_ms)
{
    return now_ms < preference->totals_rest_until_ms;
}

void rabbitmq_preference_note_size(struct rabbitmq_preference *preference, size_t queues,
                                   int64_t now_ms)
{
    preference->queues = queues;
    preference->queues_until_ms = queues > 0 ? now_ms + SIZE_MS : 0;
}

void rabbitmq_preference_note_too_large(struct rabbitmq_preference *preference, int64_t now_ms)
{
    preference->listing_rest_until_ms = now_ms + SIZE_MS;
}

void rabbitmq_preference_note_counted(struct rabbitmq_preference *preference, int64_t now_ms)
{
    preference->totals_counted_ms = now_ms;
}

void rabbitmq_preference_note_lacking(struct rabbitmq_preference *preference, int64_t now_ms)
{
    /* Of streams they report nothing, which implies nothing for the other queues. */
    if (preference->totals_counted_ms == 0 || now_ms - preference->totals_counted_ms >= REST_MS)
        preference->totals_rest_until_ms = now_ms + REST_MS;
}

void rabbitmq_preference_note_uncounted(struct rabbitmq_preference *preference, int64_t now_ms)
{
    if (preference->totals_rest_until_ms > now_ms + UNCOUNTED_REST_MS)
        preference->totals_rest_until_ms = now_ms + UNCOUNTED_REST_MS;
}

/* Answers came for longer than statistics take to be right, up to this request, and no restart fits
 * between two of them. */
static bool was_up(const struct rabbitmq_preference *preference, int64_t sent_ms)
{
    return preference->answered_ms > 0 && sent_ms - preference->answered_ms < RESTART_MS &&
           sent_ms - preference->up_since_ms >= DOUBT_MS;
}

void rabbitmq_preference_note_silence(struct rabbitmq_preference *preference, int64_t sent_ms)
{
    preference->is_silent = preference->is_silent || sent_ms >= preference->answered_ms;
}

void rabbitmq_preference_note_unreached(struct rabbitmq_preference *preference, int64_t sent_ms)
{
    if (preference->unreached_since_ms == 0 && sent_ms >= preference->answered_ms)
        preference->unreached_since_ms = sent_ms;
}

bool rabbitmq_preference_may_have_restarted(const struct rabbitmq_preference *preference,
                                            int64_t now_ms)
{
    int64_t unreached_since_ms = preference->unreached_since_ms;
    return preference->is_silent ||
           (unreached_since_ms > 0 && now_ms - unreached_since_ms >= UNREACHED_MS);
}

bool rabbitmq_preference_is_back(struct rabbitmq_preference *preference, int64_t now_ms)
{
    int64_t before_ms = preference->up_behind_ms;
    preference->up_behind_ms = now_ms;
    preference->unreached_since_ms = 0;
    return before_ms == 0 || now_ms - before_ms >= USUAL_MS;
}

void rabbitmq_preference_note_restart(struct rabbitmq_preference *preference, int64_t now_ms)
{
    preference->is_silent = false;
    preference->unreached_since_ms = 0;
    preference->doubted_until_ms = now_ms + DOUBT_MS;
}

enum rabbitmq_doubt rabbitmq_preference_note_answer(struct rabbitmq_preference *preference,
                                                    enum rabbitmq_source source, int64_t sent_ms,
                                                    int64_t now_ms)
{
    bool is_up = was_up(preference, sent_ms);
    if (preference->answered_ms == 0 || now_ms - preference->answered_ms >= RESTART_MS)
        preference->up_since_ms = now_ms;
    preference->answered_ms = now_ms;
    preference->unreached_since_ms = 0;
    if (source == RABBITMQ_SOURCE_STATISTICS)
        return sent_ms < preference->doubted_until_ms /* it may be as old as its request */
                   ? RABBITMQ_ZEROS_DOUBTED
                   : RABBITMQ_BELIEVED;
    if (now_ms - sent_ms < CUT_MS)
        return RABBITMQ_BELIEVED;
    if (!is_up)
        preference->doubted_until_ms = now_ms + DOUBT_MS;
    return RABBITMQ_CUT;
}

void rabbitmq_preference_note_timeout(struct rabbitmq_preference *preference,
                                      enum rabbitmq_source source, int64_t sent_ms, int64_t now_ms)
{
    preference->totals_rest_until_ms = source == RABBITMQ_SOURCE_TOTALS ? now_ms + REST_MS : 0;
    if (source == RABBITMQ_SOURCE_TOTALS && !was_up(preference, sent_ms))
        preference->doubted_until_ms = now_ms + DOUBT_MS;
}

void rabbitmq_preference_note_refused(struct rabbitmq_preference *preference,
                                      enum rabbitmq_source source, int64_t sent_ms, int64_t now_ms)
{
    if (source == RABBITMQ_SOURCE_TOTALS)
        rabbitmq_preference_note_timeout(preference, source, sent_ms, now_ms);
    else
        preference->listing_rest_until_ms = now_ms + REST_MS;
}
