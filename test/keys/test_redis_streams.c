#include "keys/redis.h"

extern const struct scaler scaler_redis_streams;

static const struct key_case cases[] = {
    TAKES("stream", "orders:{1}"),
    TAKES("consumerGroup", "workers"),
    TAKES("lagCount", "0", "consumerGroup", "workers"),
    TAKES("lagCount", "1", "consumerGroup", "workers"),
    TAKES("lagCount", "1"), /* without a group it does not count, as in KEDA */
    REFUSES("at least 0", "lagCount", "-1", "consumerGroup", "workers"),
    DEFAULT("lagCount", "0"),
    TAKES("pendingEntriesCount", "1"),
    REFUSES("at least 1", "pendingEntriesCount", "0"),
    DEFAULT("pendingEntriesCount", "5"),
    TAKES("streamLength", "1"),
    REFUSES("at least 1", "streamLength", "0"),
    DEFAULT("streamLength", "5"),
    TAKES("activationLagCount", "-1"),
    TAKES("activationLagCount", "5"),
    DEFAULT("activationLagCount", "0"),
    {0},
};

static const struct keys keys = {&scaler_redis_streams,
                                 PAIRS("address", "redis:6379", "stream", "orders"), cases,
                                 redis_connection_cases};

int main(void)
{
    return keys_test(&keys);
}
