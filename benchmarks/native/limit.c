/* The lower limit of fan-out: a server that only calls write() with prepared frames for every socket.
 *
 *   limit PORT FRAME_BYTES
 *
 * Any request gets a 101. "fan MESSAGES" on stdin writes this number of messages to every socket, with one write() per
 * socket, and responds "fanned SOCKETS CPU": the µs of CPU that this process has used so far.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int fds[1 << 16], count;

static long cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000L + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n < 0)
            return;
        data += n;
        length -= (size_t)n;
    }
}

static void greet(int fd)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    char request[4096];
    int one = 1;
    if (read(fd, request, sizeof request) <= 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    write_all(fd, answer, sizeof answer - 1);
    fds[count++] = fd;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct sockaddr_in at = {.sin_family = AF_INET};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3)
        return 2;
    size_t size = (size_t)atoi(argv[2]);
    char *frames = malloc(size * 1000), line[64];
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < 1000; i++) { /* an unmasked text frame of 126 to 65,535 bytes */
        char *f = frames + (size_t)i * size;
        memset(f, 'x', size);
        f[0] = (char)0x81;
        f[1] = 126;
        f[2] = (char)((size - 4) >> 8);
        f[3] = (char)((size - 4) & 255);
    }
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((unsigned short)atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0)
        return 1;
    for (;;) {
        struct pollfd p[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        poll(p, 2, -1);
        if (p[0].revents)
            greet(accept(listener, NULL, NULL));
        if (p[1].revents) {
            int messages;
            if (fgets(line, sizeof line, stdin) == NULL)
                return 0;
            if (sscanf(line, "fan %d", &messages) == 1 && messages <= 1000)
                for (int i = 0; i < count; i++)
                    write_all(fds[i], frames, size * (size_t)messages);
            printf("fanned %d %ld\n", count, cpu_us());
            fflush(stdout);
        }
    }
}
