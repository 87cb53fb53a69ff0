#include "cli/operands.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

void operands_split(int argc, char **argv, struct operands *ret_operands)
{
    static char file_flag[] = "--file";
    struct operands operands = {.items = argv + 1};
    while ((int)operands.count + 1 < argc && argv[operands.count + 1][0] != '-')
        operands.count++;
    operands.argv = memory_array((size_t)argc + 1, sizeof(char *));
    operands.argv[operands.argc++] = argv[0];
    for (int i = 1 + (int)operands.count; i < argc; i++)
        operands.argv[operands.argc++] = text_equal(argv[i], "-f") ? file_flag : argv[i];
    *ret_operands = operands;
}

void operands_done(struct operands *operands)
{
    free(operands->argv);
    *operands = (struct operands){0};
}
