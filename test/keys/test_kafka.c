#include "keys/keys.h"

extern const struct scaler scaler_kafka;

static const struct key_case cases[] = {
    TAKES("bootstrapServers", "a:9092, b:9092"),
    TAKES("tls", "disable"),
    TAKES("tls", "enable"),
    DEFAULT("tls", "disable"),
    TAKES("ca", "PEM"),
    TAKES("cert", "PEM", "key", "sesame", "tls", "enable"),
    TAKES("cert", "PEM"), /* KEDA looks for its key only where tls is enabled */
    REFUSES("cert and key go together: key is missing", "cert", "PEM", "tls", "enable"),
    TAKES("key", "sesame", "cert", "PEM", "tls", "enable"),
    REFUSES("cert and key go together: cert is missing", "key", "sesame", "tls", "enable"),
    TAKES("brokerUnsafeSsl", "true"),
    TAKES("brokerUnsafeSsl", "0"),
    DEFAULT("brokerUnsafeSsl", "false"),
    TAKES("keyPassword", "sesame"),
    TAKES("sasl", "none"),
    TAKES("sasl", "plaintext", "username", "u", "password", "sesame"),
    TAKES("sasl", "scram_sha256", "username", "u", "password", "sesame"),
    TAKES("sasl", "scram_sha512\n", "username", "u", "password", "sesame"),
    TAKES("sasl", "scram_sha512", "username", "u", "password", "sesame"),
    REFUSES("sasl \"plaintext\" needs username and password", "sasl", "plaintext", "username", "u"),
    REFUSES("needs username and password", "sasl", "scram_sha256", "password", "sesame"),
    REFUSES("must be none, plaintext", "sasl", "none,plaintext"),
    DEFAULT("sasl", "none"),
    TAKES("username", "u"),
    TAKES("password", "sesame"),

    TAKES("consumerGroup", "workers"),
    TAKES("topic", "orders"),
    TAKES("partitionLimitation", "1, 2,10-20,31"),
    TAKES("partitionLimitation", " "),
    TAKES("offsetResetPolicy", "latest"),
    TAKES("offsetResetPolicy", "earliest"),
    REFUSES("must be latest or earliest", "offsetResetPolicy", "latest,earliest"),
    DEFAULT("offsetResetPolicy", "latest"),
    TAKES("scaleToZeroOnInvalidOffset", "true"),
    DEFAULT("scaleToZeroOnInvalidOffset", "false"),

    TAKES("lagThreshold", "1"),
    REFUSES("at least 1", "lagThreshold", "0"),
    DEFAULT("lagThreshold", "10"),
    TAKES("activationLagThreshold", "0"),
    REFUSES("at least 0", "activationLagThreshold", "-1"),
    DEFAULT("activationLagThreshold", "0"),
    TAKES("allowIdleConsumers", "true"),
    DEFAULT("allowIdleConsumers", "false"),
    TAKES("limitToPartitionsWithLag", "true"),
    REFUSES("limitToPartitionsWithLag excludes allowIdleConsumers", "limitToPartitionsWithLag",
            "true", "allowIdleConsumers", "true"),
    REFUSES("limitToPartitionsWithLag excludes ensureEvenDistributionOfPartitions",
            "limitToPartitionsWithLag", "true", "ensureEvenDistributionOfPartitions", "true"),
    DEFAULT("limitToPartitionsWithLag", "false"),
    TAKES("ensureEvenDistributionOfPartitions", "true"),
    TAKES("ensureEvenDistributionOfPartitions", "true", "allowIdleConsumers", "true"),
    DEFAULT("ensureEvenDistributionOfPartitions", "false"),
    TAKES("version", "2.8.0"),
    TAKES("fullMetadata", "false"),
    DEFAULT("fullMetadata", "true"),
    {0},
};

static const struct keys keys = {
    &scaler_kafka,
    PAIRS("bootstrapServers", "kafka:9092", "consumerGroup", "workers", "topic", "orders"), cases,
    NULL};

int main(void)
{
    return keys_test(&keys);
}
