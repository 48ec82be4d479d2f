/* SPDX-License-Identifier: MIT */
/* libFuzzer target: bytes become calls of two domains' processes. The first byte chooses profile
 * and ending. */
#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The harness's checks outside of a CUnit run: a failed one is a crash. */
CU_BOOL CU_assertImplementation(CU_BOOL value, unsigned line, const char *condition,
                                const char *file, const char *function, CU_BOOL fatal)
{
    (void)function;
    (void)fatal;
    if (value)
        return CU_TRUE;
    fprintf(stderr, "%s:%u: %s\n", file, line, condition);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    use_profile(kernel_profiles[(data[0] >> 1) % 3]->name);
    fuzz_bytes(data + 1, size - 1);
    fuzz_run(4000, data[0] & 1 ? FUZZ_DIES : data[0] & 0x80 ? FUZZ_MIGRATES : FUZZ_LIVES);
    return 0;
}
