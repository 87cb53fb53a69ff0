#include "measure/scaler.h"

void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes)
{
    if (scaler->check_connection != NULL)
        scaler->check_connection(options->connection, mistakes);
    if (scaler->check != NULL)
        scaler->check(options, mistakes);
}
