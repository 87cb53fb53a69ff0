#include "keys/redis.h"

extern const struct scaler scaler_redis;

static const struct key_case cases[] = {
    TAKES("listName", "jobs:{1} of/all"),     TAKES("listLength", "1"),
    REFUSES("at least 1", "listLength", "0"), DEFAULT("listLength", "5"),
    TAKES("activationListLength", "-1"),      TAKES("activationListLength", "9223372036854775807"),
    DEFAULT("activationListLength", "0"),     {0},
};

static const struct keys keys = {&scaler_redis, PAIRS("address", "redis:6379", "listName", "jobs"),
                                 cases, redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
