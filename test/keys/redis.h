/* The keys that several scalers of Redis have. */
#ifndef BACKLOG_TEST_KEYS_REDIS_H
#define BACKLOG_TEST_KEYS_REDIS_H

#include "keys/keys.h"

#define NO_ADDRESS "is not host:port"

#define REDIS_32 "{prefixprefixprefixprefixprefix}"
#define REDIS_256 REDIS_32 REDIS_32 REDIS_32 REDIS_32 REDIS_32 REDIS_32 REDIS_32 REDIS_32
#define REDIS_1024 REDIS_256 REDIS_256 REDIS_256 REDIS_256

/* Together they would be more names than one trigger has; the keys are empty ones. */
#define REFUSES_KEYS_AND_LIBRARY(keys)                                                             \
    REFUSES("set one of keys and library", "keys", keys, "library", "bullmq", "queueName", "{q}",  \
            "listName", "")

/* Of what is measured. */
#define REDIS_LIST_CASES                                                                           \
    TAKES("listName", "jobs:{1} of/all"), TAKES("listName", REDIS_1024),                           \
        REFUSES("listName has 1025 bytes: at most 1024", "listName", REDIS_1024 "l"),              \
        REFUSES("listName is missing", "listName", ""),                                            \
        TAKES("keys", "{q}a, {q}b", "listName", ""),                                               \
        TAKES("keys", "{celery},{celery}\006\0263", "listName", ""),                               \
        REFUSES("set one of listName and keys", "keys", "a"),                                      \
        REFUSES("keys: number 1 is empty", "keys", ",a", "listName", ""),                          \
        REFUSES("keys: number 2 is empty", "keys", "a,", "listName", ""),                          \
        REFUSES("one of keys has 1025 bytes: at most 1024", "keys", REDIS_1024 "k", "listName",    \
                ""),                                                                               \
        REFUSES("keys: number 3 is number 1 again", "keys", "a,b,a", "listName", ""),              \
        REFUSES_KEYS_AND_LIBRARY(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"),   \
        REFUSES_KEYS_AND_LIBRARY(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"),  \
        REFUSES_KEYS_AND_LIBRARY(                                                                  \
            ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"),                    \
        TAKES("library", "none"), DEFAULT("library", "none"),                                      \
        TAKES("library", "bullmq", "queueName", "videos", "prefix", "{b}", "listName", ""),        \
        TAKES("library", "rq", "queueName", "videos", "prefix", "{rq}", "listName", ""),           \
        REFUSES("library needs queueName", "library", "rq", "listName", ""),                       \
        REFUSES("set one of listName and library", "library", "rq", "queueName", "q"),             \
        TAKES("queueName", "videos", "library", "rq", "prefix", "{rq}", "listName", ""),           \
        REFUSES("queueName needs library", "queueName", "videos"),                                 \
        REFUSES("queueName has 1025 bytes: at most 1024", "queueName", REDIS_1024 "q", "library",  \
                "rq", "listName", ""),                                                             \
        TAKES("prefix", "{jobs}", "library", "bullmq", "queueName", "videos", "listName", ""),     \
        TAKES("prefix", REDIS_256, "library", "bullmq", "queueName", "videos", "listName", ""),    \
        REFUSES("prefix has 257 bytes: at most 256", "prefix", REDIS_256 "p", "library", "bullmq", \
                "queueName", "videos", "listName", ""),                                            \
        REFUSES("prefix needs library", "prefix", "jobs"), TAKES("listLength", "1"),               \
        REFUSES("at least 1", "listLength", "0"), DEFAULT("listLength", "5"),                      \
        TAKES("activationListLength", "-1"), TAKES("activationListLength", "9223372036854775807"), \
        DEFAULT("activationListLength", "0")

#define REDIS_STREAM_CASES                                                                         \
    TAKES("stream", "orders:{1}"),                                                                 \
        REFUSES("stream has 1025 bytes: at most 1024", "stream", REDIS_1024 "s"),                  \
        TAKES("consumerGroup", "workers"),                                                         \
        REFUSES("consumerGroup has 1025 bytes: at most 1024", "consumerGroup", REDIS_1024 "g"),    \
        TAKES("lagCount", "0", "consumerGroup", "workers"),                                        \
        TAKES("lagCount", "1", "consumerGroup", "workers"),                                        \
        TAKES("lagCount", "1"), /* without a group it does not count, as in KEDA */                \
        REFUSES("at least 0", "lagCount", "-1", "consumerGroup", "workers"),                       \
        DEFAULT("lagCount", "0"), TAKES("pendingEntriesCount", "1"),                               \
        REFUSES("at least 1", "pendingEntriesCount", "0"), DEFAULT("pendingEntriesCount", "5"),    \
        TAKES("streamLength", "1"), REFUSES("at least 1", "streamLength", "0"),                    \
        DEFAULT("streamLength", "5"), TAKES("activationLagCount", "-1"),                           \
        TAKES("activationLagCount", "5"), DEFAULT("activationLagCount", "0")

/* Of the Sentinels. */
#define REDIS_SENTINEL_CASES                                                                       \
    TAKES("sentinelMaster", "shop"), TAKES("sentinelUsername", "u", "sentinelPassword", "sesame"), \
        REFUSES("sentinelUsername needs sentinelPassword", "sentinelUsername", "u"),               \
        TAKES("sentinelPassword", "sesame")

/* In a cluster the server decides which there are. */
#define REDIS_DATABASE_CASES                                                                       \
    TAKES("databaseIndex", "0"), TAKES("databaseIndex", "2147483647"),                             \
        REFUSES("from 0 to 2147483647", "databaseIndex", "-1"),                                    \
        REFUSES("from 0 to 2147483647", "databaseIndex", "2147483648"),                            \
        DEFAULT("databaseIndex", "0")

/* Of a connection. */
static const struct key_case redis_connection_cases[] = {
    TAKES("address", "redis.shop:1"),
    TAKES("address", "a:1, b:65535"),
    TAKES("address", "[::1]:6379"),
    REFUSES("address is missing", "address", ""),
    REFUSES(NO_ADDRESS, "address", "sesame"),
    REFUSES(NO_ADDRESS, "address", "sesame:"),
    REFUSES(NO_ADDRESS, "address", ":1"),
    REFUSES(NO_ADDRESS, "address", "sesame:0"),
    REFUSES(NO_ADDRESS, "address", "sesame:65536"),
    REFUSES(NO_ADDRESS, "address", "sesame:b"),
    TAKES("address", "a:1,"),
    TAKES("address", "a:1,,"),
    TAKES("address", "a:1,", "host", "b", "port", "1"),
    REFUSES("address: number 2 is not host:port", "address", "a:1,,b:1"),
    REFUSES("address: number 1 is not host:port", "address", ","),
    REFUSES("address: number 2 is not host:port", "address", "a:1,redis://:sesame@b:1"),
    REFUSES(NO_ADDRESS, "address", "sesame:1/0"),
    REFUSES(NO_ADDRESS, "address", "::1:1"),
    REFUSES("or [fd00::1]:6379", "address", "fd00::1:6379"),
    REFUSES("in brackets: [fd00::1]", "host", "fd00::1", "address", "", "port", "6379"),
    REFUSES(NO_ADDRESS, "address", "[::1]"),
    TAKES("host", "a", "port", "1", "address", ""),
    TAKES("host", "a,b", "port", "1,65535", "address", ""),
    TAKES("port", "6379", "host", "a", "address", ""),
    REFUSES("there are 2 of host and 1 of port", "host", "a,b", "port", "1"),
    REFUSES("there are 1 of host and 0 of port", "host", "a"),
    REFUSES("there are 0 of host and 1 of port", "port", "1"),
    REFUSES("host: number 1 is not the name", "host", "u:sesame@h", "port", "1"),
    REFUSES("port: number 1 is not a port", "port", "0", "host", "a"),
    REFUSES("port: number 2 is not a port", "port", "1,65536", "host", "a,b"),
    TAKES("username", "u", "password", "sesame"),
    REFUSES("username needs password", "username", "u"),
    TAKES("password", "sesame"),
    TAKES("tls", "disable"),
    TAKES("tls", "enable"),
    REFUSES("tls", "tls", "true"),
    DEFAULT("tls", "disable"),
    TAKES("brokerTls", "disable"),
    TAKES("brokerTls", "false"),
    TAKES("brokerTls", "enable"),
    TAKES("brokerTls", "true"),
    DEFAULT("brokerTls", "disable"),
    TAKES("brokerUnsafeSsl", "false"),
    TAKES("brokerUnsafeSsl", "true", "brokerTls", "true"),
    DEFAULT("brokerUnsafeSsl", "false"),
    TAKES("ca", "PEM", "brokerTls", "true"),
    TAKES("cert", "PEM", "key", "sesame", "tls", "enable"),
    TAKES("key", "sesame", "cert", "PEM", "brokerTls", "enable"),
    TAKES("cert", "PEM"),
    REFUSES("cert and key go together: key is missing", "cert", "PEM", "tls", "enable"),
    REFUSES("cert and key go together: cert is missing", "key", "sesame", "brokerTls", "true"),
    TAKES("keyPassword", "sesame", "key", "sesame", "cert", "PEM", "tls", "enable"),
    {0},
};

#endif
