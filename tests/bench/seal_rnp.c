/* librnp: keys loaded once, one encryption a message, AES-256, no compression, output in memory. Version 0.16 knows
 * SEIPD v1 only. */
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <stdio.h>

#include "tests/bench/seal_peers.h"

static rnp_ffi_t ffi;
static rnp_key_handle_t key;

static int check(const char *what, rnp_result_t err)
{
    if (err == RNP_SUCCESS)
        return 0;
    fprintf(stderr, "librnp: %s: %s\n", what, rnp_result_to_string(err));
    return -1;
}

int seal_rnp_open(const uint8_t *cert, size_t len)
{
    rnp_input_t in = NULL;
    int err = check("library", rnp_ffi_create(&ffi, "GPG", "GPG")) ||
              check("input", rnp_input_from_memory(&in, cert, len, false)) ||
              check("certificate", rnp_load_keys(ffi, "GPG", in, RNP_LOAD_SAVE_PUBLIC_KEYS)) ||
              check("key", rnp_locate_key(ffi, "userid", "bench@example.org", &key));
    rnp_input_destroy(in);
    return err ? -1 : 0;
}

int seal_rnp_once(const uint8_t *in, size_t len)
{
    rnp_input_t plain = NULL;
    rnp_output_t sealed = NULL;
    rnp_op_encrypt_t op = NULL;
    uint8_t *out = NULL;
    size_t n = 0;
    int err = check("input", rnp_input_from_memory(&plain, in, len, false)) ||
              check("output", rnp_output_to_memory(&sealed, 0)) ||
              check("operation", rnp_op_encrypt_create(&op, ffi, plain, sealed)) ||
              check("recipient", rnp_op_encrypt_add_recipient(op, key)) ||
              check("cipher", rnp_op_encrypt_set_cipher(op, "AES256")) ||
              check("compression", rnp_op_encrypt_set_compression(op, "Uncompressed", 0)) ||
              check("encrypt", rnp_op_encrypt_execute(op)) ||
              check("sealed", rnp_output_memory_get_buf(sealed, &out, &n, false)) ||
              check("less came out than went in", n > len ? RNP_SUCCESS : RNP_ERROR_GENERIC);
    rnp_op_encrypt_destroy(op);
    rnp_output_destroy(sealed);
    rnp_input_destroy(plain);
    return err ? -1 : 0;
}

void seal_rnp_close(void)
{
    rnp_key_handle_destroy(key);
    rnp_ffi_destroy(ffi);
}
