#include "cli/command.h"
#include "measure/scaler.h"

#include <openssl/crypto.h>

int main(int argc, char **argv)
{
    /* Threads of libraries may end after main() has: what OpenSSL keeps for a thread is freed at
     * its end, unless OpenSSL has cleaned up by then. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    scalers_prepare(scaler_list);
    return command_main(all_commands, argc, argv);
}
