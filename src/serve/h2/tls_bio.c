#include "serve/h2/tls_bio.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

/* RFC 8446, 5.1 and 4; RFC 5246 has the same. */
enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, RECORD_HEADER_BYTES = 5, MESSAGE_HEADER_BYTES = 4 };

/* The bytes of a header that have arrived. */
struct header {
    uint8_t bytes[RECORD_HEADER_BYTES];
    size_t count;
};

struct handshake {
    const SSL *tls;
    int fd;
    bool is_over; /* or encrypted from now on */
    struct header record, message;
    size_t record_left, message_left;
};

/* True where it is complete, and again for the next one. */
static bool add(struct header *header, uint8_t byte, size_t size)
{
    header->bytes[header->count++] = byte;
    if (header->count < size)
        return false;
    header->count = 0;
    return true;
}

static void begin_record(struct handshake *handshake)
{
    const uint8_t *bytes = handshake->record.bytes;
    handshake->record_left = (size_t)bytes[3] << 8 | bytes[4];
    /* In TLS 1.3 it means nothing, and comes before a second ClientHello. */
    if (bytes[0] == CHANGE_CIPHER_SPEC && SSL_version(handshake->tls) == TLS1_2_VERSION)
        handshake->is_over = true;
}

static bool check_message(struct handshake *handshake)
{
    const uint8_t *bytes = handshake->message.bytes;
    handshake->message_left = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    return handshake->message_left <= TLS_MAX_MESSAGE_BYTES;
}

/* False: the length of a message in it is too large. */
static bool check(struct handshake *handshake, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count && !handshake->is_over; i++) {
        if (handshake->record_left == 0) {
            if (add(&handshake->record, bytes[i], RECORD_HEADER_BYTES))
                begin_record(handshake);
            continue;
        }
        handshake->record_left--;
        if (handshake->record.bytes[0] != HANDSHAKE)
            continue;
        if (handshake->message_left > 0)
            handshake->message_left--;
        else if (add(&handshake->message, bytes[i], MESSAGE_HEADER_BYTES) &&
                 !check_message(handshake))
            return false;
    }
    return true;
}

static int receive(BIO *bio, char *buffer, int size)
{
    struct handshake *handshake = BIO_get_data(bio);
    ssize_t received = recv(handshake->fd, buffer, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    handshake->is_over = handshake->is_over || SSL_is_init_finished(handshake->tls);
    if (received > 0 && !check(handshake, (const uint8_t *)buffer, (size_t)received)) {
        ERR_raise(ERR_LIB_SSL, SSL_R_EXCESSIVE_MESSAGE_SIZE);
        return -1;
    }
    return (int)received;
}

static int transmit(BIO *bio, const char *data, int length)
{
    const struct handshake *handshake = BIO_get_data(bio);
    ssize_t sent = send(handshake->fd, data, (size_t)length, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int destroy(BIO *bio)
{
    free(BIO_get_data(bio));
    return 1;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "handshake");
    if (method == NULL)
        abort(); /* for want of memory, as memory_new() */
    BIO_meth_set_read(method, receive);
    BIO_meth_set_write(method, transmit);
    BIO_meth_set_ctrl(method, control);
    BIO_meth_set_destroy(method, destroy);
}

BIO *tls_bio_new(const SSL *tls, int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        abort();
    struct handshake *handshake = memory_new(sizeof(*handshake));
    handshake->tls = tls;
    handshake->fd = fd;
    BIO_set_data(bio, handshake);
    BIO_set_init(bio, 1);
    return bio;
}
