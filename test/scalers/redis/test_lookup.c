#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "redis/link/lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* A resolver that hangs as long as it is locked, as one whose DNS server does not answer. */
static pthread_mutex_t resolver = PTHREAD_MUTEX_INITIALIZER;

#define NAME_OF_IPV6 "six.backlog.test" /* it is known at once */

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (text_equal(host, NAME_OF_IPV6))
        return hints->ai_family == AF_INET ? EAI_NONAME : real("::1", service, hints, ret_found);
    pthread_mutex_lock(&resolver);
    pthread_mutex_unlock(&resolver);
    return EAI_AGAIN;
}

/* A machine that has no thread left; errno is not set then. */
static bool has_no_thread;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *),
                   void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    errno = 0;
    return has_no_thread ? EAGAIN : real(thread, attributes, function, argument);
}

static struct redis_lookup *lookups[REDIS_MAX_LOOKUPS + 1];
static size_t count;

static bool look_up(size_t number)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *host = text_format("node%zu.of.a.cluster", number);
    struct redis_lookup *lookup = redis_lookup_start(host, &error);
    if (lookup == NULL)
        assert_non_null(strstr(error_text(&error), "its name cannot be looked up"));
    else
        lookups[count++] = lookup;
    return lookup != NULL;
}

static size_t look_up_all(void)
{
    size_t number = 0;
    while (number < REDIS_MAX_LOOKUPS && look_up(number))
        number++;
    return number;
}

static void end_all(void)
{
    while (count > 0) {
        struct redis_lookup *lookup = lookups[--count];
        struct pollfd done = {.fd = redis_lookup_descriptor(lookup), .events = POLLIN};
        assert_int_equal(poll(&done, 1, 10000), 1);
        redis_lookup_release(lookup);
    }
}

static void there_is_a_limit_of_lookups_at_a_time(void **state)
{
    (void)state;
    pthread_mutex_lock(&resolver);
    assert_int_equal(look_up_all(), REDIS_MAX_LOOKUPS);
    assert_false(look_up(REDIS_MAX_LOOKUPS));
    assert_true(look_up(0)); /* it is being looked up: no further one */
    pthread_mutex_unlock(&resolver);
    end_all();
    assert_true(look_up(REDIS_MAX_LOOKUPS));
    end_all();
}

/* As in a cluster of IPv6 alone. */
static void a_name_without_ipv4_has_its_addresses_of_ipv6(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct redis_lookup *lookup = redis_lookup_start(NAME_OF_IPV6, &error);
    assert_non_null(lookup);
    struct pollfd done = {.fd = redis_lookup_descriptor(lookup), .events = POLLIN};
    assert_int_equal(poll(&done, 1, 10000), 1);
    assert_true(redis_lookup_is_done(lookup));
    assert_int_equal(redis_lookup_count(lookup), 1);
    assert_string_equal(redis_lookup_address(lookup, 0), "::1");
    redis_lookup_release(lookup);
}

static void a_machine_without_a_thread_left_is_named(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    has_no_thread = true;
    assert_null(redis_lookup_start("redis.shop", &error));
    has_no_thread = false;
    assert_string_equal(error_text(&error),
                        "its name cannot be looked up: Resource temporarily unavailable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_a_thread_left_is_named),
        cmocka_unit_test(there_is_a_limit_of_lookups_at_a_time),
        cmocka_unit_test(a_name_without_ipv4_has_its_addresses_of_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
