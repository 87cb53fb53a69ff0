/* The completion of bash, from the commands' tables. It needs nothing but bash: not even the package bash-completion. */
#include "cli/command.h"

#include "base/memory.h"
#include "cli/help.h"

#include <stdio.h>

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
        const char *value = help_value_name(row);
        if (value == NULL)
            continue;
        text_addf(script, "        %s:--%s", command->name, row->key);
        if (row->alias != NULL)
            text_addf(script, " | %s:-%s", command->name, row->alias);
        text_add(script, ") values='");
        if (row->type == OPTION_CHOICE)
            add_words(row->choices, script);
        else
            text_add(script, text_equal(value, "FILE") ? value : "NONE");
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
    } else if (command->operands != NULL)
        text_add(script, "            [[ $current == -* ]] || values=FILE\n");
    text_add(script, "            ;;\n");
}

/* The caller frees it. */
static char *completion_bash(void)
{
    struct text script = {0};
    text_add(&script, head);
    text_add(&script, "    case $command:$flag in\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_values(command_list[i], &script);
    text_add(&script, "    esac\n    [ -n \"$values\" ] || case $command in\n");
    for (size_t i = 0; command_list[i] != NULL; i++)
        if (!command_list[i]->is_internal)
            add_flags(command_list[i], &script);
    text_add(&script, "    esac\n");
    add_commands(&script);
    text_add(&script, tail);
    return text_take(&script);
}

static const char *const shells[] = {"bash", NULL};

static const char *const *shell_words(void)
{
    return shells;
}

static void check_completion(const struct command_line *line, struct text *mistakes)
{
    if (!text_equal(line->operands[0], shells[0]))
        command_mistake(mistakes, "unknown shell \"%s\": it must be bash", line->operands[0]);
}

static int run_completion(const struct command_line *line, struct error *error)
{
    (void)line;
    (void)error;
    _cleanup_(memory_free) char *script = completion_bash();
    fputs(script, stdout);
    return 0;
}

const struct command command_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell (bash)",
    .operands = "bash",
    .min_operands = 1,
    .max_operands = 1,
    .operand_words = shell_words,
    .about = "Prints a script that completes commands, flags and their values in bash. `cmake "
             "--install` installs "
             "it for all users.",
    .examples = {{"for this shell", "source <(backlog completion bash)"},
                 {"for all shells of one user",
                  "backlog completion bash >~/.local/share/bash-completion/completions/backlog"}},
    .check = check_completion,
    .run = run_completion,
};
