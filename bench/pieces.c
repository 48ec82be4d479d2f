/* SPDX-License-Identifier: MIT */
/*
 * Times what a map + unmap over the library consists of, each by itself, for bench/run.
 *
 * pieces DIR BLOCKS
 *
 * DIR is on the file system of a machine's memory. For each piece it prints "NS what it is".
 */
#include <fcntl.h>
#include <linux/types.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "follow.h"
#include "measure.h"

#define PAGE 4096
#define BLOCK 20               /* operations that are timed together */
#define PLACE ((void *)0x700000001000)

/* Linux 6.11's question for one line of /proc/self/maps. */
struct question {
    uint64_t size, query_flags, query_addr, start, end, flags, page_size, offset, inode;
    uint32_t dev_major, dev_minor, name_size, build_id_size;
    uint64_t name_addr, build_id_addr;
};
#define QUESTION _IOWR('f', 17, struct question)

struct pieces {
    char path[4096];
    int ends[2], asked, link, maps;
    void *page;
};

static void send_link(struct pieces *p)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { { 0 } };
    char byte = 'x';
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof control.space };
    int fd = open(p->path, O_RDWR | O_CLOEXEC);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    MUST(fd >= 0);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    MUST(sendmsg(p->ends[0], &msg, 0) == 1);
    close(fd);
    msg.msg_controllen = sizeof control.space;
    MUST(recvmsg(p->ends[1], &msg, MSG_CMSG_CLOEXEC) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
    close(fd);
}

/* What is sent without the descriptor, which is part of the hand-overs. */
static void send_plain(struct pieces *p)
{
    char byte = 'x';

    MUST(send(p->ends[0], &byte, 1, 0) == 1 && recv(p->ends[1], &byte, 1, 0) == 1);
}

static void map(struct pieces *p)
{
    void *page = mmap(PLACE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->link, 0);

    MUST(page != MAP_FAILED && !madvise(page, PAGE, MADV_DONTFORK) && !munmap(page, PAGE));
}

/* Kernels before 6.11 answer with an error, and sooner. */
static void look(struct pieces *p)
{
    char name[256];
    struct question question = { .size = sizeof question, .query_flags = 0x10,
                                 .query_addr = (uintptr_t)p->page, .name_size = sizeof name,
                                 .name_addr = (uintptr_t)name };

    if (ioctl(p->maps, QUESTION, &question))
        return;
}

/* Twice what a request does before it is sent and after its reply came. */
static void guard(struct pieces *p)
{
    sigset_t all, before;
    struct stat st;

    sigfillset(&all);
    for (int i = 0; i < 2; i++) {
        sigprocmask(SIG_BLOCK, &all, &before);
        MUST(getpid() > 0 && !syscall(SYS_fstat, p->asked, &st));
        sigprocmask(SIG_SETMASK, &before, NULL);
    }
}

static void ask(struct pieces *p)
{
    follow_ask(p->asked);
    follow_ask(p->asked);
}

/* The median of blocks: what else the machine does falls into some of them. */
static double timed(void (*piece)(struct pieces *), struct pieces *p, unsigned blocks)
{
    double *took = calloc(blocks, sizeof *took), middle;

    MUST(took);
    piece(p);
    for (unsigned i = 0; i < blocks; i++) {
        double start = now_ns();

        for (unsigned j = 0; j < BLOCK; j++)
            piece(p);
        took[i] = (now_ns() - start) / BLOCK;
    }
    middle = median(took, blocks);
    free(took);
    return middle;
}

int main(int argc, char **argv)
{
    struct pieces p = { 0 };
    unsigned blocks;
    struct follow follow;
    int fds[2];

    MUST(argc == 3);
    blocks = (unsigned)atoi(argv[2]);
    snprintf(p.path, sizeof p.path, "%s/link", argv[1]);
    p.link = open(p.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    p.maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    MUST(p.link >= 0 && p.maps >= 0 && !ftruncate(p.link, PAGE) &&
         !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p.ends) &&
         !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    p.asked = fds[0];
    p.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p.link, 0);
    MUST(p.page != MAP_FAILED);
    follow = (struct follow){ fds[1], -1 };
    follow_start(&follow, 1);
    printf("%.0f two requests and replies, without work\n", timed(ask, &p, blocks));
    printf("%.0f a link's descriptor: opened, sent, closed twice\n",
           timed(send_link, &p, blocks) - timed(send_plain, &p, blocks));
    printf("%.0f mmap, madvise and munmap\n", timed(map, &p, blocks));
    printf("%.0f the look into the own address space\n", timed(look, &p, blocks));
    printf("%.0f signals blocked, descriptors checked\n", timed(guard, &p, blocks));
    unlink(p.path);
    return 0;
}
