#include "keys/redis.h"

extern const struct scaler scaler_redis_sentinel;

static const struct key_case cases[] = {
    REDIS_LIST_CASES, REDIS_DATABASE_CASES, REDIS_SENTINEL_CASES, {0}};

static const struct keys keys = {
    &scaler_redis_sentinel,
    PAIRS("address", "redis:26379", "sentinelMaster", "shop", "listName", "jobs"), cases,
    redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
