/* SPDX-License-Identifier: MIT */
/*
 * stubborn HOW DOMID ROUNDS: maps a page that its own domain DOMID grants, again and again, and has
 * something of its own where gntsim puts the code that programs map with:
 *   plain      nothing
 *   occupied   a page of data, before the first mapping; at the end it must be as it was
 *   changed    code that ends the program, in place of gntsim's, after the first mapping
 *   removed    nothing, after each mapping
 *   forbidden  a filter that kills the program for a page of code
 *   full       no descriptor that is free
 *   crowded    some TiB below its libraries, as a sanitizer reserves them; and where that has no
 * place, less Prints "done" at the end.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xengnttab.h>

#include "../../util/window.h"
#include "must.h"

#define PAGE 4096
#define CODE ((unsigned char *)WINDOW_START - PAGE)

static void put_data(void)
{
    must(mmap(CODE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
              -1, 0) == CODE);
    memset(CODE, 0x5a, PAGE);
}

static void put_code(void)
{
    must(mmap(CODE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) == CODE);
    memset(CODE, 0xf4, PAGE);      /* hlt */
    must(!mprotect(CODE, PAGE, PROT_READ | PROT_EXEC));
}

static void forbid_code(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

    must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
         !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void fill_descriptors(void)
{
    struct rlimit limit = { 64, 64 };

    must(!setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(0) >= 0)
        ;
}

/* Where Linux chooses, so that nothing that was there is in the way. */
static void reserve_much(void)
{
    size_t size = (size_t)16 << 40;

    while (mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                0) == MAP_FAILED) {
        size /= 2;
        must(size >= (size_t)1 << 40);
    }
}

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    unsigned char *shared, *mapped;
    uint32_t ref;
    const char *how;
    int domid;

    must(argc == 4 && gntshr && gnttab);
    how = argv[1];
    domid = atoi(argv[2]);
    if (!strcmp(how, "occupied"))
        put_data();
    if (!strcmp(how, "forbidden"))
        forbid_code();
    if (!strcmp(how, "crowded"))
        reserve_much();
    if (!strcmp(how, "full"))
        fill_descriptors();
    shared = xengntshr_share_pages(gntshr, domid, 1, &ref, 1);
    must(shared);
    if (!strcmp(how, "changed"))
        put_code();
    for (int i = 0; i < atoi(argv[3]); i++) {
        mapped = xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE);
        must(mapped);
        mapped[i % PAGE] = (unsigned char)i;
        must(shared[i % PAGE] == (unsigned char)i && !xengnttab_unmap(gnttab, mapped, 1));
        if (!strcmp(how, "removed"))
            must(!munmap(CODE, PAGE));
    }
    if (!strcmp(how, "occupied"))
        for (int i = 0; i < PAGE; i++)
            must(CODE[i] == 0x5a);
    must(!xengntshr_unshare(gntshr, shared, 1));
    puts("done");
    return 0;
}
