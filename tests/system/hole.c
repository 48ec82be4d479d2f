/* SPDX-License-Identifier: MIT */
/*
 * hole HOW DOMID: maps a page of its own domain, DOMID, and unmaps it. What is left in an
 * auto-translated domain is a hole: it reads ones and loses what is written. HOW: by the library
 * ("library"), or by hypercalls of its own ("hypercalls"). Prints "done", or what was otherwise.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sys/privcmd.h>
#include <xengnttab.h>

#define PAGE 4096
#define SOMEWHERE 0x7000000ull     /* where nothing is of the domain */
#define must(what) do { \
    if (!(what)) { \
        printf("line %d: %s: %m\n", __LINE__, #what); \
        exit(1); \
    } \
} while (0)

static volatile unsigned char *shared;

static bool is_all(unsigned char value)
{
    for (int i = 0; i < PAGE; i++)
        if (shared[i] != value)
            return false;
    return true;
}

static void by_library(uint32_t domid, uint32_t ref)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char *mapped;

    must(gnttab);
    mapped = xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE);
    must(mapped && mapped[17] == 1);
    must(!xengnttab_unmap(gnttab, mapped, 1));
    must(!xengnttab_close(gnttab));
}

static void call(int privcmd, unsigned cmd, void *op)
{
    privcmd_hypercall_t hypercall = { __HYPERVISOR_grant_table_op,
                                      { cmd, (uintptr_t)op, 1 } };

    must(!ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &hypercall));
}

static void by_hypercalls(uint32_t domid, uint32_t ref)
{
    int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    struct gnttab_map_grant_ref map = { .host_addr = SOMEWHERE * PAGE, .flags = GNTMAP_host_map,
                                        .ref = ref, .dom = (domid_t)domid };
    struct gnttab_unmap_grant_ref unmap = { .host_addr = SOMEWHERE * PAGE };

    must(privcmd >= 0);
    call(privcmd, GNTTABOP_map_grant_ref, &map);
    must(map.status == GNTST_okay);
    unmap.handle = map.handle;
    call(privcmd, GNTTABOP_unmap_grant_ref, &unmap);
    must(unmap.status == GNTST_okay);
    close(privcmd);
}

static void *write_much(void *arg)
{
    int at = (int)(intptr_t)arg;

    for (int i = 0; i < 300; i++)
        shared[at] = 5;
    return NULL;
}

/* The page behind it is an ordinary one. */
static void look(void)
{
    pthread_t threads[2];
    volatile uint64_t *both = (volatile uint64_t *)(shared + PAGE - 4);

    must(is_all(0xff));
    shared[5] = 7;
    must(shared[5] == 0xff);
    must(__atomic_add_fetch(shared + 6, 3, __ATOMIC_SEQ_CST) == 2 && is_all(0xff));
    memset((void *)shared, 3, PAGE);
    must(is_all(0xff));
    *both = 0x0102030405060708;
    must(*both == 0x01020304ffffffff && is_all(0xff));
    for (intptr_t i = 0; i < 2; i++)
        must(!pthread_create(&threads[i], NULL, write_much, (void *)(100 + i)));
    for (int i = 0; i < 2; i++)
        must(!pthread_join(threads[i], NULL));
    must(is_all(0xff));
    must(shared[PAGE + 17] == 1);
    shared[PAGE + 17] = 2;
    must(shared[PAGE + 17] == 2);
}

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    uint32_t domid, refs[2];

    must(argc == 3 && gntshr);
    domid = (uint32_t)atoi(argv[2]);
    shared = xengntshr_share_pages(gntshr, domid, 2, refs, 1);
    must(shared);
    memset((void *)shared, 1, 2 * PAGE);
    if (!strcmp(argv[1], "library"))
        by_library(domid, refs[0]);
    else
        by_hypercalls(domid, refs[0]);
    look();
    must(!xengntshr_unshare(gntshr, (void *)shared, 2));
    must(!xengntshr_close(gntshr));
    puts("done");
    return 0;
}
