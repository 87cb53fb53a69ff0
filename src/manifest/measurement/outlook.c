#include "manifest/measurement/outlook.h"

#include "base/text.h"
#include "scale/answer/answer.h"

#include <stdlib.h>

/* Longer than the windows of the HPA and the cooldown are by default. */
enum { QUIET_MS = 900 * 1000, LONGEST_MS = 24 * 3600 * 1000 };

static void note(struct outlook *outlook, const struct model_decision *decision,
                 const struct model_answer *answers, int64_t now_ms, int64_t *last_change_ms)
{
    bool is_change = decision->before != decision->replicas;
    /* An HPA at zero rests, and has no reason of its own. */
    if (decision->reason == MODEL_HPA && decision->hpa.reason == HPA_DISABLED)
        return;
    if (!is_change && decision->reason != MODEL_HPA && decision->replicas > 0 &&
        outlook->why != NULL)
        return; /* KEDA only says that it is active */
    char *why = model_decision_text(decision, answers);
    free(outlook->why);
    outlook->why = text_copy(why);
    if (is_change) {
        *last_change_ms = now_ms;
        if (outlook->count < OUTLOOK_MAX_STEPS)
            outlook->steps[outlook->count++] =
                (struct outlook_step){now_ms, decision->before, decision->replicas, text_copy(why)};
    }
    free(why);
}

void outlook_make(const struct model_settings *settings, const struct model_answer *answers,
                  int64_t replicas, struct outlook *ret_outlook)
{
    struct model model;
    int64_t last_change_ms = 0;
    int64_t quiet_ms = QUIET_MS + settings->cooldown_ms + settings->initial_cooldown_ms +
                       settings->hpa.down.window_ms + settings->hpa.up.window_ms;
    *ret_outlook = (struct outlook){0};
    model_init(&model, settings, replicas, 0);
    if (replicas > 0)
        model.last_active_ms = 0; /* whatever keeps it from a cooldown that began long ago */
    for (int64_t now_ms = 0; now_ms < LONGEST_MS && now_ms - last_change_ms <= quiet_ms;) {
        struct model_decision decision;
        bool is_poll = model.next_poll_ms <= model.next_sync_ms;
        now_ms = is_poll ? model.next_poll_ms : model.next_sync_ms;
        model.ready_pods = model.replicas;
        decision =
            is_poll ? model_poll(&model, answers, now_ms) : model_sync(&model, answers, now_ms);
        note(ret_outlook, &decision, answers, now_ms, &last_change_ms);
    }
    ret_outlook->replicas = model.replicas;
    model_done(&model);
}

int64_t outlook_jobs(const struct model_answer *answers, size_t count, int64_t max)
{
    int64_t jobs = -1;
    for (size_t i = 0; i < count; i++) {
        int64_t target = answer_milli(answers[i].target);
        int64_t value = answer_milli(answers[i].value);
        if (answers[i].is_failed || target <= 0)
            continue;
        int64_t wanted = answers[i].is_active ? value / target + (value % target != 0) : 0;
        jobs = wanted > jobs ? wanted : jobs;
    }
    return jobs > max ? max : jobs;
}

void outlook_done(struct outlook *outlook)
{
    for (size_t i = 0; i < outlook->count; i++)
        free(outlook->steps[i].why);
    free(outlook->why);
    *outlook = (struct outlook){0};
}
