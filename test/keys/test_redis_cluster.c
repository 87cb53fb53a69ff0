#include "keys/redis.h"

extern const struct scaler scaler_redis_cluster;

static const struct key_case cases[] = {
    REDIS_LIST_CASES,
    REDIS_DATABASE_CASES,
    REFUSES("number 1 and number 2 are in different slots of the Cluster", "keys", "a,b",
            "listName", ""),
    REFUSES("number 1 and number 3 are in different slots of the Cluster", "keys", "{a}1,{a}2,b",
            "listName", ""),
    REFUSES("prefix must have a {hash tag}, such as {bull}", "library", "bullmq", "queueName",
            "videos", "listName", ""),
    REFUSES("prefix must have a {hash tag}, such as {rq}", "library", "rq", "queueName", "{videos}",
            "listName", ""),
    TAKES("queueName", "{videos}", "library", "bullmq", "listName", ""),
    {0},
};

static const struct keys keys = {&scaler_redis_cluster,
                                 PAIRS("address", "redis:6379", "listName", "jobs"), cases,
                                 redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
