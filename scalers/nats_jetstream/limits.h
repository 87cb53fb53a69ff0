/*
 * What a connection of the client has in flight, and in memory: nats.c ends the process where it
 * gets none, so an agent may map the sum of these bounds.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_LIMITS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_LIMITS_H

/* A node of a cluster queues the requests that other nodes forward. At 10,000 it drops all of them,
 * of all clients (until 2.14 of every API, then those for information), so that nobody creates a
 * consumer. Even at a round trip of 60 ms these are 8,000 requests per second. */
enum {
    NATS_MAX_TASKS = 500,
    NATS_MAX_ISOLATED = NATS_MAX_TASKS / 4, /* such as of consumers without a leader */
    NATS_MAX_CONFIGS = 100,                 /* besides the tasks: configs.h */
};

/* What servers and their users choose. */
enum {
    NATS_CONNECTIONS = 2,            /* one of them to subscribe */
    NATS_QUEUED_BYTES = 2 << 20,     /* of each, until the client takes it: 500 replies of 3.5 KB */
    NATS_PENDING_BYTES = 1 << 20,    /* of each, between nats.c's threads */
    NATS_REPLY_TREE_BYTES = 4 << 20, /* of the reply that is read: usually it has 1 KB */
    NATS_SUBSCRIPTION_BYTES = 10 << 20,
    NATS_CONFIG_SUBJECT_BYTES = 2 << 20,
    NATS_CHOSEN_BYTES = NATS_CONNECTIONS * (NATS_QUEUED_BYTES + NATS_PENDING_BYTES) +
                        NATS_REPLY_TREE_BYTES + NATS_SUBSCRIPTION_BYTES + NATS_CONFIG_SUBJECT_BYTES,
};

/* What a query takes: itself 0.7 KiB (measured); and its stream's and its consumer's configuration.
 * These have a bound of their own, as they outlive the query. */
enum {
    NATS_CONFIG_BYTES = 300, /* with a long name */
    NATS_QUERY_BYTES = 720 + 2 * NATS_CONFIG_BYTES,
    NATS_MAX_QUERIES = 10000,
    NATS_CONFIGS_BYTES = 2 * NATS_MAX_QUERIES * NATS_CONFIG_BYTES,
};

/* Of a client of a monitoring port, instead of what servers and users choose. */
enum {
    NATS_LISTINGS = 2,            /* at a time: who comes while one is slow does not wait for it */
    NATS_LISTING_BYTES = 8 << 20, /* of a reply: 1,000 consumers are 1 MB */
    NATS_INDEX_BYTES = 6 << 20,   /* of the one that is read, and to sort it: jsz.h */
};

/* Inline connections have fewer queries. */
enum { NATS_AGENT_BYTES = 26 << 20, NATS_AGENT_BYTES_NAMED = 48 << 20 };

_Static_assert(NATS_CHOSEN_BYTES + NATS_MAX_QUERIES * NATS_QUERY_BYTES <= NATS_AGENT_BYTES_NAMED,
               "an agent for the connections file");
_Static_assert(NATS_CHOSEN_BYTES + 2500 * NATS_QUERY_BYTES <= NATS_AGENT_BYTES, "any agent");
/* A listing that is near its limit may not fit beside more queries of an inline connection. */
_Static_assert(NATS_LISTINGS *NATS_LISTING_BYTES + NATS_INDEX_BYTES + 2500 * NATS_QUERY_BYTES <=
                   NATS_AGENT_BYTES,
               "any agent of a monitoring port");

#endif
