/* An SMTP client for benchmarks: one thread, many connections, each of which sends the same message again and again.
 *
 *     smtp_load -p PORT -f FILE [-c CONNECTIONS] [-n MESSAGES] [-t SECONDS] [-m data|bdat] [-q RECIPIENTS]
 *
 * FILE holds the message with CRLF line ends. Each connection has one message under way: MAIL, RCPT and DATA in one
 * write and the text in another (data), or all of it with BDAT in one write (bdat). It ends after MESSAGES accepted
 * ones, or after SECONDS. Recipients are numbered when RECIPIENTS is above 1: r0@rcpt.example to that many. It prints
 * one line of JSON, and talks to 127.0.0.1 only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum phase { GREETING, HELLO, ENVELOPE, CONTENT, GOODBYE };

struct connection {
    int fd;
    enum phase phase;
    int awaited;        /* replies until the next step */
    char code[4];       /* the beginning of the reply line that is coming */
    int column;
    const char *out;    /* what is left to be written */
    size_t out_left;
    char *envelope;
    size_t envelope_size;
    double began;
};

static int epoll_fd, open_connections, is_bdat;
static long started, accepted, refused, lost, wanted = 10000, recipients = 1, next_recipient;
static double deadline, *latencies;
static char *content, *envelope_tail;
static size_t content_size;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0) die("epoll_ctl");
}

static void end(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    open_connections--;
}

static void flush(struct connection *c) {
    while (c->out_left) {
        ssize_t sent = send(c->fd, c->out, c->out_left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0) {
            lost++;
            end(c);
            return;
        }
        c->out += sent;
        c->out_left -= sent;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void put(struct connection *c, enum phase phase, const char *text, size_t size, int replies) {
    c->phase = phase;
    c->out = text;
    c->out_left = size;
    c->awaited = replies;
    flush(c);
}

static void begin_message(struct connection *c) {
    if (started >= wanted || now() > deadline) {
        put(c, GOODBYE, "QUIT\r\n", 6, 1);
        return;
    }
    started++;
    c->began = now();
    size_t size = sprintf(c->envelope, "MAIL FROM:<news@sender.example> BODY=8BITMIME\r\nRCPT TO:<r%ld@rcpt.example>\r\n",
                          next_recipient++ % recipients);
    size += sprintf(c->envelope + size, "%s", envelope_tail);
    if (is_bdat) {
        memcpy(c->envelope + size, content, content_size);
        put(c, CONTENT, c->envelope, size + content_size, 3);
    } else {
        put(c, ENVELOPE, c->envelope, size, 3);
    }
}

static void proceed(struct connection *c) {
    switch (c->phase) {
    case GREETING:
        put(c, HELLO, "EHLO load.example\r\n", 19, 1);
        break;
    case ENVELOPE:
        put(c, CONTENT, content, content_size, 1);
        break;
    case CONTENT:
        latencies[accepted++] = now() - c->began;
        begin_message(c);
        break;
    case HELLO:
        begin_message(c);
        break;
    case GOODBYE:
        end(c);
    }
}

static void take_line(struct connection *c) {
    if (c->code[3] == '-') return;
    if (c->code[0] != '2' && c->code[0] != '3') {
        refused++;
        fprintf(stderr, "refused with %.3s\n", c->code);
        end(c);
        return;
    }
    if (--c->awaited == 0) proceed(c);
}

static void receive(struct connection *c) {
    char octets[65536];
    ssize_t count = recv(c->fd, octets, sizeof octets, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        lost++;
        end(c);
        return;
    }
    for (ssize_t i = 0; i < count && c->fd >= 0; i++) {
        if (c->column < 4) c->code[c->column] = octets[i];
        c->column++;
        if (octets[i] == '\n') {
            c->column = 0;
            take_line(c);
        }
    }
}

static void connect_to(struct connection *c, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->phase = GREETING;
    c->awaited = 1;
    c->envelope = malloc(1024 + (is_bdat ? content_size : 0));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    open_connections++;
}

static void read_message(const char *name) {
    FILE *file = fopen(name, "rb");
    if (!file) die(name);
    fseek(file, 0, SEEK_END);
    size_t size = ftell(file), written = 0;
    rewind(file);
    char *raw = malloc(size);
    if (fread(raw, 1, size, file) != size) die(name);
    if (size < 2 || memcmp(raw + size - 2, "\r\n", 2)) {
        fprintf(stderr, "%s: the message must end with CRLF\n", name);
        exit(2);
    }
    envelope_tail = malloc(64);
    if (is_bdat) {
        sprintf(envelope_tail, "BDAT %zu LAST\r\n", size);
        content = raw;
        content_size = size;
        return;
    }
    strcpy(envelope_tail, "DATA\r\n");
    content = malloc(2 * size + 8);
    for (size_t i = 0; i < size; i++) {
        if (raw[i] == '.' && (i == 0 || raw[i - 1] == '\n')) content[written++] = '.';
        content[written++] = raw[i];
    }
    memcpy(content + written, ".\r\n", 3);
    content_size = written + 3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int option, port = 0, count = 16;
    double seconds = 60;
    const char *file = NULL;
    while ((option = getopt(argc, argv, "p:f:c:n:t:m:q:")) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'f': file = optarg; break;
        case 'c': count = atoi(optarg); break;
        case 'n': wanted = atol(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'm': is_bdat = !strcmp(optarg, "bdat"); break;
        case 'q': recipients = atol(optarg); break;
        default: return 2;
        }
    }
    if (!port || !file || count < 1 || wanted < 1 || recipients < 1) {
        fprintf(stderr, "usage: smtp_load -p PORT -f FILE [-c CONNECTIONS] [-n MESSAGES] [-t SECONDS] [-m data|bdat]\n");
        return 2;
    }
    read_message(file);
    latencies = malloc(sizeof(double) * wanted);
    struct connection *connections = calloc(count, sizeof *connections);
    struct epoll_event events[256];
    double began = now();
    deadline = began + seconds;
    epoll_fd = epoll_create1(0);
    for (int i = 0; i < count; i++) connect_to(&connections[i], port);
    while (open_connections) {
        int ready = epoll_wait(epoll_fd, events, 256, 1000);
        if (ready == 0 && now() > deadline + 30) break;
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->fd >= 0 && (events[i].events & EPOLLOUT)) flush(c);
            if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive(c);
        }
    }
    double elapsed = now() - began;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    qsort(latencies, accepted, sizeof *latencies, by_size);
    printf("{\"accepted\": %ld, \"refused\": %ld, \"lost\": %ld, \"seconds\": %.4f, \"cpu_seconds\": %.4f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           accepted, refused, lost, elapsed, cpu, accepted ? latencies[accepted / 2] * 1e3 : 0,
           accepted ? latencies[accepted * 99 / 100] * 1e3 : 0);
    return refused || lost ? 3 : 0;
}
