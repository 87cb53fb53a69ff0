#include "cli/flags.h"

#include "base/memory.h"
#include "cli/long_options.h"
#include "config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The longest part of a value that a mistake or the log repeats. */
enum { LONGEST_SHOWN = 256 };

/* Behind the flags of the table. */
enum { EXTRA_HELP, EXTRA_VERSION, EXTRA_TOPIC, MAX_EXTRAS };

/* What is read, before it is known to be right. */
struct flag_parser {
    const struct command *command;
    const struct option *table; /* the command's */
    size_t rows;
    char **texts; /* by row: what the user gave; NULL: nothing */
    struct flags *flags;
    struct text *mistakes;
    bool has_unknown; /* then a word without a flag may be its value */
};

void command_mistake(struct text *mistakes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_addv(mistakes, format, arguments);
    va_end(arguments);
    text_add(mistakes, "\n");
}

char *flags_variable(const struct command *command, const struct option *row)
{
    if (row->flags & OPTION_NO_VARIABLE)
        return NULL;
    char *name = text_format("BACKLOG_%s%s%s", command->is_server ? "" : command->name,
                             command->is_server ? "" : "_", row->key);
    for (char *at = name; *at != '\0'; at++)
        *at = (char)(*at == '-' ? '_' : toupper((unsigned char)*at));
    return name;
}

/* ---- the words of the command line ---- */

static void unknown_flag(const struct flag_parser *parser, const char *word)
{
    _cleanup_(memory_free) char *name = text_copy_bytes(word, strcspn(word, "="));
    const char *bare = name + strspn(name, "-");
    struct text_nearest nearest;
    text_nearest_begin(bare, &nearest);
    for (size_t i = 0; i < parser->rows; i++)
        text_nearest_offer(&nearest, parser->table[i].key);
    if (nearest.nearest != NULL)
        command_mistake(parser->mistakes, "unknown flag %s: did you mean --%s?", name,
                        nearest.nearest);
    else
        command_mistake(parser->mistakes, "unknown flag %s", name);
}

static void take_extra(struct flag_parser *parser, size_t extra)
{
    static const enum flags_request requests[] = {FLAGS_HELP, FLAGS_VERSION, FLAGS_TOPIC};
    if (parser->flags->request == FLAGS_RUN)
        parser->flags->request = requests[extra];
}

/* Several values of one flag are lines. */
static void take_value(struct flag_parser *parser, size_t index, const char *value)
{
    const struct option *row = &parser->table[index];
    char *before = parser->texts[index];
    if (before == NULL)
        parser->texts[index] = text_copy(value);
    else if (!(row->flags & OPTION_REPEATED))
        command_mistake(parser->mistakes, "--%s is given twice", row->key);
    else if (value[0] == '\0') /* as one that is given once */
        parser->texts[index][0] = '\0';
    else {
        parser->texts[index] = text_format("%s\n%s", before, value);
        free(before);
    }
}

static void take_word(struct flag_parser *parser, int found, const char *word)
{
    if (found == LONG_OPTION_OPERAND)
        parser->flags->operands[parser->flags->operand_count++] = word;
    else if (found == LONG_OPTION_VALUE_MISSING)
        command_mistake(parser->mistakes, "%s needs a value", word);
    else if (found == LONG_OPTION_UNKNOWN) {
        unknown_flag(parser, word);
        parser->has_unknown = true;
    } else if ((size_t)found >= parser->rows)
        take_extra(parser, (size_t)found - parser->rows);
    else
        take_value(parser, (size_t)found, word == NULL ? "true" : word);
}

static void read_words(struct flag_parser *parser, int argc, char **argv)
{
    const struct command *command = parser->command;
    size_t rows = parser->rows;
    size_t count = rows + (command->topic.flag == NULL ? EXTRA_TOPIC : MAX_EXTRAS);
    _cleanup_(memory_free) struct long_option *options =
        memory_array(rows + MAX_EXTRAS, sizeof(*options));
    for (size_t i = 0; i < rows; i++) {
        const struct option *row = &parser->table[i];
        options[i] = (struct long_option){row->key, (char)(row->alias == NULL ? 0 : row->alias[0]),
                                          row->type == OPTION_BOOL ? LONG_OPTION_SOME_VALUE
                                                                   : LONG_OPTION_VALUE};
    }
    options[rows + EXTRA_HELP] = (struct long_option){.name = "help", .letter = 'h'};
    options[rows + EXTRA_VERSION] = (struct long_option){.name = "version", .letter = 'V'};
    options[rows + EXTRA_TOPIC] = (struct long_option){.name = command->topic.flag};

    long_option_reset();
    for (;;) {
        const char *word = NULL;
        int found = long_option_next(argc, argv, options, count, &word);
        if (found == LONG_OPTION_END)
            return;
        take_word(parser, found, word);
    }
}

/* What a flag does not say its variable may. */
static void read_environment(struct flag_parser *parser)
{
    for (size_t i = 0; i < parser->rows; i++) {
        _cleanup_(memory_free) char *name = flags_variable(parser->command, &parser->table[i]);
        const char *value = name == NULL ? NULL : getenv(name);
        if (parser->texts[i] != NULL || value == NULL)
            continue;
        parser->texts[i] = text_copy(value);
        parser->flags->from_environment |= UINT64_C(1) << i;
    }
}

/* ---- what they mean ---- */

/* A script's variable that is empty must not take the flag away with it: `--tls-client-ca "$CA"`
 * would let everybody in. */
static void check_value(struct flag_parser *parser, size_t index, const char *text)
{
    const struct option *row = &parser->table[index];
    bool is_variable = parser->flags->from_environment >> index & 1;
    _cleanup_(memory_free) char *variable = flags_variable(parser->command, row);
    _cleanup_(memory_free) char *flag = text_format("--%s", row->key);
    const char *name = is_variable ? variable : flag;
    _cleanup_(error_done) struct error why = {0};
    union {
        double number;
        struct option_list list;
        struct option_ranges ranges;
    } field = {0};
    if (text[0] == '\0')
        command_mistake(parser->mistakes, "%s is empty: give it a value, or %s", name,
                        is_variable ? "unset it" : "leave it out");
    else if (!value_parse(row, text, &field, &why))
        command_mistake(parser->mistakes, "%s \"%.*s\" %s", name,
                        (int)text_cut(text, LONGEST_SHOWN), text, error_text(&why));
    else {
        value_free(row, &field);
        return;
    }
    free(TAKE(parser->texts[index]));
}

static void evaluate(struct flag_parser *parser)
{
    const struct option *table = parser->table;
    char **texts = memory_array(parser->rows + 1, sizeof(*texts));
    uint64_t given = 0;
    for (size_t i = 0; i < parser->rows; i++) {
        if (parser->texts[i] == NULL && table[i].flags & OPTION_REQUIRED)
            command_mistake(parser->mistakes, "--%s is missing: %s", table[i].key, table[i].doc);
        if (parser->texts[i] != NULL) {
            texts[i] = text_trimmed(parser->texts[i]);
            given |= UINT64_C(1) << i;
            check_value(parser, i, texts[i]);
        }
        if (parser->texts[i] == NULL) { /* missing, or a mistake */
            free(texts[i]);
            texts[i] = text_copy(table[i].default_value);
        }
    }
    parser->flags->values = option_values_new(table, parser->command->flags_size, OPTION_CONNECTION,
                                              (const char *const *)texts);
    parser->flags->values->given = given;
    for (size_t i = 0; i < parser->rows; i++) {
        free(texts[i]);
        free(parser->texts[i]);
    }
    free(texts);
}

static void check_operands(const struct flag_parser *parser)
{
    const struct command *command = parser->command;
    const struct flags *flags = parser->flags;
    if (parser->has_unknown)
        return;
    for (size_t i = command->max_operands; i < flags->operand_count; i++)
        command_mistake(parser->mistakes, "unexpected argument \"%.*s\"",
                        (int)text_cut(flags->operands[i], LONGEST_SHOWN), flags->operands[i]);
    if (flags->operand_count < command->min_operands)
        command_mistake(parser->mistakes, "%s is missing", command->operands);
}

bool flags_parse(const struct command *command, int argc, char **argv, struct flags *ret_flags,
                 struct text *mistakes)
{
    static const struct option no_flags = {0};
    *ret_flags = (struct flags){.operands = memory_array((size_t)argc + 1, sizeof(char *))};
    struct flag_parser parser = {.command = command,
                                 .table = command->flags == NULL ? &no_flags : command->flags,
                                 .flags = ret_flags,
                                 .mistakes = mistakes};
    parser.rows = option_count(parser.table);
    _cleanup_(memory_free) char **texts = memory_array(parser.rows + 1, sizeof(*texts));
    parser.texts = texts;

    read_words(&parser, argc, argv);
    read_environment(&parser);
    evaluate(&parser);
    check_operands(&parser);
    if (ret_flags->request != FLAGS_RUN)
        text_clear(mistakes);
    else if (mistakes->length == 0 && command->check != NULL)
        command->check(&(struct command_line){command, ret_flags->values->data, ret_flags->values,
                                              ret_flags->from_environment, ret_flags->operands,
                                              ret_flags->operand_count},
                       mistakes);
    return mistakes->length == 0;
}

void flags_done(struct flags *flags)
{
    option_values_free(flags->values);
    free(flags->operands);
    *flags = (struct flags){0};
}

/* ---- what is in effect ---- */

char *flags_effective(const struct command_line *line)
{
    struct text text = {0};
    for (size_t i = 0; i < line->values->options; i++) {
        const struct option *row = &line->values->table[i];
        const char *value = line->values->texts[i];
        if (value == NULL && row->type == OPTION_CHOICE)
            value = row->choices[0];
        if (value == NULL)
            continue;
        bool is_quoted = value[strcspn(value, " \t\"")] != '\0';
        text_addf(&text, "%s%s=%s%.*s%s", text.length == 0 ? "" : " ", row->key,
                  is_quoted ? "\"" : "", (int)text_cut(value, LONGEST_SHOWN), value,
                  is_quoted ? "\"" : "");
        _cleanup_(memory_free) char *variable = flags_variable(line->command, row);
        if (line->from_environment >> i & 1)
            text_addf(&text, " (%s)", variable);
        else if (line->values->given >> i & 1)
            text_add(&text, " (flag)");
    }
    return text_take(&text);
}
