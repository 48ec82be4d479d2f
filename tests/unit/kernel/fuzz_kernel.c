/* SPDX-License-Identifier: MIT */
/* libFuzzer target: bytes become calls of two domains' processes. The first byte chooses profile
 * and ending. */
#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    use_profile(kernel_profiles[(data[0] >> 1) % 3]->name);
    fuzz_bytes(data + 1, size - 1);
    fuzz_run(4000, data[0] & 1 ? FUZZ_DIES : data[0] & 0x80 ? FUZZ_MIGRATES : FUZZ_LIVES);
    return 0;
}
