#include "keys/keys.h"

extern const struct scaler scaler_nats_jetstream;

#define JWT "-----BEGIN NATS USER JWT-----\neyJ0eXAi.e-_y.s-g\n------END NATS USER JWT------\n"
#define NKEY_SEED "-----BEGIN USER NKEY SEED-----\r\nSUsesame\r\n------END USER NKEY SEED------\n"
#define SEED "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
#define SEED_WITH_A_TYPO "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3WY"
#define OTHER_KIND_OF_SEED "SAACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
#define MONITORED "servers", "", "natsServerMonitoringEndpoint", "nats:8222", "account", "$G"
#define NO_ADDRESS "is not nats://host:port, tls://host:port or host:port"
#define NO_NAME "is not a name in NATS"
#define HUNDRED_BYTES                                                                              \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"
#define LONGEST                                                                                    \
    HUNDRED_BYTES HUNDRED_BYTES "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const char credentials[] = JWT "\n****\n" NKEY_SEED;
static const char jwt_alone[] = JWT;
static const char seed_alone[] = NKEY_SEED;

static const struct key_case cases[] = {
    TAKES("servers", "nats"),
    REFUSES("servers is missing: set it to nats://host:4222", "servers", ""),
    TAKES("servers", "nats:4222, tls://u:sesame@b:65535 ,nats://[::1]:4222"),
    TAKES("servers", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"),
    REFUSES("servers has 17 addresses", "servers", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"),
    REFUSES(NO_ADDRESS, "servers", "http://u:sesame@nats:8222"),
    REFUSES(NO_ADDRESS, "servers", "nats:0"),
    REFUSES("in brackets: [fd00::1]:4222", "servers", "nats://fd00::1:4222"),
    REFUSES(NO_ADDRESS, "servers", "nats:65536"),
    REFUSES("servers: number 2 is not", "servers", "nats:4222, nats://user:sesame"),
    TAKES("servers", "nats://u%3a:%25sesame%4F@nats:4222"),
    REFUSES("servers: number 2 has a % in user", "servers", "nats,u:100%sesame@nats"),
    REFUSES("write % as %25", "servers", "nats://sesame%4@nats:4222"),
    REFUSES("write % as %25", "servers", "nats://u%4:sesame@nats:4222"),
    REFUSES("write % as %25", "servers", "nats://u:sesame%@nats:4222"),
    TAKES("user", "u", "password", "sesame"),
    TAKES("user", "u", "password", "sesame", "servers", "nats://u:sesame@nats:4222"),
    REFUSES("password is missing", "user", "u"),
    TAKES("password", "sesame", "user", "u"),
    REFUSES("user is missing", "password", "sesame"),
    TAKES("token", "sesame"),
    REFUSES("token excludes user", "token", "sesame", "user", "u", "password", "sesame"),
    REFUSES("token needs servers", "token", "sesame", MONITORED),
    TAKES("credentials", credentials),
    REFUSES("it has no NATS USER JWT", "credentials", "SUsesame"),
    REFUSES("it has no NATS USER JWT", "credentials", seed_alone),
    REFUSES("it has no USER NKEY SEED", "credentials", jwt_alone),
    REFUSES("credentials excludes token", "credentials", credentials, "token", "sesame"),
    REFUSES("credentials excludes user", "credentials", credentials, "user", "u", "password",
            "sesame"),
    REFUSES("credentials needs servers", "credentials", credentials, MONITORED),
    TAKES("nkeySeed", SEED),
    REFUSES("nkeySeed is not the seed of a NATS user", "nkeySeed", SEED "A"),
    REFUSES("nkeySeed is not the seed of a NATS user", "nkeySeed", OTHER_KIND_OF_SEED),
    REFUSES("nkeySeed is not the seed of a NATS user", "nkeySeed", SEED_WITH_A_TYPO),
    REFUSES("nkeySeed excludes token", "nkeySeed", SEED, "token", "sesame"),
    REFUSES("credentials excludes nkeySeed", "nkeySeed", SEED, "credentials", credentials),
    REFUSES("nkeySeed needs servers", "nkeySeed", SEED, MONITORED),
    TAKES("tls", "disable"),
    TAKES("tls", "enable"),
    REFUSES("tls needs servers", "tls", "enable", MONITORED),
    DEFAULT("tls", "disable"),
    TAKES("ca", "PEM"),
    TAKES("cert", "PEM", "key", "sesame"),
    REFUSES("cert and key go together: key is missing", "cert", "PEM"),
    TAKES("key", "sesame", "cert", "PEM"),
    REFUSES("cert and key go together: cert is missing", "key", "sesame"),
    TAKES("keyPassword", "sesame", "key", "sesame", "cert", "PEM"),
    TAKES("brokerUnsafeSsl", "true"),
    TAKES("brokerUnsafeSsl", "false"),
    DEFAULT("brokerUnsafeSsl", "false"),
    TAKES("natsServerMonitoringEndpoint", "u:sesame@nats.nats:8222", MONITORED),
    TAKES("natsServerMonitoringEndpoint", "[::1]:8222", MONITORED, "user", "u", "password",
          "sesame"),
    REFUSES("must be host:port", "natsServerMonitoringEndpoint", "http://sesame:8222", MONITORED),
    REFUSES("or [fd00::1]:8222", "natsServerMonitoringEndpoint", "fd00::1:8222", MONITORED),
    REFUSES("must be host:port", "natsServerMonitoringEndpoint", "sesame:65536", MONITORED),
    REFUSES("must be host:port", "natsServerMonitoringEndpoint", "sesame:8222/?a=b", MONITORED),
    REFUSES("servers excludes natsServerMonitoringEndpoint", "natsServerMonitoringEndpoint",
            "nats:8222", "account", "$G"),
    REFUSES("natsServerMonitoringEndpoint needs account", "natsServerMonitoringEndpoint",
            "nats:8222", "servers", ""),
    REFUSES("password is missing", "natsServerMonitoringEndpoint", "nats:8222", MONITORED, "user",
            "u"),
    TAKES("account", "SHOP", MONITORED),
    REFUSES("account needs natsServerMonitoringEndpoint", "account", "SHOP"),
    TAKES("accountID", "AAXX", MONITORED),
    TAKES("accountID", "AAXX", "servers", "", "natsServerMonitoringEndpoint", "nats:8222"),
    REFUSES("accountID needs natsServerMonitoringEndpoint", "accountID", "AAXX"),
    TAKES("useHttps", "true", MONITORED),
    TAKES("useHttps", "false"),
    REFUSES("useHttps needs natsServerMonitoringEndpoint", "useHttps", "true"),
    DEFAULT("useHttps", "false"),

    TAKES("stream", "orders-1_$"),
    TAKES("stream", LONGEST),
    REFUSES("stream has 256 bytes", "stream", LONGEST "x"),
    REFUSES(NO_NAME, "stream", "a.b"),
    REFUSES(NO_NAME, "stream", "*"),
    REFUSES(NO_NAME, "stream", ">"),
    REFUSES(NO_NAME, "stream", "a b"),
    REFUSES(NO_NAME, "stream", "a\001b"),
    TAKES("consumer", "workers"),
    REFUSES(NO_NAME, "consumer", "a.b"),
    TAKES("domain", "hub"),
    REFUSES("domain needs servers", "domain", "hub", MONITORED),
    REFUSES(NO_NAME, "domain", "a.b"),
    TAKES("apiPrefix", "JS.orders.API"),
    REFUSES("apiPrefix needs servers", "apiPrefix", "JS.orders.API", MONITORED),
    REFUSES("domain excludes apiPrefix", "apiPrefix", "JS.API", "domain", "hub"),
    REFUSES("apiPrefix is not a subject", "apiPrefix", ".JS"),
    REFUSES("apiPrefix is not a subject", "apiPrefix", "JS."),
    REFUSES("apiPrefix is not a subject", "apiPrefix", "JS..API"),
    REFUSES("apiPrefix is not a subject", "apiPrefix", "JS.*.API"),
    REFUSES("apiPrefix is not a subject", "apiPrefix", "JS.>"),
    REFUSES("apiPrefix is not a subject", "apiPrefix", "JS API"),

    TAKES("lagThreshold", "1"),
    REFUSES("at least 1", "lagThreshold", "0"),
    DEFAULT("lagThreshold", "10"),
    TAKES("activationLagThreshold", "0"),
    REFUSES("at least 0", "activationLagThreshold", "-1"),
    DEFAULT("activationLagThreshold", "0"),
    {0},
};

static const struct keys keys = {
    &scaler_nats_jetstream,
    PAIRS("servers", "nats:4222", "stream", "orders", "consumer", "workers"), cases, NULL};

int main(void)
{
    return keys_test(&keys);
}
