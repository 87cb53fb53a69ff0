#include "web/content/trigger_walk.h"

#include "base/clock.h"
#include "base/text.h"
#include "web/content/web_json.h"

/* How far a walk is. */
struct pieces {
    int64_t visiting_us; /* the time of its visits so far */
    int64_t turns;
    bool is_done;
};

/* Visits one piece per turn of the lock until the walk is done, or has waited for too long. How
 * long the visits themselves take is not limited: that depends on the number of triggers. */
static bool visit_pieces(struct trigger_walk *walk, void (*visit_piece)(void *progress),
                         void *progress, struct pieces *pieces)
{
    int64_t began_us = clock_now_us();
    bool is_late = false;
    while (!is_late && !pieces->is_done && walk->run(walk->run_context, visit_piece, progress)) {
        int64_t waited_us = clock_now_us() - began_us - pieces->visiting_us;
        int64_t usual_ms = ++pieces->turns * TRIGGER_WALK_USUAL_WAIT_MS;
        is_late = waited_us / 1000 > TRIGGER_WALK_MAX_WAIT_MS + usual_ms;
    }
    walk->visited_us += pieces->visiting_us;
    return pieces->is_done;
}

struct all_progress {
    struct pieces pieces;
    struct triggers *triggers;
    trigger_walk_visit *visit;
    void *context;
    bool has_begun;
};

static void visit_some(void *context)
{
    enum { TRIGGERS_PER_TURN = 500, TRIGGERS_PER_CLOCK_READ = 16, MAX_TURN_US = 500 };
    struct all_progress *progress = context;
    struct triggers *triggers = progress->triggers;
    int64_t began_us = clock_now_us();
    int64_t elapsed_us = 0;
    for (int i = 0; i < TRIGGERS_PER_TURN && elapsed_us <= MAX_TURN_US; i++) {
        struct trigger *trigger =
            progress->has_begun ? triggers_next(triggers) : triggers_first(triggers);
        progress->has_begun = true;
        progress->pieces.is_done = trigger == NULL;
        if (trigger == NULL)
            break;
        progress->visit(progress->context, trigger, began_us / 1000);
        if ((i + 1) % TRIGGERS_PER_CLOCK_READ == 0)
            elapsed_us = clock_now_us() - began_us;
    }
    progress->pieces.visiting_us += clock_now_us() - began_us;
}

bool trigger_walk_all(struct trigger_walk *walk, trigger_walk_visit *visit, void *context)
{
    struct all_progress progress = {.triggers = walk->triggers, .visit = visit, .context = context};
    return visit_pieces(walk, visit_some, &progress, &progress.pieces);
}

struct object_progress {
    struct pieces pieces;
    struct triggers *triggers;
    const char *namespace, *name;
    trigger_walk_visit *visit;
    void *context;
    uint64_t ids[TRIGGER_WALK_PER_OBJECT]; /* of the object when the walk began, last call first */
    size_t count;
    size_t visited;
};

static void visit_one(void *context)
{
    struct object_progress *progress = context;
    int64_t began_us = clock_now_us();
    struct trigger *trigger = NULL;
    if (progress->visited == 0)
        progress->count =
            triggers_of_object(progress->triggers, progress->namespace, progress->name,
                               progress->ids, TRIGGER_WALK_PER_OBJECT);
    if (progress->count > 0)
        trigger = triggers_of_object_find(progress->triggers, progress->namespace, progress->name,
                                          progress->ids[progress->visited++]);
    progress->pieces.is_done = progress->visited == progress->count;
    if (trigger != NULL)
        progress->visit(progress->context, trigger, began_us / 1000);
    progress->pieces.visiting_us += clock_now_us() - began_us;
}

bool trigger_walk_object(struct trigger_walk *walk, const char *namespace, const char *name,
                         trigger_walk_visit *visit, void *context)
{
    struct object_progress progress = {.triggers = walk->triggers,
                                       .namespace = namespace,
                                       .name = name,
                                       .visit = visit,
                                       .context = context};
    return visit_pieces(walk, visit_one, &progress, &progress.pieces);
}

bool trigger_walk_is_of(const struct trigger *trigger, const char *namespace, const char *name)
{
    return (namespace == NULL || text_equal(namespace, trigger->namespace)) &&
           (name == NULL || text_equal(name, trigger->name));
}

void trigger_walk_refuse_busy(struct page_response *response)
{
    web_json_refuse(response, 503, "the event loop is busy or shutting down: try again");
}

void trigger_walk_refuse_unknown_object(struct page_response *response)
{
    web_json_refuse(response, 404,
                    "no trigger of this ScaledObject: KEDA has not called for one recently");
}
