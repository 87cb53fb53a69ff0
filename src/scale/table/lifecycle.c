#include "scale/table/lifecycle.h"

#include "base/memory.h"
#include "base/text.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_peers.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

static void enter(struct trigger *trigger, enum trigger_phase phase)
{
    assert(phase != TRIGGER_MEASURED || trigger->bound.query != NULL);
    assert((phase < TRIGGER_READY) == error_is_set(&trigger->parsed.mistakes));
    assert(phase == TRIGGER_INVALID || trigger->parsed.scaler != NULL);
    assert((trigger->parsed.scaler != NULL) == (trigger->parsed.values[OPTION_QUERY] != NULL));
    trigger->phase = phase;
}

/* ---- parsed ---- */

static enum trigger_phase parse(const struct lifecycle *lifecycle, const struct trigger *trigger,
                                const struct trigger_ref *ref, struct trigger_parsed *ret_parsed)
{
    const struct parse_known known = {
        .credentials = trigger->kubernetes.credentials,
        .hpa = &trigger->kubernetes.hpa,
    };
    return parse_trigger(ref, &lifecycle->parse, &known, ret_parsed);
}

/* What parsing found is what holds from now on. */
static void enter_parsed(struct trigger *trigger, enum trigger_phase phase)
{
    trigger_policy_apply(&trigger->policy, trigger->parsed.policy_plan);
    free(TAKE(trigger->parsed.policy_plan));
    error_shorten(&trigger->parsed.mistakes, TRIGGER_MAX_MISTAKES);
    enter(trigger, phase);
}

struct trigger *lifecycle_begin(struct lifecycle *lifecycle, const struct trigger_ref *ref,
                                struct identity identity, int64_t now_ms)
{
    struct trigger *trigger = memory_new(sizeof(*trigger));
    trigger->name = text_copy(ref->name);
    trigger->namespace = text_copy(ref->namespace);
    trigger->kubernetes.hpa = HPA_FACTS_UNKNOWN;
    enter_parsed(trigger, parse(lifecycle, trigger, ref, &trigger->parsed));
    trigger->revision = lifecycle->revision;
    identity_write(&identity, ref);
    trigger->identity = identity;
    trigger->first_call_ms = trigger->last_call_ms = now_ms;
    return trigger;
}

void lifecycle_need_object(const struct lifecycle *lifecycle, const struct trigger *trigger,
                           const struct trigger_ref *ref)
{
    const struct own_credentials_settings *own = lifecycle->parse.own;
    const struct trigger_parsed *parsed = &trigger->parsed;
    if (parsed->needs & TRIGGER_NEEDS_OBJECT)
        own->add(own->context, &trigger->identity, ref,
                 parsed->needs & TRIGGER_NEEDS_CREDENTIALS ? parsed->scaler->options : NULL);
}

void lifecycle_end_need(const struct lifecycle *lifecycle, const struct trigger *trigger)
{
    const struct own_credentials_settings *own = lifecycle->parse.own;
    if (trigger->parsed.needs & TRIGGER_NEEDS_OBJECT)
        own->remove(own->context, &trigger->identity);
}

/* ---- measured ---- */

/* What the user set; 0: nothing. A policy has to see what happens between two calls, too. */
static int64_t interval_ms(const struct trigger *trigger)
{
    const struct answer_rules *rules = &trigger->parsed.rules;
    return rules->interval_is_set || trigger->policy != NULL ? rules->interval_ms : 0;
}

/* What a trigger leaves behind with its query. {0}: it had none. */
struct replaced {
    struct query *query; /* until release_replaced(); NULL: there was none */
    struct query_use use;
    enum trigger_hold hold; /* which has ended */
};

/* Names of the administrator's file are labels of metrics; those of users are not. */
static const char *connection_name(const struct trigger *trigger)
{
    return trigger_is_inline(trigger) ? NULL : trigger->parsed.connection_name;
}

static struct query_request request_of(const struct trigger *trigger,
                                       const struct replaced *replaced, bool is_same_source)
{
    const struct trigger_parsed *parsed = &trigger->parsed;
    return (struct query_request){
        .scaler = parsed->scaler,
        .connection_values = parsed->values[OPTION_CONNECTION],
        .query_values = parsed->values[OPTION_QUERY],
        .user = {connection_name(trigger), trigger->namespace, trigger->name},
        .use =
            {
                .interval_ms = interval_ms(trigger),
                .wants = trigger_policy_wants(trigger->policy),
                .keeps_history = trigger->policy != NULL,
            },
        .former = replaced->query,
        .inherits = replaced->query != NULL && is_same_source,
    };
}

/* What was answered says nothing about another source; its policy takes what is known of that for a
 * new reading, however old it is (last_reading_ms). */
static void forget_source(struct trigger *trigger)
{
    trigger->bound.source = 0;
    trigger_answers_forget(trigger);
    if (trigger->policy != NULL)
        trigger_policy_forget(trigger->policy);
}

/* Ten thousand triggers of one connection have its values once. Two that differ only in what may be
 * shown have one identity: they keep their own. */
static void share_values(struct option_values **values, struct option_values *of_connection)
{
    if (*values == of_connection || !option_values_equal(*values, of_connection))
        return;
    option_values_free(*values);
    *values = option_values_share(of_connection);
}

/*
 * Gives the trigger, which is READY, a query in the place of the one that it left. At the same
 * source the query has what is known of the former one, and the hold goes on. At another one all is
 * forgotten, even where the trigger gets no query: what was answered is no value of the source that
 * it names now.
 */
static bool bind_query(struct lifecycle *lifecycle, struct trigger *trigger,
                       const struct replaced *replaced, struct error *error)
{
    struct trigger_binding *bound = &trigger->bound;
    uint64_t source = option_values_source(trigger->parsed.values[OPTION_CONNECTION]);
    bool is_same_source = bound->source == 0 || bound->source == source;
    error_done(&bound->refusal);
    if (!is_same_source)
        forget_source(trigger);
    const struct query_request request = request_of(trigger, replaced, is_same_source);
    if (!engine_acquire(lifecycle->engine, &request, &bound->query, error))
        return false;
    bound->use = request.use;
    bound->source = source;
    bound->is_inline = request.user.connection == NULL;
    share_values(&trigger->parsed.values[OPTION_CONNECTION],
                 engine_connection_values(bound->query));
    trigger_follow(trigger);
    if (is_same_source)
        trigger_answers_resume_hold(trigger, replaced->hold);
    trigger_peers_take_hold(trigger, engine_now_ms(lifecycle->engine));
    enter(trigger, TRIGGER_MEASURED);
    return true;
}

/* Takes the trigger's query from it, where it has one. Counts are of one connection, so its hold
 * ends. The query stays acquired until release_replaced(). */
static struct replaced unbind_query(struct trigger *trigger, const char *why)
{
    struct trigger_binding *bound = &trigger->bound;
    struct replaced replaced = {0};
    if (bound->query == NULL)
        return replaced;
    trigger_unfollow(trigger);
    replaced.use = bound->use;
    replaced.hold = trigger->answers.hold_state;
    trigger_answers_leave_query(trigger, why);
    replaced.query = TAKE(bound->query);
    return replaced;
}

static void release_replaced(const struct replaced *replaced)
{
    if (replaced->query != NULL)
        engine_release(replaced->query, &replaced->use);
}

bool lifecycle_measure(struct lifecycle *lifecycle, struct trigger *trigger, struct error *error)
{
    const struct replaced nothing = {0};
    struct watcher *watcher;
    if (trigger->phase == TRIGGER_MEASURED)
        return true;
    if (trigger->phase != TRIGGER_READY) {
        error_copy(error, &trigger->parsed.mistakes);
        return false;
    }
    if (!bind_query(lifecycle, trigger, &nothing, error)) {
        error_copy(&trigger->bound.refusal, error);
        return false;
    }
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
        watcher_start(watcher, trigger->bound.query, watcher->is_stream);
    return true;
}

/* ---- parsed again ---- */

/* The trigger moves to a query of the connection that it was parsed with now, where it has one and
 * was measured or watched before. Calls that wait get the error, where there is one (`refusal`);
 * the next one tries again. */
static void rebind(struct lifecycle *lifecycle, struct trigger *trigger)
{
    _cleanup_(error_done) struct error error = {0};
    struct watcher *watcher;
    const struct replaced replaced = unbind_query(trigger, "the connection has been changed");
    bool is_wanted = replaced.query != NULL || trigger->watchers != NULL;
    if (trigger->phase == TRIGGER_READY && is_wanted)
        bind_query(lifecycle, trigger, &replaced, &error);
    error_move(&trigger->bound.refusal, &error);
    DL_FOREACH2(trigger->watchers, watcher, next_owned)
        engine_move_watcher(lifecycle->engine, watcher, trigger->bound.query);
    release_replaced(&replaced); /* last: until here the new query and the watchers needed it */
}

/* What is measured, and how often, is the same before and after: neither is of the connection. */
void lifecycle_renew(struct lifecycle *lifecycle, struct trigger *trigger)
{
    struct trigger_parsed former;
    struct trigger_parsed parsed;
    struct trigger_ref ref = identity_ref(&trigger->identity);
    enum trigger_phase phase = parse(lifecycle, trigger, &ref, &parsed);

    trigger_unfollow(trigger); /* a decision, on another thread, reads what goes now */
    former = trigger->parsed;
    trigger->parsed = parsed;
    enter_parsed(trigger, phase);

    bool is_same_connection = trigger->phase == TRIGGER_READY &&
                              trigger_is_inline(trigger) == trigger->bound.is_inline &&
                              text_equal(trigger->parsed.values[OPTION_CONNECTION]->identity,
                                         former.values[OPTION_CONNECTION]->identity);
    if (trigger->bound.query != NULL && is_same_connection) {
        enter(trigger, TRIGGER_MEASURED);
        trigger_follow(trigger);
    } else
        rebind(lifecycle, trigger);
    trigger_parsed_done(&former);
    free(ref.entries);
}

/* ---- ended ---- */

void lifecycle_end(struct lifecycle *lifecycle, struct trigger *trigger)
{
    const struct replaced replaced = unbind_query(
        trigger, lifecycle->is_stopping ? "the server stops" : "KEDA no longer calls for it");
    release_replaced(&replaced);
    identity_done(&trigger->identity);
    trigger_answers_done(trigger);
    error_done(&trigger->bound.refusal);
    trigger_policy_free(trigger->policy);
    trigger_parsed_done(&trigger->parsed);
    credentials_free(trigger->kubernetes.credentials);
    free(trigger->name);
    free(trigger->namespace);
    free(trigger);
}
