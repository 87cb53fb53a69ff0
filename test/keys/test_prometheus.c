#include "keys/keys.h"

extern const struct scaler scaler_prometheus;

#define NO_PAIR "is not name=value with exactly one ="
#define NO_HEADER "number 1 is no HTTP header"
#define NO_ADDRESS "serverAddress must be a URL"

/* Of PKCS #8, with 0x7fffffff iterations. */
static const char costly_key[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                 "MCkwHQYJKoZIhvcNAQUDMBAECAAAAAAAAAAAAgR/////BAgAAAAAAAAAAA==\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";

static const struct key_case cases[] = {
    TAKES("serverAddress", "https://u:sesame@thanos:9090/prefix/"),
    TAKES("serverAddress", "http://[::1]"),
    REFUSES(NO_ADDRESS, "serverAddress", "prometheus:9090"),
    REFUSES("or http://[fd00::1]:9090", "serverAddress", "http://fd00::1:9090"),
    REFUSES(NO_ADDRESS, "serverAddress", "ftp://u:sesame@prometheus"),
    REFUSES(NO_ADDRESS, "serverAddress", "http://u:ses/ame@prometheus"),
    REFUSES(NO_ADDRESS, "serverAddress", "http://prometheus/?sesame=1"),
    TAKES("timeout", "0"),
    TAKES("timeout", "1m30s"),
    TAKES("customHeaders", "X-Scope-OrgID=sesame,X-Empty="),
    TAKES("customHeaders", "a=1,b=sesame"),
    REFUSES(NO_PAIR, "customHeaders", "sesame"),
    REFUSES(NO_PAIR, "customHeaders", "a=1,sesame"),
    REFUSES(NO_PAIR, "customHeaders", "a=1=sesame"),
    REFUSES(NO_PAIR, "customHeaders", "=sesame"),
    REFUSES(NO_HEADER, "customHeaders", "a b=sesame"),
    REFUSES("customHeaders: number 2 is host, which is not sent", "customHeaders",
            "a=1,host=sesame"),
    REFUSES(NO_HEADER, "customHeaders", "a:=sesame"),
    REFUSES(NO_HEADER, "customHeaders", "a=1\r\nX: sesame"),
    TAKES("authModes", "basic, tls,custom", "username", "u", "cert", "PEM", "key", "sesame",
          "customAuthHeader", "X-Key", "customAuthValue", "sesame"),
    REFUSES("authModes number 2 must be basic, bearer, tls or custom", "authModes", "tls,baisc"),
    REFUSES("authModes apiKey is not supported here", "authModes", "apiKey"),
    REFUSES("authModes oauth is not supported here", "authModes", "tls,oauth"),
    REFUSES("authModes basic excludes bearer", "authModes", "basic,bearer"),
    REFUSES("authModes basic needs username", "authModes", "basic"),
    REFUSES("authModes bearer needs bearerToken", "authModes", "bearer"),
    REFUSES("authModes tls needs cert", "authModes", "tls", "key", "sesame"),
    REFUSES("authModes tls needs key", "authModes", "tls", "cert", "PEM"),
    REFUSES("authModes custom needs customAuthHeader", "authModes", "custom"),
    REFUSES("authModes custom needs customAuthValue", "authModes", "custom"),
    TAKES("username", "u", "authModes", "basic"),
    REFUSES("username needs authModes basic", "username", "u"),
    TAKES("password", "sesame", "authModes", "basic", "username", "u"),
    REFUSES("password needs authModes basic", "password", "sesame"),
    TAKES("bearerToken", "sesame", "authModes", "bearer"),
    REFUSES("bearerToken needs authModes bearer", "bearerToken", "sesame"),
    REFUSES("bearerToken must be one line", "bearerToken", "a\r\nX: sesame", "authModes", "bearer"),
    TAKES("customAuthHeader", "X-Key", "authModes", "custom", "customAuthValue", "sesame"),
    REFUSES("customAuthHeader needs authModes custom", "customAuthHeader", "X-Key"),
    REFUSES("customAuthHeader is not the name", "customAuthHeader", "X Key", "authModes", "custom"),
    REFUSES("customAuthHeader is Host, which is not sent", "customAuthHeader", "Host", "authModes",
            "custom", "customAuthValue", "sesame"),
    TAKES("customAuthValue", "sesame", "authModes", "custom", "customAuthHeader", "X-Key"),
    REFUSES("customAuthValue needs authModes custom", "customAuthValue", "sesame"),
    REFUSES("customAuthValue must be one line", "customAuthValue", "a\nsesame"),
    TAKES("ca", "PEM"),
    TAKES("cert", "PEM", "key", "sesame", "authModes", "tls"),
    REFUSES("cert needs authModes tls", "cert", "PEM", "key", "sesame"),
    TAKES("key", "sesame", "cert", "PEM", "authModes", "tls"),
    REFUSES("key takes too long to decrypt", "key", costly_key, "cert", "PEM", "authModes", "tls"),
    REFUSES("key needs authModes tls", "key", "sesame", "cert", "PEM"),
    TAKES("keyPassword", "sesame", "key", "sesame", "cert", "PEM", "authModes", "tls"),
    REFUSES("keyPassword needs authModes tls", "keyPassword", "sesame"),
    TAKES("brokerUnsafeSsl", "true"),
    TAKES("brokerUnsafeSsl", "F"),
    DEFAULT("brokerUnsafeSsl", "false"),

    TAKES("query", "sum(rate(x{a=\"b\"}[1m]))"),
    TAKES("inFlightQuery", "sum(jobs_running)"),
    TAKES("arrivalQuery", "sum(rate(jobs_created_total[1m]))"),
    TAKES("consumptionQuery", "sum(rate(jobs_done_total[1m]))"),
    TAKES("namespace", "shop"),
    TAKES("queryParameters", "a=1, b="),
    TAKES("queryParameters", "timeout=5s, Time=1, namespace=shop"),
    TAKES("queryParameters", "a[]/? &=1"),
    REFUSES("queryParameters: number 2 is time, which is always now: remove it", "queryParameters",
            "a=1, time =1700000000"),
    REFUSES("queryParameters: number 1 is query, which has a key of its own", "queryParameters",
            "query=up"),
    REFUSES("queryParameters: number 1 is namespace, which is set by its own key, too",
            "queryParameters", "namespace=a", "namespace", "shop"),
    REFUSES(NO_PAIR, "queryParameters", "a"),
    REFUSES(NO_PAIR, "queryParameters", "a=1,b"),
    REFUSES(NO_PAIR, "queryParameters", "a=1=2"),
    REFUSES(NO_PAIR, "queryParameters", "=1"),
    REFUSES(NO_PAIR, "queryParameters", "a=1,,b=2"),

    TAKES("threshold", "0.001"),
    TAKES("threshold", "1e3"),
    REFUSES("at least 0.001", "threshold", "0"),
    REFUSES("at least 0.001", "threshold", "0.0009"),
    TAKES("activationThreshold", "-2.5"),
    DEFAULT("activationThreshold", "0"),
    TAKES("ignoreNullValues", "f"),
    DEFAULT("ignoreNullValues", "true"),
    {0},
};

static const struct keys keys = {
    &scaler_prometheus,
    PAIRS("serverAddress", "http://prometheus:9090", "query", "up", "threshold", "5"), cases, NULL};

int main(void)
{
    return keys_test(&keys);
}
