/* SPDX-License-Identifier: MIT */
/*
 * A program with pseudo-terminals: makes one in each of the two usual ways, sends a line through it
 * in both directions, and has a child use it as its controlling terminal. Says "done NAME", the
 * name of the last one by ptsname, or what went wrong.
 */
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void pass(int from, int to, const char *line)
{
    char got[64];
    size_t size = strlen(line);
    ssize_t n;

    if (write(from, line, size) != (ssize_t)size)
        fail("write");
    n = read(to, got, sizeof got);
    if (n != (ssize_t)size || memcmp(got, line, size)) {
        fprintf(stderr, "%zd bytes arrived, not those that were written\n", n);
        exit(1);
    }
}

static void use(int master, int slave)
{
    char name[128];
    int child, status, tty;

    if (ttyname_r(slave, name, sizeof name))
        fail("ttyname_r");
    if (access(name, R_OK | W_OK))
        fail(name);
    pass(master, slave, "to the program\n");
    pass(slave, master, "to the user");
    child = fork();
    if (!child) {
        if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0))
            fail("TIOCSCTTY");
        tty = open("/dev/tty", O_RDWR);
        if (tty < 0)
            fail("/dev/tty");
        pass(tty, master, "from the child");
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status)
        exit(1);
    close(slave);
    close(master);
}

int main(void)
{
    struct termios raw;
    int master, slave;
    char name[128];

    cfmakeraw(&raw);
    raw.c_lflag |= ICANON;
    if (openpty(&master, &slave, NULL, &raw, NULL))
        fail("openpty");
    use(master, slave);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        fail("posix_openpt");
    if (ptsname_r(master, name, sizeof name))
        fail("ptsname_r");
    slave = open(name, O_RDWR | O_NOCTTY);
    if (slave < 0 || tcsetattr(slave, TCSANOW, &raw))
        fail(name);
    use(master, slave);
    printf("done %s\n", name);
    return 0;
}
