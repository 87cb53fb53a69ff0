/*
 * One librdkafka handle on one cluster, and what is remembered of it between two measurements.
 *
 * Threads: the poller's, but kafka_log() and the library's own. Owner: whoever connected.
 */
#ifndef BACKLOG_KAFKA_CLIENT_H
#define BACKLOG_KAFKA_CLIENT_H

#include "base/error.h"
#include "options.h"

#include <librdkafka/rdkafka.h>
#include <regex.h>
#include <stdint.h>
#include <uthash.h>

/* A topic that the library asks for with every metadata request, and what was last heard of it. */
struct known_topic {
    char *name;
    rd_kafka_topic_t *handle;
    int64_t used_ms;
    int64_t heard_ms;          /* 0: never, or what was heard turned out wrong */
    int64_t confirmed_ms;      /* see topic_confirm() */
    rd_kafka_resp_err_t error; /* of the topic as a whole */
    int32_t *leaders;          /* a broker's id for each partition; -1: none */
    int32_t partitions;
    UT_hash_handle hh;
};

/* A regular expression, and the topics that matched it when all of the cluster were last told. */
struct known_pattern {
    char *text;
    regex_t regex;
    int64_t used_ms;
    int64_t heard_ms; /* 0: never */
    struct known_topic **topics;
    size_t count; /* of all that matched; `topics` has at most SELECTION_TOPICS_MOST + 1 */
    size_t capacity;
    UT_hash_handle hh;
};

/* A request for a group's commits that is under way. */
struct group_call {
    char *name;
    int64_t since_ms;
    struct group *group; /* of the batch that waits for the answer; NULL once that is over */
    UT_hash_handle hh;
};

struct kafka_client {
    const struct kafka_connection *options;
    rd_kafka_conf_t *settings; /* for each handle */
    struct kerberos *kerberos; /* NULL: another way to log in */
    rd_kafka_t *rk;
    rd_kafka_queue_t *answers; /* commits; and rd_kafka_queue_yield() when offsets are there */
    struct known_topic *topics;
    struct known_pattern *patterns;
    struct group_call *calls;
    struct stall *stalls;
    struct arms *arms; /* NULL: nothing was armed yet */
    struct error
        trouble;  /* the library's last complaint, for when nothing else explains a failure */
    bool refused; /* the complaint is that the cluster will not have us: waiting is in vain */
    int64_t
        all_down_ms; /* since when all brokers are down, as far as the library said; 0: are not */
    bool is_crowded; /* the library holds on to too many topics that nobody measures */
    bool is_misled;  /* the library takes a broker for a group's coordinator that is not any more */
    int64_t renewed_ms;
    int64_t batch_ms; /* when the measurement under way began */
};

bool kafka_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error);
void kafka_disconnect(void *client);

/* Another handle on the cluster; takes the settings over. NULL with an error. */
rd_kafka_t *client_handle(const struct kafka_client *client, rd_kafka_conf_t *conf,
                          struct error *error);

/*
 * Takes another handle, that knows nothing yet, in place of one that holds on to what is wrong. Only
 * while no request for commits is under way: librdkafka may abort. Fails where the cluster is not reached.
 */
bool client_renew(struct kafka_client *client, int64_t deadline_ms, struct error *error);

/* Hears the library's complaints, without waiting. */
void client_listen(struct kafka_client *client);

/* "what: the last complaint". Returns false. */
bool client_fail(const struct kafka_client *client, struct error *error, const char *what);

#endif
