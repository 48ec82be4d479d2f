/* SPDX-License-Identifier: MIT */
/*
 * A program to be recorded: with an argument it does something else. It shares pages with its own
 * domain, maps them, signals itself, and has a thread and a child that do some of it.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

static uint32_t refs[3];

static void say(const char *what, long value)
{
    printf("%s=%ld\n", what, value);
    fflush(stdout);
}

static void *map_in_thread(void *gnttab)
{
    void *p = xengnttab_map_grant_ref(gnttab, 0, refs[2], PROT_READ);

    say("thread-map", p != NULL);
    if (p)
        say("thread-unmap", xengnttab_unmap(gnttab, p, 1));
    return NULL;
}

static int child(void)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    void *p = xengnttab_map_grant_ref(gnttab, 0, refs[1], PROT_READ | PROT_WRITE);

    say("child-map", p != NULL);
    if (p)
        say("child-unmap", xengnttab_unmap(gnttab, p, 1));
    say("child-close", xengnttab_close(gnttab));
    return 3;
}

/* A device in two sets, and something else in one: nothing comes through the pipe. */
static void selecting(int fd)
{
    struct timeval patience = { 10, 0 };
    fd_set readable, writable;
    int other[2];

    if (pipe(other))
        return;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(fd, &readable);
    FD_SET(fd, &writable);
    FD_SET(other[0], &readable);
    say("select", select((fd > other[0] ? fd : other[0]) + 1, &readable, &writable, NULL,
                         &patience));
    say("readable", FD_ISSET(fd, &readable) != 0);
    say("writable", FD_ISSET(fd, &writable) != 0);
    say("other", FD_ISSET(other[0], &readable) != 0);
    close(other[0]);
    close(other[1]);
}

/*
 * A device, at its edge, and a pipe in which something is: both come, then the pipe alone, both
 * after a change of what the device is asked for, and the device alone once the pipe is not asked
 * for any more.
 */
static void waiting(int fd)
{
    struct epoll_event asked = { EPOLLIN | EPOLLET, { .u64 = 77 } },
        piped = { EPOLLIN, { .u64 = 99 } }, got[4];
    int epoll = epoll_create1(EPOLL_CLOEXEC), other[2];

    if (epoll < 0 || pipe(other) || write(other[1], "x", 1) != 1)
        return;
    say("epoll-add", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &asked));
    say("epoll-add-again", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &asked));
    say("epoll-add-pipe", epoll_ctl(epoll, EPOLL_CTL_ADD, other[0], &piped));
    for (int i = 0; i < 4; i++) {
        unsigned long long sum = 0;
        int n = epoll_wait(epoll, got, 4, i < 2 ? 10000 : 0);

        for (int k = 0; k < n; k++)
            sum += got[k].data.u64;
        printf("epoll=%d sum=%llu\n", n, sum);
        if (i == 1) {
            asked.events = EPOLLOUT;
            say("epoll-change", epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &asked));
        } else if (i == 2) {
            say("epoll-remove", epoll_ctl(epoll, EPOLL_CTL_DEL, other[0], NULL));
        }
    }
    close(epoll);
    close(other[0]);
    close(other[1]);
}

static void events(xenevtchn_handle *evtchn)
{
    int listening = xenevtchn_bind_unbound_port(evtchn, 0),
        bound = xenevtchn_bind_interdomain(evtchn, 0, listening);
    struct pollfd fd = { xenevtchn_fd(evtchn), POLLIN, 0 };

    for (int i = 0; i < 4; i++) {
        int port;

        if (i < 2)
            say("poll", poll(&fd, 1, 10000));
        else if (i == 2)
            selecting(fd.fd);
        else
            waiting(fd.fd);
        port = xenevtchn_pending(evtchn);
        say("of-the-bound-port", port == bound);
        say("unmask", xenevtchn_unmask(evtchn, port));
        if (i < 3)
            say("notify", xenevtchn_notify(evtchn, listening));
    }
    say("unbind", xenevtchn_unbind(evtchn, bound));
    say("unbind-again", xenevtchn_unbind(evtchn, bound));
}

/* Into a page of ours, out of it, one to the next, of a reference that is none; then two addresses
 * of ours. */
static void copies(xengnttab_handle *gnttab)
{
    char bytes[100] = "there and back", back[100] = "";
    xengnttab_grant_copy_segment_t segments[] = {
        { .source.virt = bytes, .dest.foreign = { .ref = refs[0], .offset = 1000 }, .len = 100,
          .flags = GNTCOPY_dest_gref },
        { .source.foreign = { .ref = refs[0], .offset = 1000 }, .dest.virt = back, .len = 100,
          .flags = GNTCOPY_source_gref },
        { .source.foreign = { .ref = refs[0] }, .dest.foreign = { .ref = refs[1] }, .len = 4096,
          .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref },
        { .source.foreign = { .ref = 30000 }, .dest.foreign = { .ref = refs[1] }, .len = 1,
          .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref },
        { .source.foreign = { .ref = 30000 }, .dest.virt = back + 50, .len = 1,
          .flags = GNTCOPY_source_gref },
    };

    say("copy", xengnttab_grant_copy(gnttab, 5, segments));
    for (unsigned i = 0; i < 5; i++)
        printf("status=%d\n", segments[i].status);
    printf("copied: %s\n", back);
    segments[0].flags = 0;
    say("copy-local", xengnttab_grant_copy(gnttab, 1, segments));
    segments[1].source.foreign.offset = 4000;
    say("copy-beyond", xengnttab_grant_copy(gnttab, 1, segments + 1));
}

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    pthread_t thread;
    char *shared, *mapped;
    int status;

    (void)argv;
    if (!gntshr || !gnttab || !evtchn)
        return 1;
    events(evtchn);
    shared = xengntshr_share_pages(gntshr, 0, 3, refs, argc > 1 ? 0 : 1);
    say("share", shared != NULL);
    mapped = xengnttab_map_domain_grant_refs(gnttab, 2, 0, refs, PROT_READ | PROT_WRITE);
    say("map", mapped != NULL);
    copies(gnttab);
    say("map-nothing", xengnttab_map_grant_ref(gnttab, 0, 30000, PROT_READ) != NULL);
    if (!pthread_create(&thread, NULL, map_in_thread, gnttab))
        pthread_join(thread, NULL);
    fflush(stdout);
    if (!fork())
        _exit(child());
    wait(&status);
    say("child", WEXITSTATUS(status));
    if (mapped)
        say("unmap", xengnttab_unmap(gnttab, mapped, 2));
    if (shared)
        say("unshare", xengntshr_unshare(gntshr, shared, 3));
    xenevtchn_close(evtchn);
    xengnttab_close(gnttab);
    xengntshr_close(gntshr);
    return 5;
}
