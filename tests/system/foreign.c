/* SPDX-License-Identifier: MIT */
/*
 * A control domain's process that uses the distribution's libxenforeignmemory, libxendevicemodel
 * and libxencall: a command per line, an answer per line. foreign DOMAIN: names that domain in all
 * it does.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xencall.h>
#include <xendevicemodel.h>
#include <xenforeignmemory.h>
#include <xen/grant_table.h>
#include <xen/memory.h>

#define PAGE 4096ul
#define MAX 64

static sigjmp_buf fault;
static xenforeignmemory_handle *memory;
static xendevicemodel_handle *model;
static unsigned char *region;
static size_t pages;
static uint32_t domain;

static void on_fault(int sig)
{
    siglongjmp(fault, sig);
}

static void error(void)
{
    printf("err %s\n", strerrorname_np(errno));
}

/* map PROT FRAME...: maps them as the region; the frames' errors. */
static void do_map(char **words, int nr, int flags)
{
    xen_pfn_t frames[MAX];
    int errors[MAX] = { 0 };

    pages = (size_t)nr - 1;
    for (size_t i = 0; i < pages; i++)
        frames[i] = strtoull(words[i + 1], NULL, 0);
    region = xenforeignmemory_map2(memory, domain, NULL,
                                   (strchr(words[0], 'r') ? PROT_READ : 0) |
                                   (strchr(words[0], 'w') ? PROT_WRITE : 0),
                                   flags, pages, frames, errors);
    if (!region) {
        error();
        return;
    }
    printf("ok");
    for (size_t i = 0; i < pages; i++)
        printf(" %d", errors[i]);
    puts("");
}

/* strict FRAME...: without an array for errors, so that any is the call's. */
static void do_strict(char **words, int nr)
{
    xen_pfn_t frames[MAX];

    for (int i = 0; i < nr; i++)
        frames[i] = strtoull(words[i], NULL, 0);
    pages = (size_t)nr;
    region = xenforeignmemory_map(memory, domain, PROT_READ | PROT_WRITE, pages, frames, NULL);
    if (region)
        puts("ok");
    else
        error();
}

/* peek OFFSET, poke OFFSET BYTE */
static void do_access(char **words, int nr)
{
    volatile unsigned char *p = region + strtoul(words[0], NULL, 0);
    int sig = sigsetjmp(fault, 1);

    if (sig) {
        printf("err SIG%s\n", sigabbrev_np(sig));
        return;
    }
    if (nr > 1)
        *p = (unsigned char)atoi(words[1]);
    printf("ok %d\n", *p);
}

/* resource KIND FRAME NR: of the grant table; the entries in use, as REF:FLAGS:DOMID. */
static void do_resource(char **words)
{
    void *addr = NULL;
    xenforeignmemory_resource_handle *r = xenforeignmemory_map_resource(
        memory, domain, XENMEM_resource_grant_table, atoi(words[0]), strtoul(words[1], NULL, 0),
        strtoul(words[2], NULL, 0), &addr, PROT_READ | PROT_WRITE, 0);
    const grant_entry_v1_t *entries = addr;

    if (!r) {
        error();
        return;
    }
    printf("ok");
    for (unsigned i = 8; i < PAGE / sizeof *entries; i++)
        if (entries[i].flags)
            printf(" %u:%u:%u", i, entries[i].flags, entries[i].domid);
    puts("");
    if (xenforeignmemory_unmap_resource(memory, r))
        abort();
}

static void do_size(char **words)
{
    size_t size = 0;
    int rc = xenforeignmemory_resource_size(memory, domain, XENMEM_resource_grant_table,
                                            atoi(words[0]), &size);

    if (rc)
        error();
    else
        printf("ok %zu\n", size);
}

static void do_fork(void)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        _exit(((volatile unsigned char *)region)[0] & 0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("err SIG%s\n", sigabbrev_np(WTERMSIG(status)));
    else
        printf("ok %d\n", WEXITSTATUS(status));
}

static void result(int rc)
{
    if (rc < 0)
        error();
    else
        printf("ok %d\n", rc);
}

/* model: opens, asks for something, closes. */
static void do_model(char **words, int nr)
{
    ioservid_t id;

    if (nr && !strcmp(words[0], "restrict"))
        result(xendevicemodel_restrict(model, domain));
    else if (nr && !strcmp(words[0], "op"))
        result(xendevicemodel_create_ioreq_server(model, domain, 0, &id));
    else if (nr && !strcmp(words[0], "close"))
        result(xendevicemodel_close(model)), model = NULL;
    else
        result((model = xendevicemodel_open(NULL, 0)) ? 0 : -1);
}

/* call: a hypercall with an argument in a buffer of libxencall's, by a parent, and by a child that
 * opens its own handle. */
static void do_call(void)
{
    xencall_handle *call = xencall_open(NULL, 0);
    struct gnttab_query_size *size = call ? xencall_alloc_buffer(call, sizeof *size) : NULL;
    int rc, status;
    pid_t pid;

    if (!size) {
        error();
        return;
    }
    size->dom = domain;
    rc = xencall3(call, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, (uintptr_t)size, 1);
    fflush(stdout);
    pid = fork();
    if (!pid) {
        xencall_close(call);
        call = xencall_open(NULL, 0);
        size = call ? xencall_alloc_buffer(call, sizeof *size) : NULL;
        if (!size)
            _exit(2);
        size->dom = domain;
        rc = xencall3(call, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, (uintptr_t)size, 1);
        _exit(rc || size->status || size->max_nr_frames != 64);
    }
    waitpid(pid, &status, 0);
    printf("ok %d %d %u %d %d\n", rc, size->status, size->max_nr_frames, status,
           xencall_buffers_never_fault(call));
    xencall_free_buffer(call, size);
    xencall_close(call);
}

int main(int argc, char **argv)
{
    static char line[4096];
    char *words[MAX + 2];
    int nr;

    if (argc != 2)
        return 2;
    domain = (uint32_t)atoi(argv[1]);
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        const char *verb = strtok(line, " \n");

        for (nr = 0; nr < MAX && (words[nr] = strtok(NULL, " \n")); nr++)
            ;
        if (!verb)
            continue;
        if (!strcmp(verb, "pid"))
            result(getpid());
        else if (!strcmp(verb, "open"))
            result((memory = xenforeignmemory_open(NULL, 0)) ? 0 : -1);
        else if (!strcmp(verb, "map"))
            do_map(words, nr, 0);
        else if (!strcmp(verb, "strict"))
            do_strict(words, nr);
        else if (!strcmp(verb, "access"))
            do_access(words, nr);
        else if (!strcmp(verb, "unmap"))
            result(xenforeignmemory_unmap(memory, region, pages));
        else if (!strcmp(verb, "munmap"))
            result(munmap(region + strtoul(words[0], NULL, 0) * PAGE, PAGE));
        else if (!strcmp(verb, "resource"))
            do_resource(words);
        else if (!strcmp(verb, "size"))
            do_size(words);
        else if (!strcmp(verb, "restrict"))
            result(xenforeignmemory_restrict(memory, domain));
        else if (!strcmp(verb, "fork"))
            do_fork();
        else if (!strcmp(verb, "model"))
            do_model(words, nr);
        else if (!strcmp(verb, "call"))
            do_call();
        else if (!strcmp(verb, "close"))
            result(xenforeignmemory_close(memory));
        else
            return 9;
    }
    return 0;
}
