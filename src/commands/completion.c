/* The completions of bash, zsh and fish, from the commands' tables. That of bash needs nothing
 * else: not even the package bash-completion. */
#include "cli/command.h"

#include "base/memory.h"
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

static const char head[] =
    "# bash completion for backlog, written by `backlog completion bash`\n"
    "_backlog() {\n"
    "    local command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]} flag='' flags='' "
    "values=''\n"
    "    COMPREPLY=()\n"
    "    # bash takes --flag=value for three words\n"
    "    if [ \"$current\" = = ]; then\n"
    "        current='' flag=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    elif [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
    "        flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    elif [ \"$COMP_CWORD\" -gt 1 ]; then\n"
    "        flag=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    fi\n";

static const char tail[] =
    "    case $values in\n"
    "        FILE)\n"
    "            compopt -o filenames\n"
    "            mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "            return ;;\n"
    "        NONE) return ;;\n"
    "        ?*)\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$current\")\n"
    "            return ;;\n"
    "    esac\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$current\")\n"
    "}\n"
    "complete -F _backlog backlog\n";

static bool takes_files(const struct command *command)
{
    return command->operands != NULL && (strstr(command->operands, "FILE") != NULL ||
                                         strstr(command->operands, "TRACE") != NULL);
}

/* Of a flag with a value. */
static bool takes_file(const struct option *row)
{
    return text_equal(help_value_name(row), "FILE");
}

static void add_words(const char *const *words, struct text *script)
{
    for (size_t i = 0; words[i] != NULL; i++)
        text_addf(script, "%s%s", i == 0 ? "" : " ", words[i]);
}

static void add_commands(struct text *script)
{
    text_add(script, "    if [ \"$COMP_CWORD\" = 1 ]; then\n        flags='");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            text_addf(script, "%s ", command_list[i]->name);
    text_add(script, "--help --version'\n    fi\n");
}

/* Which value stands behind a flag. */
static void add_values(const struct command *command, struct text *script)
{
    for (const struct option *row = command->flags; row != NULL && row->key != NULL; row++) {
        if (help_value_name(row) == NULL)
            continue;
        text_addf(script, "        %s:--%s", command->name, row->key);
        if (row->alias != NULL)
            text_addf(script, " | %s:-%s", command->name, row->alias);
        text_add(script, ") values='");
        if (row->type == OPTION_CHOICE)
            add_words(row->choices, script);
        else
            text_add(script, takes_file(row) ? "FILE" : "NONE");
        text_add(script, "' ;;\n");
    }
}

static void add_flags(const struct command *command, struct text *script)
{
    text_addf(script, "        %s) flags='", command->name);
    for (const struct option *row = command->flags; row != NULL && row->key != NULL; row++)
        text_addf(script, "--%s ", row->key);
    if (command->topic.flag != NULL)
        text_addf(script, "--%s ", command->topic.flag);
    text_add(script, "--help'\n");
    if (command->operand_words != NULL) {
        text_add(script, "            [[ $current == -* ]] || flags='");
        add_words(command->operand_words(), script);
        text_add(script, "'\n");
    } else if (takes_files(command))
        text_add(script, "            [[ $current == -* ]] || values=FILE\n");
    text_add(script, "            ;;\n");
}

static void write_bash(struct text *script)
{
    text_add(script, head);
    text_add(script, "    case $command:$flag in\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_values(command_list[i], script);
    text_add(script, "    esac\n    [ -n \"$values\" ] || case $command in\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_flags(command_list[i], script);
    text_add(script, "    esac\n");
    add_commands(script);
    text_add(script, tail);
}

/* ---- zsh ---- */

/* Within single quotes; zsh's _arguments ends a doc at ], and its parts at colons. */
static void add_quoted(struct text *script, const char *words, const char *escaped)
{
    for (; *words != '\0'; words++) {
        if (*words == '\'')
            text_add(script, "'\\'");
        else if (strchr(escaped, *words) != NULL)
            text_add(script, "\\");
        text_add_bytes(script, words, 1);
    }
}

/* What stands behind the doc: the value's name, and where values come from. */
static void add_zsh_value(const struct option *row, struct text *script)
{
    text_addf(script, ":%s:", help_value_name(row));
    if (row->type == OPTION_CHOICE) {
        text_add(script, "(");
        add_words(row->choices, script);
        text_add(script, ")");
    } else
        text_add(script, takes_file(row) ? "_files" : " ");
}

static void add_zsh_flag(const struct option *row, struct text *script)
{
    bool has_value = help_value_name(row) != NULL;
    const char *repeated = row->flags & OPTION_REPEATED ? "*" : "";
    text_add(script, " \\\n                ");
    if (row->alias == NULL)
        text_addf(script, "'%s--%s%s", repeated, row->key, has_value ? "=" : "");
    else
        text_addf(script, "%s{-%s,--%s%s}'", repeated[0] == '\0' ? "" : "\\*", row->alias, row->key,
                  has_value ? "=" : "");
    text_add(script, "[");
    add_quoted(script, row->doc, "[]:\\");
    text_add(script, "]");
    if (has_value)
        add_zsh_value(row, script);
    text_add(script, "'");
}

static void add_zsh_command(const struct command *command, struct text *script)
{
    text_addf(script, "        %s)\n            _arguments -s", command->name);
    for (const struct option *row = command->flags; row != NULL && row->key != NULL; row++)
        add_zsh_flag(row, script);
    if (command->topic.flag != NULL)
        text_addf(script, " '--%s[%s]'", command->topic.flag, command->topic.doc);
    text_add(script, " \\\n                {-h,--help}'[help]'");
    if (command->operand_words != NULL) {
        text_add(script, " '1:word:(");
        add_words(command->operand_words(), script);
        text_add(script, ")'");
    } else if (takes_files(command))
        text_add(script, " '*:file:_files'");
    text_add(script, "\n            ;;\n");
}

/* As a file of fpath, or sourced. */
static void write_zsh(struct text *script)
{
    text_add(script, "#compdef backlog\n"
                     "# zsh completion for backlog, written by `backlog completion zsh`\n"
                     "_backlog() {\n"
                     "    local -a commands=(\n");
    for (size_t i = 0; command_list[i] != NULL; i++) {
        if (command_list[i]->is_internal)
            continue;
        text_addf(script, "        '%s:", command_list[i]->name);
        add_quoted(script, command_list[i]->summary, ":\\");
        text_add(script, "'\n");
    }
    text_add(script, "    )\n"
                     "    if (( CURRENT == 2 )); then\n"
                     "        _describe command commands\n"
                     "        return\n"
                     "    fi\n"
                     "    shift words\n"
                     "    (( CURRENT-- ))\n"
                     "    case $words[1] in\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_zsh_command(command_list[i], script);
    text_add(script, "    esac\n"
                     "}\n"
                     "if [[ $funcstack[1] = _backlog ]]; then _backlog \"$@\"; else compdef "
                     "_backlog backlog; fi\n");
}

/* ---- fish ---- */

/* Within single quotes fish knows \\ and \'. */
static void add_fish_doc(struct text *script, const char *doc)
{
    text_add(script, " -d '");
    for (; *doc != '\0'; doc++)
        text_addf(script, "%s%c", *doc == '\'' || *doc == '\\' ? "\\" : "", *doc);
    text_add(script, "'\n");
}

static void begin_fish_line(const struct command *command, struct text *script)
{
    text_addf(script, "complete -c backlog -n '__fish_seen_subcommand_from %s'", command->name);
}

static void add_fish_flag(const struct command *command, const struct option *row,
                          struct text *script)
{
    begin_fish_line(command, script);
    text_addf(script, " -l %s", row->key);
    if (row->alias != NULL)
        text_addf(script, " -s %s", row->alias);
    if (row->type == OPTION_CHOICE) {
        text_add(script, " -x -a '");
        add_words(row->choices, script);
        text_add(script, "'");
    } else if (help_value_name(row) != NULL)
        text_add(script, takes_file(row) ? " -r -F" : " -x");
    add_fish_doc(script, row->doc);
}

static void add_fish_command(const struct command *command, struct text *script)
{
    text_addf(script, "complete -c backlog -n __fish_use_subcommand -a %s", command->name);
    add_fish_doc(script, command->summary);
    for (const struct option *row = command->flags; row != NULL && row->key != NULL; row++)
        add_fish_flag(command, row, script);
    if (command->topic.flag != NULL) {
        begin_fish_line(command, script);
        text_addf(script, " -l %s", command->topic.flag);
        add_fish_doc(script, command->topic.doc);
    }
    if (command->operand_words != NULL) {
        begin_fish_line(command, script);
        text_add(script, " -a '");
        add_words(command->operand_words(), script);
        text_add(script, "'\n");
    } else if (takes_files(command)) {
        begin_fish_line(command, script);
        text_add(script, " -F\n");
    }
}

static void write_fish(struct text *script)
{
    text_add(script, "# fish completion for backlog, written by `backlog completion fish`\n"
                     "complete -c backlog -f\n"
                     "complete -c backlog -l help -s h -d 'what it does, and its flags'\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_fish_command(command_list[i], script);
}

/* ---- the command ---- */

static const char *const shells[] = {"bash", "zsh", "fish", NULL};
static void (*const writers[])(struct text *script) = {write_bash, write_zsh, write_fish};

static const char *const *shell_words(void)
{
    return shells;
}

static void check_completion(const struct command_line *line, struct text *mistakes)
{
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++)
        if (text_equal(shells[i], line->operands[0]))
            return;
    command_mistake(mistakes, "unknown shell \"%s\": it must be bash, zsh or fish",
                    line->operands[0]);
}

static int run_completion(const struct command_line *line, struct error *error)
{
    _cleanup_(text_done) struct text script = {0};
    (void)error;
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++)
        if (text_equal(shells[i], line->operands[0])) {
            writers[i](&script);
            fputs(script.bytes, stdout);
        }
    return 0;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "SHELL",
    .min_operands = 1,
    .max_operands = 1,
    .operand_words = shell_words,
    .about =
        "Prints a script that completes commands, flags and their values in bash, zsh or fish. "
        "`cmake --install` installs all three for all users.",
    .exit_status = "0 printed",
    .examples = {{"for this bash or zsh", "source <(backlog completion bash)"},
                 {"for all shells of one user",
                  "backlog completion bash >~/.local/share/bash-completion/completions/backlog"},
                 {"in fish", "backlog completion fish >~/.config/fish/completions/backlog.fish"}},
    .check = check_completion,
    .run = run_completion,
};
