#include "keys/redis.h"

extern const struct scaler scaler_redis;

static const struct key_case cases[] = {REDIS_LIST_CASES, REDIS_DATABASE_CASES, {0}};

static const struct keys keys = {&scaler_redis, PAIRS("address", "redis:6379", "listName", "jobs"),
                                 cases, redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
