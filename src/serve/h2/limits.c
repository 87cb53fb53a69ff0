#include "serve/h2/limits.h"

#include "base/log.h"
#include "base/memory.h"
#include "config/value.h"

#include <inttypes.h>
#include <string.h>

const struct limit h2_limit_table[] = {
    [H2_CONNECTIONS] = {"connections", 512, 0,
                        "KEDA opens a few; each takes 20 KiB, and 200 KiB if it does not read",
                        "--max-clients"},
    [H2_PEER_CONNECTIONS] = {"connections-of-a-peer", 128, 0,
                             "one address must not lock out all others", "--max-peer-clients"},
    [H2_DESCRIPTORS] = {"descriptors", 0, 0,
                        "descriptors of the process; one is reserved to refuse connections with",
                        "ulimit -n"},
    [H2_CALLS] = {"calls", 60000, 0,
                  "beside the streams of ScaledObjects; an address may have as many as it leaves "
                  "to the others"},
    [H2_HEADER_BYTES] =
        {"header-bytes", 16384, 0,
         "the headers of KEDA take a few hundred; a proxy's tracing and tokens some more"},
    [H2_PATH_BYTES] = {"path-bytes", 512, 0, "the path is kept in memory as long as its call"},
    [H2_HELD_BYTES] = {"held-bytes", 16 << 20, 0,
                       "bytes of incomplete requests, and of answers above 256 bytes that are not "
                       "read; an address gets at most half of what the others leave"},
    [H2_RESETS] = {"resets", 60000, 1000,
                   "KEDA cancels all its streams at once when it restarts, and not again soon"},
    [H2_REFUSALS] = {"refusals", 100, 10,
                     "requests that are no calls, too large, of a client that is not permitted, or "
                     "beyond the limit of calls"},
    [H2_PINGS] =
        {"pings", 1000, 100,
         "clients measure the bandwidth with one ping per message; an answer gives it back"},
    [H2_SETTINGS] = {"settings", 10, 1,
                     "clients send them once, or some as their window grows; for each nghttp2 "
                     "visits all streams"},
    [H2_GOAWAYS] = {"goaways", 3, 1,
                    "clients send one or two before they leave; for each nghttp2 visits all "
                    "streams"},
    [H2_EMPTY_FRAMES] = {"empty-frames", 100, 100, "DATA without data that ends nothing"},
    [H2_WINDOW_UPDATES] = {"window-updates", 20000, 5000, "one or two per message are usual"},
    [H2_OTHER_FRAMES] = {"other-frames", 1000, 100, "PRIORITY, and what is unknown"},
    [H2_INVALID_FRAMES] = {"invalid-frames", 100, 10,
                           "the server resets a stream for each: another way to do a rapid reset"},
    [H2_FRAMES_QUEUED] = {"frames-queued", 1000, 0,
                          "acknowledgements that the client does not read"},
    [H2_HANDSHAKE_MS] = {"handshake-ms", 10000, 0, "time from connecting to the client's SETTINGS"},
    [H2_CALL_MS] = {"call-ms", 20000, 0,
                    "time for a client to send its message, and to read an answer that is ready"},
    [H2_WRITE_MS] = {"write-ms", 20000, 0,
                     "time for a client to read anything while something waits to be sent"},
    [H2_SILENCE_MS] = {"silence-ms", 60000, 0,
                       "time without an answer to the server's ping: the client is gone",
                       "--ping-interval"},
    [H2_IDLE_MS] = {"idle-ms", 3600000, 0, "time without a call; clients reconnect by themselves"},
    [H2_LIMITS] = {0},
};

static void set(struct h2_limits *limits, enum h2_limit limit, size_t number)
{
    if (number > 0)
        limits->max[limit] = (int64_t)number;
}

/* All streams at once, and some calls beside them. */
static size_t max_resets(const struct server_options *options)
{
    enum { BESIDE_STREAMS = 10000 };
    size_t usual = (size_t)h2_limit_table[H2_RESETS].max;
    size_t wanted = options->max_streams + BESIDE_STREAMS;
    return wanted > usual ? wanted : usual;
}

static const struct limit *find(const char *name, size_t length)
{
    const struct limit *limit = h2_limit_table;
    while (limit->name != NULL &&
           (strlen(limit->name) != length || strncmp(limit->name, name, length) != 0))
        limit++;
    return limit->name == NULL ? NULL : limit;
}

/* "resets=1000". */
static void set_named(struct h2_limits *limits, const char *text, struct error *error)
{
    static const struct option number = {.type = OPTION_INT, .limits = {1, 1e9}};
    const char *equals = strchrnul(text, '=');
    const struct limit *limit = find(text, (size_t)(equals - text));
    _cleanup_(error_done) struct error why = {0};
    if (limit == NULL || *equals == '\0')
        error_add(error,
                  "--client-limits: unknown limit \"%s\": it must be NAME=NUMBER, such as "
                  "resets=100000; --help-limits lists them",
                  text);
    else if (limit->set_by != NULL)
        error_add(error, "--client-limits: the limit %s is set by %s", limit->name, limit->set_by);
    else if (!value_parse(&number, equals + 1, &limits->max[limit - h2_limit_table], &why))
        error_add(error, "--client-limits: %s \"%s\" %s", limit->name, equals + 1,
                  error_text(&why));
}

bool h2_limits_init(struct h2_limits *limits, const struct server_options *options,
                    struct error *error)
{
    *limits = (struct h2_limits){0};
    for (size_t i = 0; i < H2_LIMITS; i++)
        limits->max[i] = h2_limit_table[i].max;
    set(limits, H2_CONNECTIONS, options->max_connections);
    set(limits, H2_PEER_CONNECTIONS, options->max_peer_connections);
    set(limits, H2_RESETS, max_resets(options));
    limits->max[H2_SILENCE_MS] = 2 * options->ping_interval_ms;
    for (size_t i = 0; i < options->limit_count; i++)
        set_named(limits, options->limits[i], error);
    return !error_is_set(error);
}

bool h2_limits_check(const struct server_options *options, struct error *error)
{
    struct h2_limits limits;
    return h2_limits_init(&limits, options, error);
}

void h2_limit_hit(struct h2_limits *limits, enum h2_limit limit, const char *peer, int64_t now_ms)
{
    enum { WARN_INTERVAL_MS = 10000 };
    uint64_t hits = atomic_fetch_add(&limits->hits[limit], 1) + 1;
    int64_t *warned_ms = &limits->warned_ms[limit];
    if (*warned_ms != 0 && now_ms - *warned_ms < WARN_INTERVAL_MS)
        return;
    *warned_ms = now_ms;
    log_warning("%s exceeded the limit %s (%" PRId64 "; %s); %" PRIu64 " times so far", peer,
                h2_limit_table[limit].name, limits->max[limit], h2_limit_table[limit].reason, hits);
}

bool h2_limit_leaves(const struct h2_limits *limits, enum h2_limit limit, size_t of_all,
                     size_t of_address, size_t more)
{
    return of_all + of_address + more <= (size_t)limits->max[limit];
}

static int64_t cost_us(enum h2_limit limit)
{
    return 1000000 / h2_limit_table[limit].per_second;
}

bool h2_bucket_take(struct h2_bucket *bucket, const struct h2_limits *limits, enum h2_limit limit,
                    int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;
    if (bucket->unused_us < now_us)
        bucket->unused_us = now_us;
    bucket->unused_us += cost_us(limit);
    return bucket->unused_us - now_us <= limits->max[limit] * cost_us(limit);
}

void h2_bucket_return(struct h2_bucket *bucket, enum h2_limit limit)
{
    bucket->unused_us -= cost_us(limit);
}
