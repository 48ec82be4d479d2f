/* SPDX-License-Identifier: MIT */
/*
 * blocked userfaultfd|FILE: calls an ioctl of gntdev with an argument in memory that never becomes
 * readable: a range registered with userfaultfd, or a mapping of FILE whose server never answers.
 * Prints "calling", and waits in the call, which SIGUSR1 must not end.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <xen/xen.h>
#include <xen/sys/gntdev.h>

#include "must.h"

#define PAGE 4096

static void *userfault_page(void)
{
    struct uffdio_api api = { .api = UFFD_API };
    struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    must(fd >= 0 && page != MAP_FAILED && !ioctl(fd, UFFDIO_API, &api));
    range.range.start = (uintptr_t)page;
    range.range.len = PAGE;
    must(!ioctl(fd, UFFDIO_REGISTER, &range));
    return page;
}

static void *file_page(const char *path)
{
    int fd = open(path, O_RDONLY);
    void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

    must(fd >= 0 && page != MAP_FAILED);
    return page;
}

static void on_signal(int sig)
{
    (void)sig;
}

int main(int argc, char **argv)
{
    const struct sigaction action = { .sa_handler = on_signal };
    int gntdev = open("/dev/xen/gntdev", O_RDWR);
    void *page;

    must(argc == 2 && gntdev >= 0);
    page = strcmp(argv[1], "userfaultfd") ? file_page(argv[1]) : userfault_page();
    must(!sigaction(SIGUSR1, &action, NULL));
    puts("calling");
    fflush(stdout);
    ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, page);
    return 1;
}
