/*
 * Runs one scaler by hand, without engine or server:
 *
 *     measure SCALER [--repeat N] [--deadline MS] key=value ... [--query key=value ...] ...
 *
 * The keys before the first --query belong to every query. Prints one line per query and round.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "support/feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 20000 };

struct question {
    struct option_entry entries[64];
    size_t entries_count;
    struct option_values *values[OPTION_SCOPES];
};

static const struct option known_keys[] = {{.key = "scaler"}, {.key = "connectionName"}, {0}};

static void add_entry(struct question *question, char *word)
{
    char *equals = strchr(word, '=');
    if (equals == NULL || question->entries_count == ARRAY_LENGTH(question->entries)) {
        fprintf(stderr, "not key=value: %s\n", word);
        exit(2);
    }
    *equals = '\0';
    question->entries[question->entries_count++] = (struct option_entry){word, equals + 1};
}

static const struct scaler *find_scaler(const char *name)
{
    for (size_t i = 0; scaler_list[i] != NULL; i++)
        if (text_equal(scaler_list[i]->name, name))
            return scaler_list[i];
    fprintf(stderr, "no scaler %s\n", name);
    exit(2);
}

static void print_end(const struct question *question, const struct test_task *task)
{
    const struct reading *reading = &task->reading;
    const char *identity = question->values[OPTION_QUERY]->identity;
    if (!task->ended)
        printf("%s: abandoned\n", identity);
    else if (task->outcome != TASK_ANSWERED)
        printf("%s: %s\n", identity, error_text(&task->error));
    else
        printf("%s: waiting %g activation %g in_flight %g consumers %g partitions %g with_lag %g "
               "arrived %g consumed %g arrival_rate %g consumption_rate %g value %g\n",
               identity, reading->waiting, reading->waiting_for_activation, reading->in_flight,
               reading->consumers, reading->partitions, reading->partitions_with_lag,
               reading->arrived, reading->consumed, reading->arrival_rate,
               reading->consumption_rate, reading->value);
}

static bool parse(const struct scaler *scaler, struct question *question)
{
    _cleanup_(error_done) struct error error = {0};
    bool good = option_parse(scaler->options, scaler->sizes,
                             &(struct option_input){question->entries, question->entries_count,
                                                    OPTION_FROM_TRIGGER, known_keys},
                             question->values, &error);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        assert(question->values[scope] != NULL);
    struct options options = {question->values[OPTION_CONNECTION]->data,
                              question->values[OPTION_QUERY]->data,
                              question->values[OPTION_TARGET]->data};
    scaler_check(scaler, &options, &error);
    good = good && !error_is_set(&error);
    if (!good)
        fprintf(stderr, "%s\n", error_text(&error));
    struct metric_spec spec = {0};
    scaler->metric_spec(&options, &spec);
    printf("%s target %g\n", spec.metric_name, spec.target);
    free(spec.metric_name);
    return good;
}

static void round_once(const struct scaler *scaler, struct test_feed *feed, void **client,
                       struct question *questions, size_t count, int deadline_ms)
{
    _cleanup_(error_done) struct error error = {0};
    int64_t start = clock_now_ms();
    if (*client == NULL && !scaler->connect(questions[0].values[OPTION_CONNECTION]->data,
                                            start + deadline_ms, client, &error)) {
        printf("connect failed after %lld ms: %s\n", (long long)(clock_now_ms() - start),
               error_text(&error));
        return;
    }
    test_feed_again(feed);
    start = clock_now_ms();
    bool usable = test_feed_run(feed, *client, deadline_ms, &error);
    size_t answered = 0;
    for (size_t i = 0; i < count; i++) {
        print_end(&questions[i], test_feed_task(feed, i));
        answered += test_feed_task(feed, i)->outcome == TASK_ANSWERED;
    }
    printf("measured %zu in %lld ms, answered %zu%s%s\n", count,
           (long long)(clock_now_ms() - start), answered,
           usable ? "" : ", client lost: ", error_text(&error));
    if (!usable) {
        scaler->disconnect(*client);
        *client = NULL;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    scalers_prepare(scaler_list);
    const struct scaler *scaler = find_scaler(argv[1]);
    struct question *questions = memory_array(MAX, sizeof(*questions));
    struct question common = {0};
    size_t count = 0;
    int repeat = 1;
    int deadline_ms = 2000;
    for (int i = 2; i < argc; i++) {
        if (text_equal(argv[i], "--repeat"))
            repeat = atoi(argv[++i]);
        else if (text_equal(argv[i], "--deadline"))
            deadline_ms = atoi(argv[++i]);
        else if (text_equal(argv[i], "--query") && count < MAX)
            questions[count++] = common;
        else
            add_entry(count == 0 ? &common : &questions[count - 1], argv[i]);
    }
    if (count == 0)
        questions[count++] = common;

    bool good = true;
    for (size_t i = 0; i < count; i++)
        good = parse(scaler, &questions[i]) && good;
    void *client = NULL;
    struct test_feed *feed = test_feed_new(scaler);
    for (size_t i = 0; i < count; i++)
        test_feed_add(feed, questions[i].values[OPTION_QUERY]->data, (struct notifier){0});
    for (int i = 0; good && i < repeat; i++)
        round_once(scaler, feed, &client, questions, count, deadline_ms);
    test_feed_free(feed);
    if (client != NULL)
        scaler->disconnect(client);
    for (size_t i = 0; i < count; i++)
        for (int scope = 0; scope < OPTION_SCOPES; scope++)
            option_values_free(questions[i].values[scope]);
    free(questions);
    return good ? 0 : 1;
}
