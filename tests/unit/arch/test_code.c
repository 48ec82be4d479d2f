/* SPDX-License-Identifier: MIT */
/* Tests of what arch/ knows of instructions, with code that the compiler made. */
#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "code.h"
#include "suite.h"

static uintptr_t returns_to;

__attribute__((noinline)) static int callee(void)
{
    returns_to = (uintptr_t)__builtin_return_address(0);
    return 1;
}

/* What arch_call_before says of the call that returns_to is behind. */
static enum arch_callee look(uint64_t *target)
{
    return arch_call_before(returns_to,
                            (const uint8_t *)returns_to - ARCH_BACKWARD_BYTES, target);
}

SUITE("instructions");

TEST("a call stands before the address to which a function returns, and names the function")
{
    uint64_t target = 0;
    int (*volatile never_inlined)(void) = callee;

    CU_ASSERT(callee() && never_inlined != NULL);
    CU_ASSERT_EQUAL(look(&target), ARCH_CALLS);
    CU_ASSERT_EQUAL(target, (uintptr_t)callee);
}

TEST("a call through a pointer is seen, but not where it leads")
{
    int (*volatile pointer)(void) = callee;
    int (*function)(void) = pointer;
    uint64_t target = 1;

    __asm__("" : "+r"(function));
    CU_ASSERT(function());
    CU_ASSERT_EQUAL(look(&target), ARCH_CALLS_UNKNOWN);
    CU_ASSERT_EQUAL(target, 0);
}

TEST("no call stands before the first instruction of a function")
{
    static const uint8_t nothing[16];
    uint64_t target;

    CU_ASSERT_EQUAL(arch_call_before((uintptr_t)nothing + 8, nothing, &target), ARCH_NO_CALL);
}

/* The entry of this file's linkage table that leads to a function of the C library. */
static uint64_t entry_of_getppid(void)
{
    uint64_t target = 0;

#if defined(__x86_64__)
    __asm__("lea getppid@PLT(%%rip), %0" : "=r"(target));
#else
    /* A branch leads to the entry; the linker made it. */
    __asm__("adr %0, 1f\n    b 2f\n1:  bl getppid\n2:" : "=r"(target)::"x30");
    if (arch_call_before(target + 4, (const uint8_t *)(uintptr_t)target, &target) != ARCH_CALLS)
        return 0;
#endif
    return target;
}

TEST("an entry of the procedure linkage table tells where the function's address is")
{
    uint64_t entry = entry_of_getppid(), slot, address;

    CU_ASSERT_EQUAL(getppid(), getppid());      /* the address is there now */
    slot = arch_plt_slot(entry, (const uint8_t *)(uintptr_t)entry);
    CU_ASSERT_NOT_EQUAL_FATAL(slot, 0);
    memcpy(&address, (const void *)(uintptr_t)slot, sizeof address);
    CU_ASSERT_EQUAL(address, (uintptr_t)dlsym(RTLD_NEXT, "getppid"));
    CU_ASSERT_EQUAL(arch_plt_slot((uintptr_t)callee, (const uint8_t *)(uintptr_t)callee), 0);
}

/* Not under qemu-user, whose programs have no such library. */
SUITE("vdso");

TEST("the kernel's own library in a process has an instruction that calls the kernel")
{
    const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
    size_t behind = vdso ? arch_find_kernel_call(vdso, 4096) : 0;
    uint64_t word;

    CU_ASSERT_NOT_EQUAL_FATAL(behind, 0);
    memcpy(&word, vdso + behind - ARCH_CALL_SIZE, sizeof word);
    CU_ASSERT(arch_is_kernel_call(word));
    CU_ASSERT(arch_enters_kernel(word));
    CU_ASSERT(!arch_is_kernel_call(arch_endless_loop(word)));
    CU_ASSERT(!arch_enters_kernel(arch_endless_loop(word)));
    CU_ASSERT_EQUAL(arch_find_kernel_call((const uint8_t *)"", 1), 0);
}
