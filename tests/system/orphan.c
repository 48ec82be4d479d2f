/* SPDX-License-Identifier: MIT */
/*
 * A program with two threads that lives longer than its server. Maps and unmaps a shared page 100
 * times, prints "ready", and waits for a line. Then it maps an ordinary file and a device,
 * privately, too, prints what came of that, and exits with 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/sys/gntalloc.h>

#define TIMES 100

static void *stay(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void map_often(int device)
{
    struct ioctl_gntalloc_alloc_gref alloc = { .domid = 1, .count = 1 };
    void *page;

    if (ioctl(device, IOCTL_GNTALLOC_ALLOC_GREF, &alloc))
        exit(1);
    for (int i = 0; i < TIMES; i++) {
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)alloc.index);
        if (page == MAP_FAILED || munmap(page, 4096))
            exit(1);
    }
}

static void map(const char *what, int fd, int how)
{
    void *page = mmap(NULL, 4096, PROT_READ, how, fd, 0);

    printf("%s %s\n", what, page == MAP_FAILED ? strerrorname_np(errno) : "0");
}

int main(int argc, char **argv)
{
    int device = open("/dev/xen/gntalloc", O_RDWR), file = open(argv[argc - 1], O_RDONLY);
    pthread_t thread;

    if (device < 0 || file < 0)
        return 1;
    map_often(device);
    if (pthread_create(&thread, NULL, stay, NULL))
        return 1;
    puts("ready");
    fflush(stdout);
    getchar();
    map("file", file, MAP_SHARED);
    map("device", device, MAP_SHARED);
    map("private", device, MAP_PRIVATE);
    return 3;
}
