/* SPDX-License-Identifier: MIT */
/* The libFuzzer target of the hypervisor model. */
#include "hv_fuzz_i.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(data, size,
             "tests/fuzz/hv-replay -v FILE, in the build directory; libFuzzer names FILE below",
             false);
    return 0;
}
