#include "keys/redis.h"

extern const struct scaler scaler_redis_cluster_streams;

static const struct key_case cases[] = {REDIS_STREAM_CASES, REDIS_DATABASE_CASES, {0}};

static const struct keys keys = {&scaler_redis_cluster_streams,
                                 PAIRS("address", "redis:6379", "stream", "orders"), cases,
                                 redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
