#include "measure/scaler.h"

void scalers_prepare(const struct scaler *const *scalers)
{
    for (; *scalers != NULL; scalers++)
        if ((*scalers)->prepare != NULL)
            (*scalers)->prepare();
}

void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes)
{
    if (scaler->check_connection != NULL)
        scaler->check_connection(options->connection, mistakes);
    if (scaler->check != NULL)
        scaler->check(options, mistakes);
}
