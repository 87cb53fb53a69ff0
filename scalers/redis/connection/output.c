#include "redis/connection/output.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MIN_CAPACITY = 4096, MAX_NUMBER = 32 };

void redis_output_done(struct redis_output *output)
{
    free(output->bytes);
    *output = (struct redis_output){0};
}

static void reserve(struct redis_output *output, size_t length)
{
    if (output->capacity - output->end >= length)
        return;
    size_t used = output->end - output->start;
    size_t capacity = output->capacity < MIN_CAPACITY ? MIN_CAPACITY : 2 * output->capacity;
    while (capacity - used < length)
        capacity *= 2;
    char *bytes = memory_new(capacity);
    if (used > 0)
        memcpy(bytes, output->bytes + output->start, used);
    redis_output_done(output);
    *output = (struct redis_output){.bytes = bytes, .end = used, .capacity = capacity};
}

static void add_bytes(struct redis_output *output, const char *bytes, size_t length)
{
    reserve(output, length);
    memcpy(output->bytes + output->end, bytes, length);
    output->end += length;
}

/* "*2\r\n" or "$4\r\n" */
static void add_number(struct redis_output *output, char kind, size_t number)
{
    char text[MAX_NUMBER];
    int length = snprintf(text, sizeof(text), "%c%zu\r\n", kind, number);
    add_bytes(output, text, (size_t)length);
}

void redis_output_add(struct redis_output *output, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    add_number(output, '*', count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        add_number(output, '$', length);
        add_bytes(output, words[i], length);
        add_bytes(output, "\r\n", 2);
    }
}

static enum tls_result write_plain(int socket, const char *bytes, size_t length, size_t *ret_length,
                                   const char **ret_reason)
{
    ssize_t written = send(socket, bytes, length, MSG_NOSIGNAL);
    if (written >= 0) {
        *ret_length = (size_t)written;
        return TLS_DONE;
    }
    *ret_reason = strerror(errno);
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? TLS_WAITING : TLS_BROKEN;
}

static enum tls_result write_tls(struct tls_socket *tls, const char *bytes, size_t length,
                                 size_t *ret_length, const char **ret_reason)
{
    enum tls_result result = tls_socket_write(tls, bytes, length, ret_length);
    *ret_reason = tls_socket_reason(tls);
    return result;
}

bool redis_output_write(struct redis_output *output, int socket, struct tls_socket *tls,
                        const char **ret_reason)
{
    while (output->start < output->end) {
        const char *next = output->bytes + output->start;
        size_t left = output->end - output->start;
        size_t written = 0;
        enum tls_result result = tls == NULL ? write_plain(socket, next, left, &written, ret_reason)
                                             : write_tls(tls, next, left, &written, ret_reason);
        if (result != TLS_DONE)
            return result == TLS_WAITING;
        output->start += written;
    }
    output->start = output->end = 0;
    return true;
}

bool redis_output_is_empty(const struct redis_output *output)
{
    return output->start == output->end;
}
