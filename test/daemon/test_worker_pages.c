/* How often the triggers are searched for the objects whose pods are counted. */
#include "web/pages.h"

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/worker_pages.h"
#include "kubernetes/workers/worker_monitor.h"

#include <stdatomic.h>

/* ---- a monitor that knows each object, and the time ---- */

bool __wrap_kubernetes_api_find(const char *flag, struct kubernetes_api *ret_api,
                                struct error *error);
bool __wrap_kubernetes_api_find(const char *flag, struct kubernetes_api *ret_api,
                                struct error *error)
{
    (void)flag;
    (void)error;
    *ret_api = (struct kubernetes_api){0};
    return true;
}

struct worker_monitor *__wrap_worker_monitor_start(struct kubernetes_api *api);
struct worker_monitor *__wrap_worker_monitor_start(struct kubernetes_api *api)
{
    return (struct worker_monitor *)api; /* not NULL */
}

bool __wrap_worker_monitor_stop(struct worker_monitor *monitor);
bool __wrap_worker_monitor_stop(struct worker_monitor *monitor)
{
    (void)monitor;
    return true;
}

bool __wrap_worker_monitor_view(struct worker_monitor *monitor, enum worker_view_kind kind,
                                const char *namespace, const char *name,
                                void (*visit)(void *context, const struct worker_view *view),
                                void *context);
bool __wrap_worker_monitor_view(struct worker_monitor *monitor, enum worker_view_kind kind,
                                const char *namespace, const char *name,
                                void (*visit)(void *context, const struct worker_view *view),
                                void *context)
{
    (void)monitor;
    (void)kind;
    const struct worker_list list = {0};
    const struct error error = {0};
    visit(context, &(struct worker_view){.namespace = namespace,
                                         .name = name,
                                         .read_ms = clock_now_ms(),
                                         .error = &error,
                                         .list = &list});
    return true;
}

static atomic_int later_ms;

int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void)
{
    return __real_clock_now_ms() + later_ms;
}

/* ---- tests ---- */

enum { RECENT_MS = 3000 };

static struct worker_pages *workers_of(struct fake_loop *loop)
{
    static const char *items[] = {"shop"};
    static const struct option_list namespaces = {.items = items, .count = 1};
    _cleanup_(error_done) struct error error = {0};
    struct worker_pages *workers = NULL;
    assert_true(worker_pages_new(&namespaces, false, &workers, &error));
    worker_pages_set_walk(workers, walk_of_triggers(loop));
    later_ms = 0;
    return workers;
}

/* -1: they are not known. */
static int count_objects(struct worker_pages *workers)
{
    json_t *count = worker_pages_count(workers);
    int objects = count == NULL ? -1 : (int)number_of(count, "objects");
    json_decref(count);
    return objects;
}

/* The dashboard counts in each second. */
static void triggers_are_searched_again_after_seconds(void **state)
{
    (void)state;
    struct fake_loop loop = {0};
    struct worker_pages *workers = workers_of(&loop);
    FIND_NOW(JOBS);
    assert_int_equal(count_objects(workers), 1);
    int turns = loop.turns;
    assert_int_equal(count_objects(workers), 1);
    assert_int_equal(loop.turns, turns);
    later_ms = RECENT_MS;
    assert_int_equal(count_objects(workers), 1);
    assert_true(loop.turns > turns);
    worker_pages_free(workers);
}

static void a_first_object_counts_at_once(void **state)
{
    (void)state;
    struct worker_pages *workers = workers_of(NULL);
    assert_int_equal(count_objects(workers), 0);
    FIND_NOW(JOBS);
    assert_int_equal(count_objects(workers), 1);
    worker_pages_free(workers);
}

/* And the next one comes after seconds, too: it waits as long. */
static void where_a_search_fails_the_objects_are_those_of_before(void **state)
{
    (void)state;
    struct fake_loop loop = {.is_busy = true};
    struct worker_pages *workers = workers_of(&loop);
    FIND_NOW(JOBS);
    assert_int_equal(count_objects(workers), -1);
    loop.is_busy = false;
    assert_int_equal(count_objects(workers), 1);
    loop.is_busy = true;
    later_ms = RECENT_MS;
    int turns = loop.turns;
    assert_int_equal(count_objects(workers), 1);
    assert_int_equal(loop.turns, turns + 1);
    assert_int_equal(count_objects(workers), 1);
    assert_int_equal(loop.turns, turns + 1);
    worker_pages_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(triggers_are_searched_again_after_seconds),
        TEST(a_first_object_counts_at_once),
        TEST(where_a_search_fails_the_objects_are_those_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
