#include "lab/server_in_flight.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "commands/http_json.h"
#include "lab/server_reader.h"
#include "web/content/web_json.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_AGE_MS = 5000 }; /* older ones are unknown: the port hangs */

/* What the server explains about a ScaledObject. */
struct in_flight_page {
    char *path;
    json_t *triggers; /* NULL: unknown */
    int64_t read_ms;
};

struct server_in_flight {
    struct server_reader reader;  /* its lock guards is_due, and what was read */
    struct in_flight_page *pages; /* one per object */
    size_t count;
    bool is_failing; /* the thread's */
    bool is_due;
};

/* ---- the thread ---- */

static bool read_page(struct server_in_flight *in_flight, struct in_flight_page *page,
                      struct error *error)
{
    json_t *triggers = http_json_get(in_flight->reader.client, page->path, NULL, error);
    pthread_mutex_lock(&in_flight->reader.lock);
    json_decref(page->triggers);
    page->triggers = triggers;
    page->read_ms = clock_now_ms();
    pthread_mutex_unlock(&in_flight->reader.lock);
    return triggers != NULL;
}

static bool is_stopping(struct server_in_flight *in_flight)
{
    pthread_mutex_lock(&in_flight->reader.lock);
    bool is_stopping = in_flight->reader.is_stopping;
    pthread_mutex_unlock(&in_flight->reader.lock);
    return is_stopping;
}

static void read_pages(struct server_in_flight *in_flight)
{
    _cleanup_(error_done) struct error first = {0};
    for (size_t i = 0; i < in_flight->count; i++) {
        _cleanup_(error_done) struct error error = {0};
        bool good = read_page(in_flight, &in_flight->pages[i], &error);
        if (is_stopping(in_flight)) /* which fails the requests, too */
            return;
        if (!good && !error_is_set(&first))
            error_move(&first, &error);
    }
    if (error_is_set(&first) && !in_flight->is_failing)
        log_warning("--server-http: what is in flight cannot be read; retrying: %s",
                    error_text(&first));
    in_flight->is_failing = error_is_set(&first);
}

static void *read_in_flight(void *context)
{
    struct server_in_flight *in_flight = context;
    pthread_mutex_lock(&in_flight->reader.lock);
    while (!in_flight->reader.is_stopping) {
        if (!in_flight->is_due) {
            pthread_cond_wait(&in_flight->reader.wake, &in_flight->reader.lock);
            continue;
        }
        in_flight->is_due = false;
        pthread_mutex_unlock(&in_flight->reader.lock);
        read_pages(in_flight);
        pthread_mutex_lock(&in_flight->reader.lock);
    }
    pthread_mutex_unlock(&in_flight->reader.lock);
    return NULL;
}

/* ---- the caller's side ---- */

static char *path_of(const struct scaled_object *object)
{
    _cleanup_(memory_free) char *namespace = http_client_escape(object->namespace);
    _cleanup_(memory_free) char *name = http_client_escape(object->name);
    return text_format("/api/triggers/%s/%s", namespace, name);
}

static void in_flight_free(struct server_in_flight *in_flight)
{
    for (size_t i = 0; i < in_flight->count; i++) {
        free(in_flight->pages[i].path);
        json_decref(in_flight->pages[i].triggers);
    }
    free(in_flight->pages);
    free(in_flight);
}

bool server_in_flight_begin(const struct http_server *server, int64_t timeout_ms,
                            const struct scaled_objects *objects,
                            struct server_in_flight **ret_in_flight, struct error *error)
{
    struct server_in_flight *in_flight = memory_new(sizeof(*in_flight));
    in_flight->pages = memory_array(objects->count, sizeof(*in_flight->pages));
    for (; in_flight->count < objects->count; in_flight->count++)
        in_flight->pages[in_flight->count].path = path_of(&objects->items[in_flight->count]);
    if (!server_reader_begin(&in_flight->reader, server, timeout_ms, read_in_flight, in_flight,
                             error)) {
        in_flight_free(in_flight);
        return false;
    }
    *ret_in_flight = in_flight;
    return true;
}

void server_in_flight_end(struct server_in_flight *in_flight)
{
    if (in_flight == NULL)
        return;
    server_reader_end(&in_flight->reader);
    in_flight_free(in_flight);
}

void server_in_flight_read(struct server_in_flight *in_flight)
{
    pthread_mutex_lock(&in_flight->reader.lock);
    in_flight->is_due = true;
    pthread_cond_signal(&in_flight->reader.wake);
    pthread_mutex_unlock(&in_flight->reader.lock);
}

/* NAN also while measuring fails: what was in flight before says nothing about now. */
static double number_of(const json_t *trigger)
{
    const json_t *number = json_object_get(json_object_get(trigger, "reading"), "inFlight");
    bool is_failing = json_is_object(json_object_get(trigger, "failing"));
    return json_is_number(number) && !is_failing ? json_number_value(number) : NAN;
}

/* Triggers of one name whose numbers differ cannot be distinguished. Former triggers of an edited
 * ScaledObject are listed, too, and passed over. */
static double find(const json_t *triggers, const char *metric_name)
{
    const json_t *trigger;
    double found = NAN;
    bool is_found = false;
    size_t i;
    json_array_foreach(triggers, i, trigger) {
        const char *name = json_string_value(json_object_get(trigger, "metricName"));
        if (name == NULL || !text_equal(name, metric_name) ||
            json_is_true(json_object_get(trigger, "superseded")))
            continue;
        double number = number_of(trigger);
        if (is_found && number != found)
            return NAN;
        found = number;
        is_found = true;
    }
    return found;
}

double server_in_flight_of(struct server_in_flight *in_flight, size_t object,
                           const char *metric_name, int64_t now_ms)
{
    double found = NAN;
    pthread_mutex_lock(&in_flight->reader.lock);
    const struct in_flight_page *page = &in_flight->pages[object];
    if (metric_name != NULL && now_ms - page->read_ms <= MAX_AGE_MS)
        found = find(page->triggers, metric_name);
    pthread_mutex_unlock(&in_flight->reader.lock);
    return found;
}
