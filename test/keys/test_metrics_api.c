#include "keys/keys.h"

extern const struct scaler scaler_metrics_api;

#define NO_URL "url must be an http:// or https:// URL"
#define NAMES "allowed are names and indices with dots between"
#define SAMPLES "must be, with format prometheus, the name of a metric"

static const struct key_case cases[] = {
    TAKES("url", "https://u:sesame@api:8080/v1/jobs/?state=new&tenant=sesame"),
    TAKES("url", "http://[::1]"),
    TAKES("url", "http://api?sesame"),
    REFUSES(NO_URL, "url", "api:8080"),
    REFUSES("or http://[fd00::1]:8080", "url", "http://fd00::1:8080"),
    REFUSES(NO_URL, "url", "ftp://u:sesame@api"),
    REFUSES(NO_URL, "url", "http://u:ses/ame@api"),
    REFUSES(NO_URL, "url", "http://api/#sesame"),
    REFUSES(NO_URL, "url", "http://api/?a=1 sesame"),
    REFUSES(NO_URL, "url", "http://api/sesame\r\nX: y"),
    TAKES("timeout", "0"),
    TAKES("timeout", "1m30s"),
    TAKES("authMode", "apiKey, basic,tls", "apiKey", "sesame", "username", "u", "cert", "PEM",
          "key", "sesame"),
    REFUSES("authMode number 2 must be apiKey, basic, bearer or tls", "authMode", "tls,baisc"),
    REFUSES("authMode number 1 must be apiKey, basic, bearer or tls", "authMode", "custom"),
    REFUSES("authMode number 1 must be apiKey, basic, bearer or tls", "authMode", "oauth"),
    REFUSES("authMode basic excludes bearer", "authMode", "basic,bearer"),
    REFUSES("authMode apiKey needs apiKey", "authMode", "apiKey"),
    REFUSES("authMode basic needs username", "authMode", "basic"),
    REFUSES("authMode bearer needs token", "authMode", "bearer"),
    REFUSES("authMode tls needs cert", "authMode", "tls", "key", "sesame"),
    REFUSES("authMode tls needs key", "authMode", "tls", "cert", "PEM"),
    TAKES("method", "header"),
    TAKES("method", "query"),
    DEFAULT("method", "header"),
    TAKES("keyParamName", "X-Key", "authMode", "apiKey", "apiKey", "sesame"),
    TAKES("keyParamName", "a key", "authMode", "apiKey", "apiKey", "sesame", "method", "query"),
    REFUSES("keyParamName is not the name", "keyParamName", "a key", "authMode", "apiKey", "apiKey",
            "sesame"),
    REFUSES("keyParamName needs authMode apiKey", "keyParamName", "X-Key"),
    TAKES("apiKey", "sesame", "authMode", "apiKey"),
    REFUSES("apiKey needs authMode apiKey", "apiKey", "sesame"),
    REFUSES("apiKey must be one line", "apiKey", "a\r\nX: sesame", "authMode", "apiKey"),
    TAKES("username", "u", "authMode", "basic"),
    REFUSES("username needs authMode basic", "username", "u"),
    TAKES("password", "sesame", "authMode", "basic", "username", "u"),
    REFUSES("password needs authMode basic", "password", "sesame"),
    TAKES("token", "sesame", "authMode", "bearer"),
    REFUSES("token needs authMode bearer", "token", "sesame"),
    REFUSES("token must be one line", "token", "a\nsesame", "authMode", "bearer"),
    TAKES("ca", "PEM"),
    TAKES("cert", "PEM", "key", "sesame", "authMode", "tls"),
    REFUSES("cert needs authMode tls", "cert", "PEM", "key", "sesame"),
    TAKES("key", "sesame", "cert", "PEM", "authMode", "tls"),
    REFUSES("key needs authMode tls", "key", "sesame", "cert", "PEM"),
    TAKES("keyPassword", "sesame", "key", "sesame", "cert", "PEM", "authMode", "tls"),
    REFUSES("keyPassword needs authMode tls", "keyPassword", "sesame"),
    TAKES("brokerUnsafeSsl", "true"),
    TAKES("brokerUnsafeSsl", "F"),
    DEFAULT("brokerUnsafeSsl", "false"),

    TAKES("format", "json"),
    TAKES("format", "yaml"),
    TAKES("format", "prometheus"),
    REFUSES("format xml is not supported here", "format", "xml"),
    DEFAULT("format", "json"),
    TAKES("valueLocation", "jobs.0.waiting"),
    TAKES("valueLocation", "a\\.b.c\\*"),
    TAKES("valueLocation", "jobs.#"),
    TAKES("valueLocation", "jobs.#(queue==\"mail\").waiting"),
    TAKES("valueLocation", "#(=5)"),
    REFUSES("valueLocation a..b has an empty name: " NAMES, "valueLocation", "a..b"),
    REFUSES("has an empty name", "valueLocation", "a."),
    REFUSES("has a pipe or a wildcard", "valueLocation", "jobs|0"),
    REFUSES("has a pipe or a wildcard", "valueLocation", "jobs.*.waiting"),
    REFUSES("has # before its end, which gives a list", "valueLocation", "jobs.#.waiting"),
    REFUSES("has a modifier", "valueLocation", "jobs.@reverse"),
    REFUSES("has a query that is not #(name==value)", "valueLocation", "jobs.#(waiting>5)"),
    REFUSES("has a query that is not #(name==value)", "valueLocation", "jobs.#(a==1)#"),
    TAKES("valueLocation", "a.b\\.*", "format", "yaml"),
    REFUSES("valueLocation a..b has an empty name: allowed with format yaml", "valueLocation",
            "a..b", "format", "yaml"),
    TAKES("valueLocation", "jobs{queue=\"mail\"}", "format", "prometheus"),
    REFUSES(SAMPLES, "valueLocation", "jobs{queue!=\"mail\"}", "format", "prometheus"),
    REFUSES(SAMPLES, "valueLocation", "sum(jobs)", "format", "prometheus"),

    TAKES("targetValue", "0.001"),
    TAKES("targetValue", "1e3"),
    REFUSES("at least 0.001", "targetValue", "0"),
    REFUSES("at least 0.001", "targetValue", "0.0009"),
    TAKES("activationTargetValue", "-2.5"),
    DEFAULT("activationTargetValue", "0"),
    {0},
};

static const struct keys keys = {
    &scaler_metrics_api,
    PAIRS("url", "http://api:8080/jobs", "valueLocation", "waiting", "targetValue", "5"), cases,
    NULL};

int main(void)
{
    return keys_test(&keys);
}
