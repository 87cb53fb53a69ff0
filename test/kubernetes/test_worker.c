/* What the Kubernetes API and workers themselves send about workers. */
#include "kubernetes/workers/worker.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define POD(name, rest)                                                                            \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u-" name                                       \
    "\",\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"annotations\":{"                          \
    "\"prometheus.io/scrape\":\"true\",\"prometheus.io/port\":\"8000\"}},\"spec\":{"               \
    "\"containers\":[{\"name\":\"worker\"},{\"name\":\"proxy\"}]}," rest "}"
#define PODS(items) "{\"metadata\":{},\"items\":[" items "]}"

static struct text text_of(const char *string)
{
    return (struct text){.bytes = (char *)string, .length = strlen(string)};
}

static struct worker_list pods(const char *reply)
{
    struct worker_list list = {0};
    _cleanup_(error_done) struct error error = {0};
    if (!worker_pods_parse(text_of(reply), &list, &error))
        fail_msg("%s", error_text(&error));
    return list;
}

static void a_running_pod_is_read(void **state)
{
    (void)state;
    _cleanup_(worker_list_done) struct worker_list list =
        pods(PODS(POD("a", "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.7\","
                           "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
                           "\"containerStatuses\":[{\"restartCount\":2,\"state\":{\"running\":{}},"
                           "\"lastState\":{\"terminated\":{\"reason\":\"OOMKilled\","
                           "\"exitCode\":137}}},{\"restartCount\":1}]}")));
    assert_int_equal(list.count, 1);
    const struct worker *worker = &list.items[0];
    assert_string_equal(worker->name, "a");
    assert_string_equal(worker->uid, "u-a");
    assert_null(worker->job);
    assert_string_equal(worker->container, "worker");
    assert_string_equal(worker->state, "Running");
    assert_string_equal(worker->reason, "restarted after OOMKilled");
    assert_string_equal(worker->metrics_url, "http://10.0.0.7:8000/metrics");
    assert_true(worker->is_ready);
    assert_int_equal(worker->restarts, 3);
    assert_true(worker->created_s == 1767323045);
    assert_true(isnan(worker->cpu_cores) && isnan(worker->memory_bytes) && isnan(worker->done));
}

static void a_pending_pod_has_its_reason(void **state)
{
    static const struct {
        const char *status, *state, *reason;
    } cases[] = {
        {"\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\","
         "\"status\":\"False\",\"reason\":\"Unschedulable\",\"message\":\"0/3 nodes: Insufficient "
         "cpu\"}]}",
         "Pending", "Unschedulable: 0/3 nodes: Insufficient cpu"},
        {"\"status\":{\"phase\":\"Pending\",\"containerStatuses\":[{\"state\":{\"waiting\":{"
         "\"reason\":\"ImagePullBackOff\"}}}]}",
         "Pending", "ImagePullBackOff"},
        {"\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"state\":{\"terminated\":{"
         "\"reason\":\"Error\",\"exitCode\":1}}}],\"containerStatuses\":[{\"state\":{\"waiting\":{"
         "\"reason\":\"PodInitializing\"}}}]}",
         "Pending", "Error"},
        {"\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"state\":{\"waiting\":{"
         "\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s\"}}}]}",
         "Running", "CrashLoopBackOff: back-off 10s"},
        {"\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"disk\"}", "Failed",
         "Evicted: disk"},
        {"\"status\":{\"phase\":\"Succeeded\",\"containerStatuses\":[{\"state\":{\"terminated\":{"
         "\"reason\":\"Completed\",\"exitCode\":0}}}]}",
         "Succeeded", NULL},
        {"\"status\":{}", "Unknown", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *pod = text_format(
            PODS("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"spec\":{\"containers\":"
                 "[{\"name\":\"c\"}]},%s}"),
            cases[i].status);
        _cleanup_(worker_list_done) struct worker_list list = pods(pod);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.items[0].state, cases[i].state);
        if (cases[i].reason == NULL)
            assert_null(list.items[0].reason);
        else
            assert_string_equal(list.items[0].reason, cases[i].reason);
        assert_null(list.items[0].metrics_url);
    }
}

static void a_pod_that_is_deleted_is_terminating(void **state)
{
    (void)state;
    _cleanup_(worker_list_done) struct worker_list list = pods(PODS(
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"deletionTimestamp\":\"2026-01-02T03:04:"
        "05Z\",\"ownerReferences\":[{\"kind\":\"Job\",\"name\":\"orders-x7\"}],\"annotations\":"
        "{\"kubectl.kubernetes.io/default-container\":\"second\"}},\"spec\":{\"containers\":[{"
        "\"name\":\"first\"}]},\"status\":{\"phase\":\"Running\"}}"));
    assert_string_equal(list.items[0].state, "Terminating");
    assert_string_equal(list.items[0].job, "orders-x7");
    assert_string_equal(list.items[0].container, "second");
}

/* Its address is the node's, where other programs listen. */
static void metrics_are_read_of_a_pods_own_address_only(void **state)
{
    static const struct {
        const char *spec, *address, *port, *path, *url;
    } cases[] = {
        {"\"hostNetwork\":false", "10.0.0.7", "8000", "/m", "http://10.0.0.7:8000/m"},
        {"\"hostNetwork\":false", "fd00::7", "8000", "m", "http://[fd00::7]:8000/metrics"},
        {"\"hostNetwork\":true", "10.0.0.7", "8000", "/m", NULL},
        {"\"hostNetwork\":false", "10.0.0.7", "80x", "/m", NULL},
        {"\"hostNetwork\":false", "10.0.0.7", "65536", "/m", NULL},
        {"\"hostNetwork\":false", "user@host", "80", "/m", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(memory_free) char *pod = text_format(
            PODS("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"annotations\":{"
                 "\"prometheus.io/scrape\":\"true\",\"prometheus.io/port\":\"%s\","
                 "\"prometheus.io/path\":\"%s\"}},\"spec\":{%s,\"containers\":[{\"name\":\"c\"}]},"
                 "\"status\":{\"phase\":\"Running\",\"podIP\":\"%s\"}}"),
            cases[i].port, cases[i].path, cases[i].spec, cases[i].address);
        _cleanup_(worker_list_done) struct worker_list list = pods(pod);
        if (cases[i].url == NULL)
            assert_null(list.items[0].metrics_url);
        else
            assert_string_equal(list.items[0].metrics_url, cases[i].url);
    }
}

static void what_is_no_pod_is_left_out(void **state)
{
    (void)state;
    _cleanup_(worker_list_done) struct worker_list list =
        pods(PODS("1,{},{\"metadata\":{\"name\":\"../secrets\",\"uid\":\"u\"},\"spec\":{"
                  "\"containers\":[{\"name\":\"c\"}]}}"));
    assert_int_equal(list.count, 0);
    assert_false(list.has_more);
}

static void a_list_is_bounded(void **state)
{
    (void)state;
    struct text reply = {0};
    text_add(&reply, "{\"items\":[");
    for (int i = 0; i <= WORKERS_MAX; i++)
        text_addf(&reply,
                  "%s{\"metadata\":{\"name\":\"p%d\",\"uid\":\"u\"},\"spec\":{\"containers\":[{"
                  "\"name\":\"c\"}]}}",
                  i == 0 ? "" : ",", i);
    text_add(&reply, "]}");
    _cleanup_(worker_list_done) struct worker_list list = pods(reply.bytes);
    text_done(&reply);
    assert_int_equal(list.count, WORKERS_MAX);
    assert_true(list.has_more);
}

static void usage_is_the_sum_of_a_pods_containers(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(worker_list_done) struct worker_list list =
        pods(PODS(POD("a", "\"status\":{}") "," POD("b", "\"status\":{}")));
    assert_true(worker_usage_parse(
        text_of("{\"items\":[{\"metadata\":{\"name\":\"b\"},\"containers\":[{\"usage\":{\"cpu\":"
                "\"250m\",\"memory\":\"12Mi\"}},{\"usage\":{\"cpu\":\"1500000n\",\"memory\":"
                "\"1024Ki\"}}]},{\"metadata\":{\"name\":\"other\"},\"containers\":[]}]}"),
        &list, &error));
    assert_true(isnan(list.items[0].cpu_cores));
    assert_true(fabs(list.items[1].cpu_cores - 0.2515) < 1e-9);
    assert_true(list.items[1].memory_bytes == 13 * 1048576.0);
}

static void quantities_have_suffixes(void **state)
{
    (void)state;
    assert_true(worker_quantity("2") == 2);
    assert_true(worker_quantity("0.5") == 0.5);
    assert_true(worker_quantity("1e3") == 1000);
    assert_true(worker_quantity("3k") == 3000);
    assert_true(worker_quantity("2Gi") == 2147483648.0);
    assert_true(worker_quantity("1E") == 1e18);
    assert_true(isnan(worker_quantity("")));
    assert_true(isnan(worker_quantity(NULL)));
    assert_true(isnan(worker_quantity("-1")));
    assert_true(isnan(worker_quantity("5x")));
}

static void a_worker_says_what_it_has_done(void **state)
{
    (void)state;
    assert_true(worker_done_parse(text_of("# HELP worker_jobs_total Jobs\n"
                                          "# TYPE worker_jobs_total counter\n"
                                          "worker_jobs_total 37.0\n"
                                          "worker_jobs_created 1.7e+09\n"
                                          "worker_jobs_total_time 99\n")) == 37);
    assert_true(worker_done_parse(text_of("worker_jobs_total{kind=\"a } b\"} 3\n"
                                          "worker_jobs_total{kind=\"c\"} 4 1700000000000")) == 7);
    assert_true(
        worker_done_parse(text_of("worker_jobs_total{kind=\"a\\\"}\"} 17 # {id=\"x\"} 1 1.7\n"
                                  "worker_jobs_total 3 # {id=\"x\"} 1\n")) == 20);
    assert_true(isnan(worker_done_parse(text_of("worker_jobs_total NaN\nother 1\n"))));
    assert_true(isnan(worker_done_parse(text_of("worker_jobs_total{kind=\"a\" 3\n"))));
    assert_true(isnan(worker_done_parse((struct text){0})));
}

static void a_target_is_found_by_its_resource(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *path = NULL;
    _cleanup_(memory_free) char *name = NULL;
    assert_true(worker_target_parse(
        text_of("{\"spec\":{\"scaleTargetRef\":{\"name\":\"renderer\"}},\"status\":{"
                "\"scaleTargetGVKR\":{\"group\":\"apps\",\"version\":\"v1\",\"kind\":"
                "\"Deployment\",\"resource\":\"deployments\"}}}"),
        "shop", &path, &name, &error));
    assert_string_equal(path, "/apis/apps/v1/namespaces/shop/deployments/renderer/scale");
    assert_string_equal(name, "Deployment renderer");
}

static void a_target_that_would_be_another_path_is_refused(void **state)
{
    static const char elsewhere[] =
        "{\"spec\":{\"scaleTargetRef\":{\"name\":\"a/../../secrets\"}},\"status\":{"
        "\"scaleTargetGVKR\":{\"group\":\"apps\",\"version\":\"v1\",\"kind\":\"D\",\"resource\":"
        "\"deployments\"}}}";
    static const char *const replies[] = {
        elsewhere, "{\"spec\":{\"scaleTargetRef\":{\"name\":\"a\"}}}", "{}", "no JSON", "",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        _cleanup_(error_done) struct error error = {0};
        char *path = NULL;
        char *name = NULL;
        assert_false(worker_target_parse(text_of(replies[i]), "shop", &path, &name, &error));
        assert_true(error_is_set(&error));
        assert_null(path);
    }
}

/* It would select every pod of the namespace. */
static void an_empty_selector_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) char *selector = NULL;
    assert_false(
        worker_selector_parse(text_of("{\"status\":{\"selector\":\"\"}}"), &selector, &error));
    assert_false(worker_selector_parse(text_of("{\"status\":{}}"), &selector, &error));
    assert_true(worker_selector_parse(text_of("{\"status\":{\"selector\":\"app=a,b in (c)\"}}"),
                                      &selector, &error));
    assert_string_equal(selector, "app=a,b in (c)");
}

/* The end of a reply is kept, and the worker may have written a part of a character so far. */
static void a_log_has_whole_characters(void **state)
{
    (void)state;
    enum { BYTES = WORKER_LOG_MAX_BYTES + 1 };
    _cleanup_(worker_log_done) struct worker_log_end log = {0};
    _cleanup_(text_done) struct text reply = {0};
    text_addf(&reply, "\xe2\x82\xac%0*d", BYTES - 3, 0);
    text_add(&reply, "\xe2\x82\xac\xe2");
    assert_true(worker_log_take(&log, reply));
    assert_true(text_is_utf8(log.text.bytes, log.text.length));
    assert_true(text_ends_with(log.text.bytes, "0\xe2\x82\xac"));
    text_clear(&reply);
    text_addf(&reply, "\xe2\x82\xac%0*d", BYTES - 3, 0);
    assert_true(worker_log_take(&log, reply));
    assert_int_equal(log.text.length, BYTES - 3);
    assert_null(strchr(log.text.bytes, '?'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_pod_is_read),
        cmocka_unit_test(a_pending_pod_has_its_reason),
        cmocka_unit_test(a_pod_that_is_deleted_is_terminating),
        cmocka_unit_test(metrics_are_read_of_a_pods_own_address_only),
        cmocka_unit_test(what_is_no_pod_is_left_out),
        cmocka_unit_test(a_list_is_bounded),
        cmocka_unit_test(usage_is_the_sum_of_a_pods_containers),
        cmocka_unit_test(quantities_have_suffixes),
        cmocka_unit_test(a_worker_says_what_it_has_done),
        cmocka_unit_test(a_target_is_found_by_its_resource),
        cmocka_unit_test(a_target_that_would_be_another_path_is_refused),
        cmocka_unit_test(an_empty_selector_is_refused),
        cmocka_unit_test(a_log_has_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
