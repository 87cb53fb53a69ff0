#include "keys/keys.h"

extern const struct scaler scaler_rabbitmq;

#define AMQP "host", "amqp://u:sesame@rabbit/"
#define HTTP "host", "http://u:sesame@rabbit:15672/"
#define FIFTY_BYTES "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
#define FIVE_TIMES(text) text text text text text
#define LONGEST FIVE_TIMES(FIFTY_BYTES) "qqqqq"
#define LONGEST_PATTERN                                                                            \
    FIVE_TIMES(FIFTY_BYTES FIFTY_BYTES FIFTY_BYTES FIFTY_BYTES)                                    \
    FIVE_TIMES(FIFTY_BYTES FIFTY_BYTES FIFTY_BYTES FIFTY_BYTES)

static const struct key_case cases[] = {
    TAKES("host", "amqps://u:sesame@rabbit:65535/a%2Fb"),
    TAKES("host", "https://rabbit/prefix/vhost"),
    REFUSES("host must be a URL that starts with", "host", "u:sesame@rabbit"),
    REFUSES("its port must be a number from 1 to 65535", "host", "amqp://u:sesame@rabbit:0/"),
    REFUSES("its port must be a number from 1 to 65535", "host", "amqp://u:sesame@rabbit:65536/"),
    REFUSES("has a % that is not the start", "host", "amqp://u:sesame%zz@rabbit/"),
    TAKES("protocol", "auto"),
    TAKES("protocol", "amqp", AMQP),
    TAKES("protocol", "http", HTTP),
    REFUSES("protocol amqp needs a host that starts with amqp://", "protocol", "amqp", HTTP),
    REFUSES("protocol http needs a host that starts with http://", "protocol", "http", AMQP),
    DEFAULT("protocol", "auto"),
    TAKES("vhostName", "a/b %"),
    TAKES("username", "u", "password", "sesame"),
    REFUSES("username and password go together", "username", "u"),
    TAKES("password", "sesame", "username", "u"),
    REFUSES("username and password go together", "password", "sesame"),
    TAKES("timeout", "2s", HTTP, "mode", "QueueLength", "value", "5"),
    TAKES("timeout", "2500", AMQP, "queueLength", "5"), /* KEDA passes it over there */
    REFUSES("timeout needs a host that starts with http://", "timeout", "2s", AMQP, "mode",
            "QueueLength", "value", "5"),
    TAKES("tls", "disable"),
    TAKES("tls", "enable", "host", "amqps://rabbit/"),
    TAKES("tls", "enable", "host", "https://rabbit/"),
    REFUSES("tls enable needs a host that starts with amqps://", "tls", "enable", AMQP),
    DEFAULT("tls", "disable"),
    TAKES("ca", "PEM"),
    TAKES("cert", "PEM", "key", "sesame"),
    REFUSES("cert and key go together: key is missing", "cert", "PEM"),
    TAKES("key", "sesame", "cert", "PEM"),
    REFUSES("cert and key go together: cert is missing", "key", "sesame"),
    TAKES("keyPassword", "sesame", "key", "sesame", "cert", "PEM"),
    TAKES("brokerUnsafeSsl", "true"),
    DEFAULT("brokerUnsafeSsl", "false"),

    TAKES("queueName", "all of/them 100%"),
    TAKES("queueName", LONGEST),
    REFUSES("queueName must have at most 255 bytes", "queueName", LONGEST "q"),
    TAKES("queueName", LONGEST_PATTERN, HTTP, "useRegex", "true"),
    REFUSES("queueName must have at most 2000 bytes", "queueName", LONGEST_PATTERN "q", HTTP,
            "useRegex", "true"),
    TAKES("useRegex", "true", HTTP),
    TAKES("useRegex", "f", AMQP),
    REFUSES("useRegex needs a host that starts with http://", "useRegex", "1", AMQP),
    DEFAULT("useRegex", "false"),
    TAKES("pageSize", "1", HTTP, "useRegex", "true"),
    TAKES("pageSize", "500"), /* without useRegex nobody asks for pages */
    REFUSES("from 1 to 500", "pageSize", "0"),
    REFUSES("from 1 to 500", "pageSize", "501"),
    DEFAULT("pageSize", "100"),
    TAKES("operation", "sum", HTTP, "useRegex", "true"),
    TAKES("operation", "avg", HTTP, "useRegex", "true"),
    TAKES("operation", "max"),
    REFUSES("must be sum, avg or max", "operation", "min", HTTP, "useRegex", "true"),
    DEFAULT("operation", "sum"),

    TAKES("mode", "Unknown"),
    TAKES("mode", "QueueLength", "value", "5"),
    REFUSES("mode needs a value above 0", "mode", "QueueLength"),
    TAKES("mode", "MessageRate", HTTP, "value", "0.5"),
    TAKES("mode", "DeliverGetRate", HTTP, "value", "0.5"),
    TAKES("mode", "PublishedToDeliveredRatio", HTTP, "value", "0.5"),
    TAKES("mode", "ExpectedQueueConsumptionTime", HTTP, "value", "0.5"),
    REFUSES("mode MessageRate needs a host that starts with http://", "mode", "MessageRate", AMQP,
            "value", "5"),
    REFUSES("AMQP tells no rates", "mode", "ExpectedQueueConsumptionTime", AMQP, "value", "5"),
    REFUSES("must be Unknown, QueueLength, MessageRate", "mode", "QueueLength,Unknown", "value",
            "5"),
    REFUSES("must be Unknown, QueueLength, MessageRate", "mode", "messageRate", HTTP, "value", "5"),
    DEFAULT("mode", "Unknown"),
    TAKES("value", "0"),
    TAKES("value", "0.5", "mode", "QueueLength"),
    TAKES("value", "0.001", "mode", "QueueLength"),
    REFUSES("value must be at least 0.001", "value", "0.0009", "mode", "QueueLength"),
    TAKES("value", "1000000000000", "mode", "QueueLength"),
    REFUSES("from 0 to 1000000000000", "value", "-1", "mode", "QueueLength"),
    REFUSES("from 0 to 1000000000000", "value", "1000000000001", "mode", "QueueLength"),
    REFUSES("value needs a mode", "value", "5"),
    DEFAULT("value", "0"),
    TAKES("queueLength", "0"),
    TAKES("queueLength", "0.001"),
    REFUSES("queueLength must be at least 0.001", "queueLength", "0.0009"),
    TAKES("queueLength", "1000000000000"),
    REFUSES("from 0 to 1000000000000", "queueLength", "-0.5"),
    REFUSES("from 0 to 1000000000000", "queueLength", "1e13"),
    REFUSES("excludes mode and value", "queueLength", "5", "mode", "QueueLength"),
    REFUSES("excludes mode and value", "queueLength", "5", "value", "5"),
    DEFAULT("queueLength", "0"),
    TAKES("activationValue", "-2.5"),
    DEFAULT("activationValue", "0"),
    TAKES("excludeUnacknowledged", "true", HTTP),
    TAKES("excludeUnacknowledged", "false"),
    REFUSES("excludeUnacknowledged needs a host that starts with http://", "excludeUnacknowledged",
            "true", AMQP),
    DEFAULT("excludeUnacknowledged", "false"),
    {0},
};

static const struct keys keys = {&scaler_rabbitmq, PAIRS(AMQP, "queueName", "orders"), cases, NULL};

int main(void)
{
    return keys_test(&keys);
}
