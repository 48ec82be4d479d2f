/* SPDX-License-Identifier: MIT */
/*
 * Runs every scenario once undisturbed, then once for each of its system calls and each way that
 * call can fail, then with each of the calls that follow the failure failing as well. Prints what
 * the library did and what its caller saw. test_same_calls.py compares what this prints with two
 * libraries.
 */
#include "fakedev.h"
#include "scenarios.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xengnttab.h>

#define POSITIVE (-7)   /* in the lists below: an ioctl that returns 7 */

static const int errors[CALL_KINDS][12] = {
    [CALL_OPEN]   = { ENOENT, EACCES, EMFILE },
    [CALL_CLOSE]  = { EIO, EINTR },
    [CALL_IOCTL]  = { EINVAL, ENOTTY, ENOENT, EFAULT, ENOSPC, ENOMEM, EAGAIN, EINTR, ETIMEDOUT,
                      POSITIVE },
    [CALL_MMAP]   = { EAGAIN, EINVAL, ENOMEM, ENOENT, EACCES },
    [CALL_MUNMAP] = { EINVAL, ENOMEM },
    [CALL_MALLOC] = { ENOMEM },
};

static int cases;

static void run(const struct scenario *s, const struct fake_fault *faults, int count)
{
    fake_reset(faults, count);
    s->run(s->arg);
    fake_log_leftovers();

    printf("=== %s", s->name);
    for (int i = 0; i < count; i++) {
        if (faults[i].positive)
            printf(", call %d returns %d", faults[i].nth, faults[i].positive);
        else
            printf(", call %d fails with %s", faults[i].nth, strerrorname_np(faults[i].error));
    }
    printf("\n%s", fake_log_text());
    cases++;
}

static struct fake_fault fault(int nth, int error)
{
    return error == POSITIVE ? (struct fake_fault) { .nth = nth, .positive = -POSITIVE }
                             : (struct fake_fault) { .nth = nth, .error = error };
}

/* A second failure in what is left to do, above all in the clean-up. */
static void sweep_second(const struct scenario *s, struct fake_fault first)
{
    int calls = fake_calls();
    enum fake_call kinds[FAKE_MAX_CALLS];

    for (int i = first.nth + 1; i < calls; i++)
        kinds[i] = fake_kind(i);
    for (int i = first.nth + 1; i < calls; i++) {
        struct fake_fault both[] = { first, fault(i, kinds[i] == CALL_MALLOC ? ENOMEM : EPERM) };
        run(s, both, 2);
    }
}

static void sweep(const struct scenario *s)
{
    int calls = fake_calls();
    enum fake_call kinds[FAKE_MAX_CALLS];

    for (int i = 0; i < calls; i++)
        kinds[i] = fake_kind(i);
    for (int i = 0; i < calls; i++) {
        for (const int *e = errors[kinds[i]]; *e; e++) {
            struct fake_fault f = fault(i, *e);
            run(s, &f, 1);
            if (e == errors[kinds[i]])
                sweep_second(s, f);
        }
    }
}

int main(void)
{
    Dl_info info;

    if (!dladdr((void *)xengnttab_open, &info)) {
        fprintf(stderr, "xengnttab_open is in no library\n");
        return 1;
    }
    printf("library %s\n", info.dli_fname);
    for (int i = 0; i < scenario_count; i++) {
        run(&scenarios[i], NULL, 0);
        if (!scenarios[i].no_faults)
            sweep(&scenarios[i]);
    }
    fake_reset(NULL, 0);
    printf("=== end, %d cases of %d scenarios\n", cases, scenario_count);
    return fflush(stdout) ? 1 : 0;
}
