#include "scale/trigger_parsed.h"

#include "base/memory.h"

#include <stdlib.h>

void trigger_parsed_done(struct trigger_parsed *parsed)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(TAKE(parsed->values[scope]));
    free(TAKE(parsed->metric_name));
    free(TAKE(parsed->connection_name));
    error_done(&parsed->mistakes);
}

struct options trigger_parsed_options(const struct trigger_parsed *parsed)
{
    return (struct options){
        .connection = parsed->values[OPTION_CONNECTION]->data,
        .query = parsed->values[OPTION_QUERY]->data,
        .target = parsed->values[OPTION_TARGET]->data,
    };
}
