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
struct reading {
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

static void unknown_flag(const struct reading *reading, const char *word)
{
    _cleanup_(memory_free) char *name = text_copy_bytes(word, strcspn(word, "="));
    const char *bare = name + strspn(name, "-");
    const struct option *nearest = NULL;
    size_t limit = strlen(bare) / 3 + 2;
    for (size_t i = 0; i < reading->rows; i++) {
        const struct option *row = &reading->table[i];
        bool is_beginning = strlen(bare) > 1 && text_starts_with(row->key, bare);
        size_t distance = is_beginning ? 0 : text_distance(bare, row->key);
        if (distance < limit) {
            limit = distance;
            nearest = row;
        }
    }
    if (nearest != NULL)
        command_mistake(reading->mistakes, "unknown flag %s: did you mean --%s?", name,
                        nearest->key);
    else
        command_mistake(reading->mistakes, "unknown flag %s", name);
}

static void take_extra(struct reading *reading, size_t extra)
{
    static const enum flags_request requests[] = {FLAGS_HELP, FLAGS_VERSION, FLAGS_TOPIC};
    if (reading->flags->request == FLAGS_RUN)
        reading->flags->request = requests[extra];
}

/* Several values of one flag are lines. */
static void take_value(struct reading *reading, size_t index, const char *value)
{
    const struct option *row = &reading->table[index];
    char *before = reading->texts[index];
    if (before == NULL)
        reading->texts[index] = text_copy(value);
    else if (!(row->flags & OPTION_REPEATED))
        command_mistake(reading->mistakes, "--%s is given twice", row->key);
    else if (value[0] == '\0') /* as one that is given once */
        reading->texts[index][0] = '\0';
    else {
        reading->texts[index] = text_format("%s\n%s", before, value);
        free(before);
    }
}

static void take_word(struct reading *reading, int found, const char *word)
{
    if (found == LONG_OPTION_OPERAND)
        reading->flags->operands[reading->flags->operand_count++] = word;
    else if (found == LONG_OPTION_VALUE_MISSING)
        command_mistake(reading->mistakes, "%s needs a value", word);
    else if (found == LONG_OPTION_UNKNOWN) {
        unknown_flag(reading, word);
        reading->has_unknown = true;
    } else if ((size_t)found >= reading->rows)
        take_extra(reading, (size_t)found - reading->rows);
    else
        take_value(reading, (size_t)found, word == NULL ? "true" : word);
}

static void read_words(struct reading *reading, int argc, char **argv)
{
    const struct command *command = reading->command;
    size_t rows = reading->rows;
    size_t count = rows + (command->topic.flag == NULL ? EXTRA_TOPIC : MAX_EXTRAS);
    _cleanup_(memory_free) struct long_option *options =
        memory_array(rows + MAX_EXTRAS, sizeof(*options));
    for (size_t i = 0; i < rows; i++) {
        const struct option *row = &reading->table[i];
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
        take_word(reading, found, word);
    }
}

/* What a flag does not say its variable may. */
static void read_environment(struct reading *reading)
{
    for (size_t i = 0; i < reading->rows; i++) {
        _cleanup_(memory_free) char *name = flags_variable(reading->command, &reading->table[i]);
        const char *value = name == NULL ? NULL : getenv(name);
        if (reading->texts[i] != NULL || value == NULL)
            continue;
        reading->texts[i] = text_copy(value);
        reading->flags->from_environment |= UINT64_C(1) << i;
    }
}

/* ---- what they mean ---- */

/* A script's variable that is empty must not take the flag away with it: `--tls-client-ca "$CA"`
 * would let everybody in. */
static void check_value(struct reading *reading, size_t index, const char *text)
{
    const struct option *row = &reading->table[index];
    bool is_variable = reading->flags->from_environment >> index & 1;
    _cleanup_(memory_free) char *variable = flags_variable(reading->command, row);
    _cleanup_(memory_free) char *flag = text_format("--%s", row->key);
    const char *name = is_variable ? variable : flag;
    _cleanup_(error_done) struct error why = {0};
    union {
        double number;
        struct option_list list;
        struct option_ranges ranges;
    } field = {0};
    if (text[0] == '\0')
        command_mistake(reading->mistakes, "%s is empty: give it a value, or %s", name,
                        is_variable ? "unset it" : "leave it out");
    else if (!value_parse(row, text, &field, &why))
        command_mistake(reading->mistakes, "%s \"%.*s\" %s", name,
                        (int)text_cut(text, LONGEST_SHOWN), text, error_text(&why));
    else {
        value_free(row, &field);
        return;
    }
    free(TAKE(reading->texts[index]));
}

static void evaluate(struct reading *reading)
{
    const struct option *table = reading->table;
    char **texts = memory_array(reading->rows + 1, sizeof(*texts));
    uint64_t given = 0;
    for (size_t i = 0; i < reading->rows; i++) {
        if (reading->texts[i] == NULL && table[i].flags & OPTION_REQUIRED)
            command_mistake(reading->mistakes, "--%s is missing: %s", table[i].key, table[i].doc);
        if (reading->texts[i] != NULL) {
            texts[i] = text_trimmed(reading->texts[i]);
            given |= UINT64_C(1) << i;
            check_value(reading, i, texts[i]);
        }
        if (reading->texts[i] == NULL) { /* missing, or a mistake */
            free(texts[i]);
            texts[i] = text_copy(table[i].default_value);
        }
    }
    reading->flags->values = option_values_new(table, reading->command->flags_size,
                                               OPTION_CONNECTION, (const char *const *)texts);
    reading->flags->values->given = given;
    for (size_t i = 0; i < reading->rows; i++) {
        free(texts[i]);
        free(reading->texts[i]);
    }
    free(texts);
}

static void check_operands(const struct reading *reading)
{
    const struct command *command = reading->command;
    const struct flags *flags = reading->flags;
    if (reading->has_unknown)
        return;
    for (size_t i = command->max_operands; i < flags->operand_count; i++)
        command_mistake(reading->mistakes, "unexpected argument \"%.*s\"",
                        (int)text_cut(flags->operands[i], LONGEST_SHOWN), flags->operands[i]);
    if (flags->operand_count < command->min_operands)
        command_mistake(reading->mistakes, "%s is missing", command->operands);
}

bool flags_parse(const struct command *command, int argc, char **argv, struct flags *ret_flags,
                 struct text *mistakes)
{
    static const struct option no_flags = {0};
    *ret_flags = (struct flags){.operands = memory_array((size_t)argc + 1, sizeof(char *))};
    struct reading reading = {.command = command,
                              .table = command->flags == NULL ? &no_flags : command->flags,
                              .flags = ret_flags,
                              .mistakes = mistakes};
    reading.rows = option_count(reading.table);
    _cleanup_(memory_free) char **texts = memory_array(reading.rows + 1, sizeof(*texts));
    reading.texts = texts;

    read_words(&reading, argc, argv);
    read_environment(&reading);
    evaluate(&reading);
    check_operands(&reading);
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
