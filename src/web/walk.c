#include "web/walk.h"

#include "base/clock.h"
#include "base/text.h"
#include "web/json_response.h"

struct all_progress {
    const struct trigger_walk *walk;
    walk_visit *visit;
    void *context;
    bool has_begun;
    bool is_done;
};

static void visit_some(void *context)
{
    enum { TRIGGERS_PER_TURN = 500, TRIGGERS_PER_CLOCK_READ = 16, MAX_TURN_US = 500 };
    struct all_progress *progress = context;
    struct triggers *triggers = progress->walk->triggers;
    int64_t began_us = clock_now_us();
    for (int i = 0; i < TRIGGERS_PER_TURN; i++) {
        struct trigger *trigger =
            progress->has_begun ? triggers_next(triggers) : triggers_first(triggers);
        progress->has_begun = true;
        progress->is_done = trigger == NULL;
        if (progress->is_done)
            return;
        progress->visit(progress->context, trigger, began_us / 1000);
        if ((i + 1) % TRIGGERS_PER_CLOCK_READ == 0 && clock_now_us() - began_us > MAX_TURN_US)
            return;
    }
}

bool walk_all(const struct trigger_walk *walk, walk_visit *visit, void *context)
{
    struct all_progress progress = {.walk = walk, .visit = visit, .context = context};
    while (!progress.is_done)
        if (!walk->run(walk->run_context, visit_some, &progress))
            return false;
    return true;
}

struct object_progress {
    const struct trigger_walk *walk;
    const char *namespace, *name;
    walk_visit *visit;
    void *context;
    uint64_t after; /* the id of the last one */
    size_t count;
    bool is_done;
};

static void visit_one(void *context)
{
    struct object_progress *progress = context;
    struct trigger *trigger = triggers_of_object(progress->walk->triggers, progress->namespace,
                                                 progress->name, progress->after);
    progress->is_done = trigger == NULL;
    if (progress->is_done)
        return;
    progress->after = trigger->id;
    progress->is_done = ++progress->count == WALK_TRIGGERS_PER_OBJECT;
    progress->visit(progress->context, trigger, clock_now_ms());
}

bool walk_object(const struct trigger_walk *walk, const char *namespace, const char *name,
                 walk_visit *visit, void *context)
{
    struct object_progress progress = {
        .walk = walk, .namespace = namespace, .name = name, .visit = visit, .context = context};
    while (!progress.is_done)
        if (!walk->run(walk->run_context, visit_one, &progress))
            return false;
    return true;
}

bool walk_is_of(const struct trigger *trigger, const char *namespace, const char *name)
{
    return (namespace == NULL || text_equal(namespace, trigger->namespace)) &&
           (name == NULL || text_equal(name, trigger->name));
}

void walk_refuse_busy(struct page_response *response)
{
    json_response_refuse(response, 503, "the event loop is busy or shutting down: try again");
}

void walk_refuse_unknown_object(struct page_response *response)
{
    json_response_refuse(response, 404,
                         "no trigger of this ScaledObject: KEDA has not called for one recently");
}
