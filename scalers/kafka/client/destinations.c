#include "kafka/client/destinations.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/address.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { DEFAULT_PORT = 9092, MAX_BROKER_LENGTH = 200 };

static struct {
    pthread_mutex_t lock;
    char *bootstrap_servers;
    bool may_be_local; /* one of bootstrap_servers was at a local address */
    bool has_warned;
    char *refused; /* the last broker that was refused; NULL: none */
} cluster = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * The address as HOST:PORT without brackets, as the library reads it. `has_port`: a port is known
 * to be there, as in each name of a broker. Of bootstrapServers it may be missing:
 *
 *     SSL://kafka:9093/    kafka:9093
 *     kafka                kafka:9092
 *     :9093                localhost:9093
 *     [::1]:9093           ::1:9093
 *     ::1                  ::1:9092, as an IPv6 address without brackets has no port
 */
static char *plain_address(const char *text, bool has_port)
{
    const char *scheme = strstr(text, "://");
    const char *from = scheme == NULL ? text : scheme + strlen("://");
    size_t end = strcspn(from, "/");
    const char *colon = memrchr(from, ':', end);
    if (colon != NULL && !has_port && memchr(from, ':', end) != colon && colon[-1] != ']')
        colon = NULL;
    long port = colon == NULL ? DEFAULT_PORT : strtol(colon + 1, NULL, 10);
    size_t host = colon == NULL ? end : (size_t)(colon - from);
    if (host > 1 && from[host - 1] == '.') /* left out with TLS: settings.c */
        host--;
    struct text plain = {0};
    for (size_t i = 0; i < host; i++)
        if (from[i] != '[' && from[i] != ']')
            text_add_bytes(&plain, &from[i], 1);
    text_addf(&plain, "%s:%ld", host == 0 ? "localhost" : "", port);
    return text_take(&plain);
}

/* With the lock. The library ignores empty names between commas. */
static bool is_bootstrap(const char *broker)
{
    _cleanup_(memory_free) char *sought = plain_address(broker, true);
    for (const char *rest = cluster.bootstrap_servers; rest != NULL;) {
        _cleanup_(memory_free) char *server = text_take_piece(&rest, ",");
        _cleanup_(memory_free) char *plain = plain_address(server, false);
        if (server[0] != '\0' && text_equal(plain, sought))
            return true;
    }
    return false;
}

static bool check_destination(const struct sockaddr *address, const char *broker)
{
    if (!address_is_local(address))
        return true;
    pthread_mutex_lock(&cluster.lock);
    cluster.may_be_local = cluster.may_be_local || is_bootstrap(broker);
    bool may = cluster.may_be_local;
    bool must_warn = !may && !cluster.has_warned;
    cluster.has_warned = cluster.has_warned || must_warn;
    if (!may) {
        free(cluster.refused);
        cluster.refused = text_copy_bytes(broker, text_cut(broker, MAX_BROKER_LENGTH));
    }
    pthread_mutex_unlock(&cluster.lock);
    if (must_warn)
        log_warning("Kafka: the cluster names the broker %.*s, which is at a loopback or "
                    "link-local address as none of bootstrapServers is: not connected to",
                    (int)text_cut(broker, MAX_BROKER_LENGTH), broker);
    return may;
}

char *kafka_destinations_refused(void)
{
    pthread_mutex_lock(&cluster.lock);
    char *broker = cluster.refused == NULL ? NULL : text_copy(cluster.refused);
    pthread_mutex_unlock(&cluster.lock);
    return broker;
}

void kafka_destinations_forget_refused(void)
{
    pthread_mutex_lock(&cluster.lock);
    free(TAKE(cluster.refused));
    pthread_mutex_unlock(&cluster.lock);
}

int kafka_destinations_connect(int socket, const struct sockaddr *address, int length,
                               const char *broker, void *opaque)
{
    (void)opaque;
    if (!check_destination(address, broker))
        return EACCES;
    bool has_begun = connect(socket, address, (socklen_t)length) == 0 || errno == EINPROGRESS;
    return has_begun ? 0 : errno;
}

void kafka_destinations_limit(rd_kafka_conf_t *conf, const char *bootstrap_servers)
{
    pthread_mutex_lock(&cluster.lock);
    free(cluster.bootstrap_servers);
    cluster.bootstrap_servers = text_copy(bootstrap_servers);
    cluster.may_be_local = false;
    free(TAKE(cluster.refused));
    pthread_mutex_unlock(&cluster.lock);
    rd_kafka_conf_set_connect_cb(conf, kafka_destinations_connect);
}
