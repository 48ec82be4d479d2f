/* SPDX-License-Identifier: MIT */
/* Where the parts of the code are that each processor's code.c has for a page of a program. */
#include "code.h"

#define HIDDEN __attribute__((visibility("hidden")))
extern const uint8_t stub_begin[] HIDDEN, stub_stop[] HIDDEN, stub_handler[] HIDDEN;
extern const uint8_t stub_restorer[] HIDDEN, stub_end[] HIDDEN;

struct arch_stub arch_stub(void)
{
    return (struct arch_stub){ stub_begin, (size_t)(stub_end - stub_begin),
                               (size_t)(stub_stop - stub_begin),
                               (size_t)(stub_handler - stub_begin),
                               (size_t)(stub_restorer - stub_begin) };
}
