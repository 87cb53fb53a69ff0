#include "base/memory.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/help.h"
#include "cli/page.h"
#include "daemon/serve_flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <wordexp.h>
#include <cmocka.h>

enum { MAX_WORDS = 16 };

/* What came of one command line. */
struct parsed {
    struct flags flags;
    struct text mistakes;
    bool is_good;
};

static void parsed_done(struct parsed *parsed)
{
    flags_done(&parsed->flags);
    text_done(&parsed->mistakes);
}

static struct parsed parse(const struct command *command, const char *const *words)
{
    struct parsed parsed = {0};
    char *argv[MAX_WORDS + 2] = {(char *)command->name};
    int argc = 1;
    while (words[argc - 1] != NULL) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    parsed.is_good = flags_parse(command, argc, argv, &parsed.flags, &parsed.mistakes);
    return parsed;
}

#define PARSE(command, ...) parse(&(command), (const char *[]){__VA_ARGS__, NULL})
#define SERVE(...) PARSE(command_serve, "--listen=127.0.0.1:0", __VA_ARGS__)

static const struct serve_flags *flags_of(const struct parsed *parsed)
{
    return parsed->flags.values->data;
}

static void assert_mistakes(const struct parsed *parsed, const char *mistakes)
{
    assert_false(parsed->is_good);
    assert_string_equal(parsed->mistakes.bytes, mistakes);
}

static void all_mistakes_are_reported_together_and_name_their_flag(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        SERVE("--interval", "5", "--hodl", "5s", "--max-streams=many", "--log-level", "loud",
              "--grace", "1s", "--grace", "2s", "--tls-cert=");
    assert_mistakes(&parsed, "unknown flag --hodl: did you mean --hold?\n"
                             "--grace is given twice\n"
                             "--interval \"5\" must have a unit, as in 30s, 5m or 500ms\n"
                             "--tls-cert is empty: give it a value, or leave it out\n"
                             "--max-streams \"many\" must be a whole number such as 10 from 1 to "
                             "10000000\n"
                             "--log-level \"loud\" must be debug, info, warn, warning or error\n");
}

static void flags_that_contradict_each_other_are_reported_together(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        PARSE(command_serve, "--listen=9090", "--http=localhost", "--tls-cert=x",
              "--tls-client-names=a", "--client-limits=resets=no,pong=1");
    assert_mistakes(
        &parsed, "--listen \"9090\" must be HOST:PORT or :PORT, such as [::]:9090, the port at "
                 "most 65535\n"
                 "--http \"localhost\" must be HOST:PORT or :PORT, such as [::]:9090, the port at "
                 "most 65535\n"
                 "--tls-cert needs --tls-key\n"
                 "--tls-client-names needs --tls-client-ca: without it no client proves a name\n"
                 "--client-limits: resets \"no\" must be a whole number such as 10 from 1 to "
                 "1000000000; --client-limits: unknown limit \"pong=1\": it must be NAME=NUMBER, "
                 "such as resets=100000; --help-limits lists them\n");
}

static void a_flag_is_not_abbreviated(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed one = SERVE("--inter", "5s");
    _cleanup_(parsed_done) struct parsed other = SERVE("--max-co=5");
    assert_mistakes(&one, "unknown flag --inter: did you mean --interval?\n");
    assert_mistakes(&other, "unknown flag --max-co: did you mean --max-connections?\n");
}

static void a_value_stands_behind_an_equals_sign_or_a_space(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed parsed =
        SERVE("--hold=5s", "--interval", "6s", "--http=:9091", "--log-level", "warn",
              "--all-in-agents", "--deny-inline-connections=false");
    assert_true(parsed.is_good);
    assert_int_equal(flags_of(&parsed)->hold_ms, 5000);
    assert_int_equal(flags_of(&parsed)->interval_ms, 6000);
    assert_string_equal(flags_of(&parsed)->http, ":9091");
    assert_int_equal(serve_log_level(flags_of(&parsed)), LOG_LEVEL_WARNING);
    assert_true(flags_of(&parsed)->all_in_agents);
    assert_false(flags_of(&parsed)->deny_inline);
}

static void a_flag_is_not_taken_for_the_value_of_another(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed inside = SERVE("--config", "--hold", "5s");
    _cleanup_(parsed_done) struct parsed last = SERVE("--config");
    _cleanup_(parsed_done) struct parsed negative =
        PARSE(command_rehearse, "-f", "so.yaml", "--replicas", "-1");
    assert_mistakes(&inside, "--config needs a value\n");
    assert_int_equal(flags_of(&inside)->hold_ms, 5000);
    assert_mistakes(&last, "--config needs a value\n");
    assert_true(negative.is_good);
}

static void operands_stand_anywhere(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed first =
        PARSE(command_simulate, "trace.csv", "--rate", "1", "--set", "threshold=1");
    _cleanup_(parsed_done) struct parsed last =
        PARSE(command_simulate, "--rate", "1", "--set", "threshold=1", "--", "--trace.csv");
    _cleanup_(parsed_done) struct parsed none = PARSE(command_simulate, "--set", "threshold=1");
    _cleanup_(parsed_done) struct parsed many = SERVE("now", "--hold=1s");
    assert_true(first.is_good);
    assert_string_equal(first.flags.operands[0], "trace.csv");
    assert_true(last.is_good);
    assert_string_equal(last.flags.operands[0], "--trace.csv");
    assert_mistakes(&none, "--rate is missing: work that one replica does per second\n"
                           "TRACE.csv|- is missing\n");
    assert_mistakes(&many, "unexpected argument \"now\"\n");
}

static void a_letter_is_a_flag(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed file = PARSE(command_rehearse, "-fso.yaml");
    _cleanup_(parsed_done) struct parsed help = SERVE("--hold", "x", "-h");
    _cleanup_(parsed_done) struct parsed version = SERVE("-V");
    _cleanup_(parsed_done) struct parsed limits = SERVE("--help-limits");
    _cleanup_(parsed_done) struct parsed unknown = SERVE("-x");
    assert_true(file.is_good);
    assert_int_equal(help.flags.request, FLAGS_HELP);
    assert_true(help.is_good);
    assert_int_equal(version.flags.request, FLAGS_VERSION);
    assert_int_equal(limits.flags.request, FLAGS_TOPIC);
    assert_mistakes(&unknown, "unknown flag -x\n");
}

/* The age of what a call is answered depends on it (scale/answer/answer.h). */
static void an_interval_is_given_only_where_somebody_gives_it(void **state)
{
    (void)state;
    _cleanup_(parsed_done) struct parsed without = SERVE("--hold=1s");
    _cleanup_(parsed_done) struct parsed with = SERVE("--interval=5s"); /* the default, too */
    assert_false(option_is_given(without.flags.values, "interval"));
    assert_true(option_is_given(with.flags.values, "interval"));
    assert_string_equal(option_text(without.flags.values, "interval"), "5s");
}

/* Where a script's variable is empty, what the flag was to protect must not be open. */
static void an_empty_value_is_refused_by_the_name_of_the_flag_or_the_variable(void **state)
{
    (void)state;
    for (const struct option *row = serve_flags; row->key != NULL; row++) {
        _cleanup_(memory_free) char *flag = text_format("--%s= ", row->key);
        _cleanup_(memory_free) char *variable = flags_variable(&command_serve, row);
        _cleanup_(memory_free) char *by_flag =
            text_format("--%s is empty: give it a value, or leave it out\n", row->key);
        _cleanup_(memory_free) char *by_variable =
            text_format("%s is empty: give it a value, or unset it\n", variable);
        const char *const none[] = {NULL};
        const char *const words[] = {flag, NULL};
        _cleanup_(parsed_done) struct parsed given = parse(&command_serve, words);
        assert_mistakes(&given, by_flag);
        if (variable == NULL)
            continue;

        setenv(variable, "", 1);
        _cleanup_(parsed_done) struct parsed set = parse(&command_serve, none);
        unsetenv(variable);
        assert_mistakes(&set, by_variable);
    }
}

static void a_variable_is_a_flag_and_the_flag_wins(void **state)
{
    (void)state;
    setenv("BACKLOG_HOLD", "7s", 1);
    setenv("BACKLOG_MAX_STREAMS", "wrong", 1);
    setenv("BACKLOG_ALL_IN_AGENTS", "true", 1);
    setenv("BACKLOG_SERVICE_HOST", "10.0.0.1", 1);
    setenv("BACKLOG_PORT", "tcp://10.0.0.1:9090", 1);
    _cleanup_(parsed_done) struct parsed wins = SERVE("--max-streams=5", "--http=:1");
    _cleanup_(parsed_done) struct parsed wrong = SERVE("--hold=5s");
    _cleanup_(parsed_done) struct parsed effective = SERVE("--max-streams=6", "--hold=8s");
    unsetenv("BACKLOG_HOLD");
    unsetenv("BACKLOG_MAX_STREAMS");
    unsetenv("BACKLOG_ALL_IN_AGENTS");
    assert_true(wins.is_good);
    assert_int_equal(flags_of(&wins)->hold_ms, 7000);
    assert_int_equal(flags_of(&wins)->max_streams, 5);
    assert_true(flags_of(&wins)->all_in_agents);
    assert_mistakes(&wrong,
                    "BACKLOG_MAX_STREAMS \"wrong\" must be a whole number such as 10 from 1 to "
                    "10000000\n");
    assert_int_equal(flags_of(&effective)->hold_ms, 8000);

    const struct command_line line = {.command = &command_serve,
                                      .values = wins.flags.values,
                                      .from_environment = wins.flags.from_environment};
    _cleanup_(memory_free) char *words = flags_effective(&line);
    assert_non_null(strstr(words, "listen=127.0.0.1:0 (flag) http=:1 (flag) transport="));
    assert_non_null(strstr(words, " hold=7s (BACKLOG_HOLD) "));
    assert_non_null(strstr(words, " interval=5s "));
    assert_null(strstr(words, "BACKLOG_MAX_STREAMS"));
}

static void a_variable_of_another_command_has_its_name(void **state)
{
    (void)state;
    setenv("BACKLOG_INTERVAL", "7s", 1);
    setenv("BACKLOG_WATCH_INTERVAL", "3s", 1);
    _cleanup_(parsed_done) struct parsed serve = SERVE("--max-streams=5");
    _cleanup_(parsed_done) struct parsed watch = PARSE(command_watch, "--once");
    unsetenv("BACKLOG_INTERVAL");
    unsetenv("BACKLOG_WATCH_INTERVAL");
    assert_string_equal(option_text(serve.flags.values, "interval"), "7s");
    assert_string_equal(option_text(watch.flags.values, "interval"), "3s");
}

/* What changes files, runs something or lowers security is on the command line, where one sees it.
 */
static void what_is_dangerous_has_no_variable(void **state)
{
    (void)state;
    static const char *const dangerous[][2] = {
        {"migrate", "type"}, /* changes what has moved */
        {"migrate", "write"},
        {"migrate", "back"},
        {"migrate", "cluster"},
        {"ask", "env"},
        {"check", "env"},
        {"rehearse", "env"},
        {"rehearse", "worker"},
        {"rehearse", "plot"},
        {"rehearse", "tls-skip-verify"},
        {"rehearse", "tls-server-name"},
        {"simulate", "plot"},
        {"ask", "tls-skip-verify"},
        {"ask", "tls-server-name"},
        {"serve", "http-hosts"},
        {"serve", "workers"},
        {"serve", "kubernetes-cluster-authentications"},
        {"serve", "peers"},
    };
    size_t found = 0;
    for (size_t i = 0; command_list[i] != NULL; i++)
        for (const struct option *row = command_list[i]->flags; row != NULL && row->key != NULL;
             row++) {
            bool is_dangerous = false;
            for (size_t d = 0; d < ARRAY_LENGTH(dangerous); d++)
                is_dangerous |= text_equal(dangerous[d][0], command_list[i]->name) &&
                                text_equal(dangerous[d][1], row->key);
            _cleanup_(memory_free) char *variable = flags_variable(command_list[i], row);
            if (is_dangerous != (variable == NULL))
                fail_msg("the variable of %s --%s is %s", command_list[i]->name, row->key,
                         variable);
            found += is_dangerous;
        }
    assert_int_equal(found, ARRAY_LENGTH(dangerous));

    static const char *const variables[] = {"BACKLOG_WRITE", "BACKLOG_MIGRATE_WRITE",
                                            "BACKLOG_TLS_SKIP_VERIFY",
                                            "BACKLOG_ASK_TLS_SKIP_VERIFY"};
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++)
        setenv(variables[i], "true", 1);
    _cleanup_(parsed_done) struct parsed migrate = PARSE(command_migrate, "a.yaml");
    _cleanup_(parsed_done) struct parsed call = PARSE(command_ask, "scaler=kafka");
    for (size_t i = 0; i < ARRAY_LENGTH(variables); i++)
        unsetenv(variables[i]);
    assert_string_equal(option_text(migrate.flags.values, "write"), "false");
    assert_string_equal(option_text(call.flags.values, "tls-skip-verify"), "false");
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void no_two_flags_have_one_variable(void **state)
{
    (void)state;
    char *names[512];
    size_t count = 0;
    for (size_t i = 0; command_list[i] != NULL; i++)
        for (const struct option *row = command_list[i]->flags; row != NULL && row->key != NULL;
             row++) {
            char *variable = flags_variable(command_list[i], row);
            assert_true(count < ARRAY_LENGTH(names));
            if (variable != NULL)
                names[count++] = variable;
        }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(names[i - 1], names[i]);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
}

/* For a Service of this name Kubernetes sets BACKLOG_PORT, BACKLOG_SERVICE_HOST and more. */
static void no_flag_has_the_name_of_a_variable_of_kubernetes(void **state)
{
    (void)state;
    for (size_t i = 0; command_list[i] != NULL; i++)
        for (const struct option *row = command_list[i]->flags; row != NULL && row->key != NULL;
             row++) {
            assert_false(text_equal(row->key, "port") || text_starts_with(row->key, "port-"));
            assert_false(text_starts_with(row->key, "service-"));
        }
}

static void every_table_is_one_that_the_parser_and_the_pages_can_use(void **state)
{
    (void)state;
    for (size_t i = 0; command_list[i] != NULL; i++) {
        const struct option *table = command_list[i]->flags;
        if (table == NULL)
            continue;
        assert_true(option_count(table) <= OPTION_MAX_ROWS);
        assert_non_null(table[0].group);
        for (const struct option *row = table; row->key != NULL; row++) {
            assert_int_equal(row->scope, OPTION_CONNECTION);
            assert_false(row->flags & (OPTION_SECRET | OPTION_URL));
            assert_true(row->type != OPTION_BOOL || text_equal(row->default_value, "false"));
            assert_true(row->alias == NULL || strlen(row->alias) == 1);
            assert_false(text_ends_with(row->doc, "."));
        }
    }
}

static void help_fits_80_columns_and_names_every_flag(void **state)
{
    (void)state;
    for (size_t i = 0; command_list[i] != NULL; i++) {
        struct page page = {.format = PAGE_TEXT};
        help_write_command(command_list[i], &page);
        if (command_list[i]->topic.flag != NULL)
            command_list[i]->topic.write(&page);
        for (const char *line = page.text.bytes; *line != '\0'; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > PAGE_COLUMNS)
                fail_msg("help of %s: %.*s", command_list[i]->name, (int)strcspn(line, "\n"), line);
        for (const struct option *row = command_list[i]->flags; row != NULL && row->key != NULL;
             row++) {
            _cleanup_(memory_free) char *flag = text_format("--%s", row->key);
            assert_non_null(strstr(page.text.bytes, flag));
        }
        text_done(&page.text);
    }
}

/* Up to what the shell does with it. */
static void every_example_is_a_command_line(void **state)
{
    (void)state;
    for (size_t i = 0; command_list[i] != NULL; i++)
        for (size_t j = 0; j < COMMAND_MAX_EXAMPLES && command_list[i]->examples[j].line; j++) {
            const char *line = command_list[i]->examples[j].line;
            _cleanup_(memory_free) char *plain = text_copy_bytes(line, strcspn(line, "<>|"));
            wordexp_t words;
            if (!text_starts_with(plain, "backlog "))
                continue;
            assert_int_equal(wordexp(plain, &words, WRDE_NOCMD), 0);
            const struct command *command = command_find(words.we_wordv[1]);
            assert_non_null(command);
            _cleanup_(parsed_done) struct parsed parsed =
                parse(command, (const char *const *)words.we_wordv + 2);
            if (!parsed.is_good)
                fail_msg("%s: %s", line, parsed.mistakes.bytes);
            wordfree(&words);
        }
}

static void a_mistake_ends_the_program_with_2(void **state)
{
    (void)state;
    char name[] = "serve";
    char wrong[] = "--listen=nowhere";
    char *arguments[] = {name, wrong, NULL};
    assert_int_equal(command_run(&command_serve, 2, arguments), EXIT_USAGE);
}

static void no_core_dump_can_have_secrets_in_it(void **state)
{
    (void)state;
    char name[] = "serve";
    char wrong[] = "--listen=nowhere.invalid:1";
    char *arguments[] = {name, wrong, NULL};
    struct rlimit limit = {1, 1};
    assert_int_equal(command_run(&command_serve, 2, arguments), 1);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
}

int main(void)
{
    command_list = all_commands;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_mistakes_are_reported_together_and_name_their_flag),
        cmocka_unit_test(flags_that_contradict_each_other_are_reported_together),
        cmocka_unit_test(a_flag_is_not_abbreviated),
        cmocka_unit_test(a_value_stands_behind_an_equals_sign_or_a_space),
        cmocka_unit_test(a_flag_is_not_taken_for_the_value_of_another),
        cmocka_unit_test(operands_stand_anywhere),
        cmocka_unit_test(a_letter_is_a_flag),
        cmocka_unit_test(an_interval_is_given_only_where_somebody_gives_it),
        cmocka_unit_test(an_empty_value_is_refused_by_the_name_of_the_flag_or_the_variable),
        cmocka_unit_test(a_variable_is_a_flag_and_the_flag_wins),
        cmocka_unit_test(a_variable_of_another_command_has_its_name),
        cmocka_unit_test(what_is_dangerous_has_no_variable),
        cmocka_unit_test(no_two_flags_have_one_variable),
        cmocka_unit_test(no_flag_has_the_name_of_a_variable_of_kubernetes),
        cmocka_unit_test(every_table_is_one_that_the_parser_and_the_pages_can_use),
        cmocka_unit_test(help_fits_80_columns_and_names_every_flag),
        cmocka_unit_test(every_example_is_a_command_line),
        cmocka_unit_test(a_mistake_ends_the_program_with_2),
        cmocka_unit_test(no_core_dump_can_have_secrets_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
