/* A terminal in raw mode, which is put back on every way out of the process that a process sees. */
#include "CPlatformTerminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved, raw;
static volatile sig_atomic_t is_raw, descriptor = -1;

/* What ends a process by default. The first group comes from outside, the second from its own mistakes. */
static const int endings[] = {
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2,
    SIGABRT, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS,
};

/* Even from the background, where the system would stop the process for it. */
static void set(const struct termios *settings) {
    sigset_t output, before;
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &output, &before);
    tcsetattr(descriptor, TCSADRAIN, settings);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void cp_terminal_leave(void) {
    if (!is_raw) return;
    is_raw = 0;
    set(&saved);
}

static void take(int number, void (*handler)(int), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(number, &action, NULL);
}

/* The default action follows: the handler is gone after its first call. */
static void end(int number) {
    int error = errno;
    cp_terminal_leave();
    raise(number);
    errno = error;
}

static void go_on(int number) {
    (void)number;
    int error = errno;
    if (!is_raw && descriptor >= 0) {
        set(&raw);
        is_raw = 1;
    }
    errno = error;
}

static void stop(int number) {
    (void)number;
    int error = errno;
    cp_terminal_leave();
    raise(SIGSTOP);
    errno = error;
}

int cp_terminal_enter(int fd) {
    static int is_prepared;
    if (tcgetattr(fd, &saved) != 0) return errno;
    raw = saved;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    /* Guests end their lines with a line feed: the terminal goes on adding the carriage return. */
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    descriptor = fd;
    if (!is_prepared) {
        is_prepared = 1;
        atexit(cp_terminal_leave);
        for (size_t index = 0; index < sizeof endings / sizeof *endings; index++) {
            struct sigaction before;
            if (sigaction(endings[index], NULL, &before) != 0 || before.sa_handler != SIG_DFL) continue;
            take(endings[index], end, SA_RESETHAND | SA_NODEFER);
        }
        take(SIGTSTP, stop, SA_RESTART);
        take(SIGCONT, go_on, SA_RESTART);
    }
    is_raw = 1;
    if (tcsetattr(fd, TCSADRAIN, &raw) != 0) {
        is_raw = 0;
        return errno;
    }
    return 0;
}

ssize_t cp_read_waiting(int fd, uint8_t *bytes, size_t count, int64_t milliseconds) {
    struct pollfd wanted = { fd, POLLIN, 0 };
    int limit = milliseconds < 0 ? -1 : milliseconds > 1 << 30 ? 1 << 30 : (int)milliseconds;
    int ready = poll(&wanted, 1, limit);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return CP_READ_NOTHING;
    if (ready < 0) return CP_READ_END;
    ssize_t done = read(fd, bytes, count);
    if (done > 0) return done;
    return done < 0 && (errno == EINTR || errno == EAGAIN) ? CP_READ_NOTHING : CP_READ_END;
}
