#include "cli/command.h"
#include "measure/scaler.h"

int main(int argc, char **argv)
{
    scalers_prepare(scaler_list);
    return command_main(argc, argv);
}
