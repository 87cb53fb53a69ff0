#include "keys/kafka.h"

extern const struct scaler scaler_apache_kafka;

static const struct key_case cases[] = {
    TAKES("ensureEvenDistributionOfPartitions", "true", "limitToPartitionsWithLag", "true"),
    TAKES("ensureEvenDistributionOfPartitions", "true", "topic", ""),
    REFUSES("limitToPartitionsWithLag needs topic", "limitToPartitionsWithLag", "true", "topic",
            ""),
    {0},
};

static const struct keys keys = {
    &scaler_apache_kafka,
    PAIRS("bootstrapServers", "kafka:9092", "consumerGroup", "workers", "topic", "orders"), cases,
    kafka_cases};

int main(void)
{
    return keys_test(&keys);
}
