/* The keys of a connection, which redis and redis-streams share. */
#ifndef BACKLOG_TEST_KEYS_REDIS_H
#define BACKLOG_TEST_KEYS_REDIS_H

#include "keys/keys.h"

#define NO_TLS "is not supported here: set address to a port without TLS"
#define NO_BROKER_TLS                                                                              \
    "is not supported here (enableTLS of a trigger of KEDA's own type): set address"
#define NO_ADDRESS "is not host:port"

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
    REFUSES("address: number 1 is not host:port", "address", ","),
    REFUSES("address: number 2 is not host:port", "address", "a:1,redis://:sesame@b:1"),
    REFUSES(NO_ADDRESS, "address", "sesame:1/0"),
    REFUSES(NO_ADDRESS, "address", "::1:1"),
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
    TAKES("databaseIndex", "0"),
    TAKES("databaseIndex", "2147483647"),
    REFUSES("from 0 to 2147483647", "databaseIndex", "-1"),
    REFUSES("from 0 to 2147483647", "databaseIndex", "2147483648"),
    DEFAULT("databaseIndex", "0"),
    TAKES("username", "u", "password", "sesame"),
    REFUSES("username needs password", "username", "u"),
    TAKES("password", "sesame"),
    TAKES("tls", "disable"),
    REFUSES(NO_TLS, "tls", "enable"),
    DEFAULT("tls", "disable"),
    TAKES("brokerTls", "disable"),
    TAKES("brokerTls", "false"),
    REFUSES(NO_BROKER_TLS, "brokerTls", "enable"),
    REFUSES(NO_BROKER_TLS, "brokerTls", "true"),
    DEFAULT("brokerTls", "disable"),
    TAKES("brokerUnsafeSsl", "false"),
    REFUSES(NO_TLS, "brokerUnsafeSsl", "true"),
    DEFAULT("brokerUnsafeSsl", "false"),
    {0},
};

#endif
