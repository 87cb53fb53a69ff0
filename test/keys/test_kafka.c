#include "keys/kafka.h"

extern const struct scaler scaler_kafka;

static const struct key_case cases[] = {
    REFUSES("limitToPartitionsWithLag excludes ensureEvenDistributionOfPartitions",
            "limitToPartitionsWithLag", "true", "ensureEvenDistributionOfPartitions", "true"),
    REFUSES("limitToPartitionsWithLag needs topic", "limitToPartitionsWithLag", "true", "topic",
            ""),
    REFUSES("ensureEvenDistributionOfPartitions needs topic", "ensureEvenDistributionOfPartitions",
            "true", "topic", ""),
    REFUSES("without topic, fullMetadata must not be off", "fullMetadata", "false", "topic", ""),
    REFUSES("without user and password", "bootstrapServers", "user:secret@kafka:9092"),
    TAKES("bootstrapServers", "SSL://[fd00::1]:9092/, [::1]"),
    REFUSES("bootstrapServers: number 2 is an IPv6 address without brackets: write [fd00::1]:9092",
            "bootstrapServers", "kafka, fd00::1:9092"),
    REFUSES("write [fd00::1]:9092", "bootstrapServers", "SSL://::1:19092/"),
    REFUSES("write [fd00::1]:9092", "bootstrapServers", "fd00::1:443"),
    REFUSES("write [fd00::1]:9092", "bootstrapServers", "fd00:0:0:0:0:0:0:1:80"),
    TAKES("bootstrapServers", "fd00::1, SSL://::1/, fd00::abcd, fd00:0:0:0:0:0:0:1234"), /* 9092 */
    {0},
};

static const struct keys keys = {
    &scaler_kafka,
    PAIRS("bootstrapServers", "kafka:9092", "consumerGroup", "workers", "topic", "orders"), cases,
    kafka_cases};

int main(void)
{
    return keys_test(&keys);
}
