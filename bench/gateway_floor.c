/*
 * gateway_floor.c
 *		The least that a broadcast can cost: an epoll loop that writes a ready frame to
 *		each socket, and knows no rights, filters, cursors or slow clients.
 *
 * Prints its port.  A client's first bytes are answered by a switch of protocols and a
 * live frame; for each line `NUMBER FRAMES` of its input it sends so many frames to
 * everybody, one every 1/NUMBER s.  The argument is the event of a frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CLIENTS_MOST 100000

static const char hello[] =
"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
"\x81\x1c{\"op\":\"live\",\"cursor\":\"1.1\"}";

static int	clients[CLIENTS_MOST];
static char greeted[CLIENTS_MOST * 2];
static int	count;
static int	poll_fd;

static void
watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN,.data.fd = fd};

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void
accept_all(int listener)
{
	int			fd;
	int			yes = 1;

	while (count < CLIENTS_MOST &&
		   (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
	{
		if (fd >= (int) sizeof(greeted))
			errx(1, "too many descriptors");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		clients[count++] = fd;
		greeted[fd] = 0;
		watch(fd);
	}
}

static void
hear(int fd)
{
	char		bytes[4096];
	ssize_t		len = read(fd, bytes, sizeof(bytes));

	if (len <= 0)
	{
		for (int i = 0; i < count; i++)
			if (clients[i] == fd)
			{
				clients[i] = clients[--count];
				break;
			}
		close(fd);
	}
	else if (!greeted[fd])
	{
		greeted[fd] = 1;
		if (write(fd, hello, sizeof(hello) - 1) < 0)
			err(1, "write");
	}
}

/* Frames of 126 to 65535 bytes. */
static void
broadcast(const char *event, int number)
{
	static char frame[65536];
	int			len = snprintf(frame + 4, sizeof(frame) - 4,
							   "{\"op\":\"event\",\"cursor\":\"1.%d\",\"position\":%d,\"prev\":%d,\"event\":%s}",
							   number, number, number - 1, event);

	frame[0] = (char) 0x81;
	frame[1] = 126;
	frame[2] = (char) (len >> 8);
	frame[3] = (char) len;
	for (int i = 0; i < count; i++)
		if (write(clients[i], frame, len + 4) < len + 4)
			errx(1, "a client does not read");
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t	size = sizeof(address);
	int			listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int			timer = timerfd_create(CLOCK_MONOTONIC, 0);
	int			frames = 0;
	int			sent = 0;
	struct epoll_event events[256];

	if (argc != 2 || bind(listener, (struct sockaddr *) &address, size) < 0 ||
		listen(listener, 4096) < 0 || getsockname(listener, (struct sockaddr *) &address, &size) < 0)
		err(1, "gateway_floor");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	poll_fd = epoll_create1(0);
	watch(listener);
	watch(timer);
	watch(STDIN_FILENO);
	for (;;)
	{
		int			ready = epoll_wait(poll_fd, events, 256, -1);

		for (int i = 0; i < ready; i++)
		{
			int			fd = events[i].data.fd;

			if (fd == listener)
				accept_all(listener);
			else if (fd == STDIN_FILENO)
			{
				char		line[100];
				ssize_t		len = read(STDIN_FILENO, line, sizeof(line) - 1);
				int			rate = 1;
				struct itimerspec every = {0};

				if (len <= 0)
					return 0;
				line[len] = '\0';
				sscanf(line, "%d %d", &rate, &frames);
				sent = 0;
				every.it_interval.tv_sec = rate > 1 ? 0 : 1;
				every.it_interval.tv_nsec = rate > 1 ? 1000000000 / rate : 0;
				every.it_value = every.it_interval;
				timerfd_settime(timer, 0, &every, NULL);
			}
			else if (fd == timer)
			{
				long long	ticks;

				if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks) && sent < frames)
					broadcast(argv[1], ++sent);
			}
			else
				hear(fd);
		}
	}
}
